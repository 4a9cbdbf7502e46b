//! Room on the disk: what files leave free for the database, and what is set aside for when nothing is free.

#![expect(
    clippy::disallowed_methods,
    reason = "the reserve is a file, of which nobody reads a byte"
)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Data sets, weights and checkpoints leave so much free: for the database, which has to take a cancel or a
/// delete when there is no room for anything else. On a small disk it is a sixteenth.
const LEFT_FREE: u64 = 8 << 20;
/// Twice what the write-ahead log grows to, or what the deleting of a job with 10,000 events writes. On a small
/// disk it is an eighth.
const RESERVE: u64 = 16 << 20;

/// An error that may be the want of room.
pub trait WantOfRoom {
    fn is_full(&self) -> bool;
}

impl WantOfRoom for io::Error {
    fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.kind(), StorageFull | QuotaExceeded)
    }
}

/// Bytes that are free where the folder is; `None` where that cannot be told.
pub fn free(folder: &Path) -> Option<u64> {
    let about = statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Bytes of the whole disk.
fn size(folder: &Path) -> u64 {
    statvfs(folder).map_or(u64::MAX, |about| {
        about.f_blocks.saturating_mul(about.f_frsize)
    })
}

/// What files leave free where the folder is.
pub fn left_free(folder: &Path) -> u64 {
    LEFT_FREE.min(size(folder) / 16)
}

/// Refuses, as a full disk does, a file of so many bytes that would leave too little free.
pub fn require(folder: &Path, bytes: u64) -> io::Result<()> {
    match free(folder) {
        Some(free) if free < bytes.saturating_add(left_free(folder)) => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    }
}

/// Room that is taken while there is plenty, and given back when there is none: what makes room must go
/// through the database, whose log grows with every write.
#[derive(Debug, Clone)]
pub struct Reserve(PathBuf);

impl Reserve {
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("reserve"))
    }

    /// Sets the room aside, unless it is or there is little left; says whether it was done now.
    pub fn fill(&self) -> io::Result<bool> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        let wanted = RESERVE.min(size(folder) / 8);
        let is_there = fs::metadata(&self.0).is_ok_and(|about| about.len() >= wanted);
        if is_there || require(folder, 2 * wanted).is_err() {
            return Ok(false);
        }
        let taken = File::create(&self.0).and_then(|file| take(&file, wanted));
        if taken.is_err() {
            self.give_back();
        }
        taken.map(|()| true)
    }

    /// Says whether there was anything to give back.
    pub fn give_back(&self) -> bool {
        fs::remove_file(&self.0).is_ok()
    }

    /// Does what makes room in the end. If there is none for it, it is done again with the reserve.
    pub async fn spend<T, E: WantOfRoom, F>(&self, work: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        match work().await {
            Err(error) if error.is_full() && self.give_back() => work().await,
            done => done,
        }
    }
}

fn take(file: &File, bytes: u64) -> io::Result<()> {
    if fallocate(file, FallocateFlags::empty(), 0, bytes).is_ok() {
        return Ok(());
    }
    // Where the file system sets nothing aside by itself.
    io::copy(&mut io::repeat(0).take(bytes), &mut &*file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_leaves_too_little_free_is_refused_as_by_a_full_disk() {
        let here = Path::new(".");
        let free = free(here).expect("it can be told here");
        assert!(require(here, 0).is_ok());
        assert!(require(here, free).expect_err("too much").is_full());
        assert!(require(here, u64::MAX).expect_err("too much").is_full());
        assert!(!io::Error::from(io::ErrorKind::NotFound).is_full());
    }

    #[test]
    fn a_reserve_is_set_aside_once_and_given_back_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::of(folder.path());
        assert!(!reserve.give_back());
        assert!(reserve.fill().expect("it is set aside"));
        assert!(!reserve.fill().expect("it is there"));
        assert!(reserve.give_back());
        assert!(!reserve.give_back());
    }
}
