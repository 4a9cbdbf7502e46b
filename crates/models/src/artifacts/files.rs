//! The content-addressed store: `<root>/<first two digits>/<sha256>.safetensors`, with a JSON manifest
//! of the same name beside published weights.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where such files are written"
)]

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::room;

#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("artifact {sha256} cannot be read: {source}")]
    Io { sha256: String, source: io::Error },
    #[error("artifact {sha256} is damaged: its content has digest {found}")]
    Damaged { sha256: String, found: String },
    #[error("artifact {sha256} is not what it should be: {detail}")]
    Content { sha256: String, detail: String },
}

impl ArtifactError {
    /// Whether the file is not what was stored, or gone: no retry mends that.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Damaged { .. } | Self::Content { .. } => true,
        }
    }
}

/// A file that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub sha256: String,
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
    /// Files that `check` found sound, as they were then.
    sound: Arc<Mutex<HashMap<String, Stamp>>>,
}

const MOST_STAMPS: usize = 10_000;

/// What changes when a file is written to: inode, length, time of the last change.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(u64, u64, i64, i64);

impl Stamp {
    fn of(about: &fs::Metadata) -> Self {
        Self(about.ino(), about.len(), about.ctime(), about.ctime_nsec())
    }
}

/// Younger files may belong to a row that is about to be written.
const SWEEP_AGE: Duration = Duration::from_secs(600);

impl Artifacts {
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            sound: Arc::default(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, sha256: &str) -> PathBuf {
        self.file(sha256, "safetensors")
    }

    fn file(&self, sha256: &str, extension: &str) -> PathBuf {
        let folder = sha256.get(..2).unwrap_or("__");
        self.root.join(folder).join(format!("{sha256}.{extension}"))
    }

    /// Stores bytes under their digest. Storing the same bytes again renews the file, so that a
    /// sweep which found it unnamed does not take it away.
    pub fn put(&self, bytes: &[u8]) -> io::Result<Stored> {
        let sha256 = hex(&Sha256::digest(bytes));
        write_whole(&self.path(&sha256), bytes)?;
        Ok(Stored {
            sha256,
            bytes: bytes.len() as u64,
        })
    }

    /// Writes the manifest beside stored weights.
    pub fn put_manifest(&self, sha256: &str, manifest: &serde_json::Value) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(manifest)?;
        write_whole(&self.file(sha256, "json"), &text)
    }

    /// Takes in a file that lies on the same disk, under the digest that its content has.
    pub fn adopt(&self, file: &Path, sha256: &str) -> io::Result<()> {
        let opened = File::open(file)?;
        // As what is put: it is about to be named.
        opened.set_modified(SystemTime::now())?;
        opened.sync_all()?;
        let path = self.path(sha256);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(file, &path)?;
        File::open(folder)?.sync_all()
    }

    /// Says of a stored artifact that it is about to be named still, so that no sweep takes it away.
    pub fn renew(&self, sha256: &str) {
        for extension in ["safetensors", "json"] {
            let file = File::open(self.file(sha256, extension));
            // What cannot be renewed is left to its luck.
            let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
        }
    }

    pub fn has_manifest(&self, sha256: &str) -> bool {
        self.file(sha256, "json").exists()
    }

    /// The bytes of an artifact, their digest checked.
    pub fn get(&self, sha256: &str) -> Result<Vec<u8>, ArtifactError> {
        let bytes = fs::read(self.path(sha256)).map_err(|source| ArtifactError::Io {
            sha256: sha256.to_owned(),
            source,
        })?;
        let found = hex(&Sha256::digest(&bytes));
        if found == sha256 {
            Ok(bytes)
        } else {
            Err(ArtifactError::Damaged {
                sha256: sha256.to_owned(),
                found,
            })
        }
    }

    /// The file of an artifact, at its beginning, once its content was found to have the digest.
    pub fn open_checked(&self, sha256: &str) -> Result<File, ArtifactError> {
        let failed = |source| ArtifactError::Io {
            sha256: sha256.to_owned(),
            source,
        };
        let mut file = File::open(self.path(sha256)).map_err(failed)?;
        let mut digest = Sha256::new();
        io::copy(&mut file, &mut digest).map_err(failed)?;
        let found = hex(&digest.finalize());
        if found != sha256 {
            return Err(ArtifactError::Damaged {
                sha256: sha256.to_owned(),
                found,
            });
        }
        file.rewind().map_err(failed)?;
        Ok(file)
    }

    /// Whether the artifact could be read. A file that was found sound is not read again until something was
    /// written to it.
    pub fn check(&self, sha256: &str) -> Result<(), ArtifactError> {
        let seen = fs::metadata(self.path(sha256))
            .ok()
            .map(|about| Stamp::of(&about));
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some() && sound.get(sha256) == seen.as_ref() {
            return Ok(());
        }
        sound.remove(sha256);
        drop(sound);
        self.open_checked(sha256)?;
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if sound.len() >= MOST_STAMPS {
            sound.clear();
        }
        sound.extend(seen.map(|stamp| (sha256.to_owned(), stamp)));
        Ok(())
    }

    /// Removes artifacts that no row names any more.
    pub fn remove(&self, digests: &[String]) {
        for sha256 in digests {
            for extension in ["safetensors", "json"] {
                match fs::remove_file(self.file(sha256, extension)) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(sha256, %error, "an unused artifact could not be removed")
                    }
                }
            }
        }
    }

    /// Removes what a crash left behind: files that are neither named nor young.
    pub fn sweep(&self, named: &HashSet<String>) -> io::Result<usize> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            // The service alone takes uploads in, and it is only starting.
            if is_incoming(&folder) {
                fs::remove_dir_all(&folder)?;
                removed += 1;
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let known = path
                    .file_stem()
                    .and_then(|s| s.to_str())
                    .is_some_and(|s| named.contains(s));
                if !known && is_old(&path) {
                    fs::remove_file(&path)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// How the folder of an upload under way is named.
pub const INCOMING: &str = ".incoming-";

pub(super) fn is_incoming(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(INCOMING))
}

fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|m| m.modified());
    modified.is_ok_and(|at| {
        SystemTime::now()
            .duration_since(at)
            .is_ok_and(|age| age > SWEEP_AGE)
    })
}

/// Temporary file, fsync, rename, fsync of the folder: after a crash the file is whole or not there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    room::require(folder, bytes.len() as u64)?;
    let temporary = folder.join(format!(".{}.tmp", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_damage_is_seen() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let artifacts = Artifacts::open(folder.path())?;
        let stored = artifacts.put(b"weights")?;
        assert_eq!(artifacts.get(&stored.sha256)?, b"weights");
        artifacts.check(&stored.sha256)?;
        fs::write(artifacts.path(&stored.sha256), b"weighty")?;
        assert!(matches!(
            artifacts.get(&stored.sha256),
            Err(ArtifactError::Damaged { .. })
        ));
        for seen in [
            artifacts.open_checked(&stored.sha256).map(drop),
            artifacts.check(&stored.sha256),
        ] {
            assert!(seen.expect_err("damage is seen").is_damage());
        }
        Ok(())
    }

    #[test]
    fn a_sweep_spares_named_and_young_files() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let artifacts = Artifacts::open(folder.path())?;
        let [named, young, old] = [b"a", b"b", b"c"].map(|bytes| artifacts.put(bytes));
        let (named, young, old) = (named?, young?, old?);
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        for stored in [&named, &old] {
            File::options()
                .write(true)
                .open(artifacts.path(&stored.sha256))?
                .set_modified(long_ago)?;
        }
        assert_eq!(artifacts.sweep(&HashSet::from([named.sha256.clone()]))?, 1);
        assert!(artifacts.get(&named.sha256).is_ok());
        assert!(artifacts.get(&young.sha256).is_ok());
        assert!(artifacts.get(&old.sha256).is_err());
        Ok(())
    }
}
