//! A disk that can be filled.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A few megabytes in memory, mounted as a file system.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where nothing can be mounted.
    pub fn mount() -> Option<Self> {
        Self::of(64)
    }

    /// Of so many megabytes.
    pub fn of(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is, with what is there of the file already.
    pub fn fill(&self) -> PathBuf {
        let (path, mut file) = self.ballast();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }

    /// Takes the room there is but for so many megabytes.
    pub fn fill_but(&self, megabytes: u64) -> PathBuf {
        let (path, mut file) = self.ballast();
        while free(self.path()) > megabytes << 20 {
            file.write_all(&vec![0; 1 << 18]).expect("there is room");
        }
        path
    }

    fn ballast(&self) -> (PathBuf, File) {
        let path = self.path().join("ballast");
        let file = File::options().create(true).append(true).open(&path);
        (path, file.expect("a file"))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Bytes that are free where the folder is.
fn free(folder: &Path) -> u64 {
    let about = rustix::fs::statvfs(folder).expect("it is mounted");
    about.f_bavail * about.f_frsize
}
