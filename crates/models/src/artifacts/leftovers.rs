//! What crashes leave behind, removed while others write: nothing that is about to be named is taken.
//!
//! A file is taken only if it was unnamed and unchanged at two looks, which the caller makes far apart. Whoever
//! names a file has written or renewed it a moment before, so a file that is about to be named has changed
//! since the first look. What changes after the second look is seen too: the file is moved aside first, and
//! moved back if it is another by then, or was named.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where such files are written"
)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{Artifacts, is_incoming};

/// What lay there: inode, length, and when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64, u64, i64, i64);

impl Seen {
    pub fn at(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(
            about.ino(),
            about.len(),
            about.mtime(),
            about.mtime_nsec(),
        ))
    }
}

/// Files by path, as they were seen.
pub type Leftovers = HashMap<PathBuf, Seen>;

/// Something that was moved aside, and where it lay.
pub struct Aside {
    place: PathBuf,
    now: PathBuf,
}

impl Artifacts {
    /// Files that nothing names, temporary ones among them. Uploads under way are not looked at.
    pub fn leftovers(&self, named: &HashSet<String>) -> io::Result<Leftovers> {
        let mut found = Leftovers::new();
        for folder in fs::read_dir(self.root())? {
            let folder = folder?.path();
            if !folder.is_dir() || is_incoming(&folder) {
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if !digest_of(&path).is_some_and(|digest| named.contains(digest))
                    // It may be gone by now.
                    && let Ok(seen) = Seen::at(&path)
                {
                    found.insert(path, seen);
                }
            }
        }
        Ok(found)
    }
}

/// The digest that a file is named by.
pub fn digest_of(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

impl Aside {
    /// Moves a file or a folder aside; `None` if it is not there any more, or not what was seen.
    pub fn take(place: &Path, seen: Seen) -> io::Result<Option<Self>> {
        let folder = place.parent().unwrap_or(Path::new("."));
        let now = folder.join(format!(".{}.tmp", uuid::Uuid::new_v4()));
        match fs::rename(place, &now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            renamed => renamed?,
        }
        let place = place.to_owned();
        let aside = Self { place, now };
        if Seen::at(&aside.now)? == seen {
            return Ok(Some(aside));
        }
        aside.put_back()?;
        Ok(None)
    }

    /// Back to its place, unless that was taken meanwhile by the same again.
    pub fn put_back(self) -> io::Result<()> {
        match fs::hard_link(&self.now, &self.place) {
            // A folder has no second name.
            Err(_) if self.now.is_dir() => fs::rename(&self.now, &self.place),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_file(&self.now),
        }
    }

    pub fn remove(self) -> io::Result<()> {
        if self.now.is_dir() {
            fs::remove_dir_all(&self.now)
        } else {
            fs::remove_file(&self.now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unnamed_is_found_and_what_changed_is_left() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        let artifacts = Artifacts::open(folder.path())?;
        let [named, old, renewed] = [b"a", b"b", b"c"].map(|bytes| artifacts.put(bytes));
        let (named, old, renewed) = (named?, old?, renewed?);
        let temporary = artifacts.path(&old.sha256).with_file_name(".x.tmp");
        fs::write(&temporary, b"half a file")?;
        fs::create_dir(folder.path().join(".incoming-1"))?;
        fs::write(folder.path().join(".incoming-1/bundle"), b"on its way")?;
        let found = artifacts.leftovers(&HashSet::from([named.sha256]))?;
        let paths = [
            artifacts.path(&old.sha256),
            artifacts.path(&renewed.sha256),
            temporary.clone(),
        ];
        assert_eq!(
            found.keys().cloned().collect::<HashSet<_>>(),
            HashSet::from(paths)
        );

        // Another life of the same bytes is about to be named.
        artifacts.put(b"c")?;
        for (path, seen) in &found {
            if let Some(aside) = Aside::take(path, *seen)? {
                aside.remove()?;
            }
        }
        assert!(artifacts.get(&renewed.sha256).is_ok());
        assert!(artifacts.get(&old.sha256).is_err());
        assert!(!temporary.exists());
        Ok(())
    }

    #[test]
    fn what_was_named_meanwhile_is_put_back() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let artifacts = Artifacts::open(folder.path())?;
        let stored = artifacts.put(b"a")?;
        let path = artifacts.path(&stored.sha256);
        let seen = Seen::at(&path)?;
        let aside = Aside::take(&path, seen)?.ok_or("it is there")?;
        assert!(!path.exists());
        aside.put_back()?;
        assert_eq!(artifacts.get(&stored.sha256)?, b"a");
        assert!(Aside::take(&folder.path().join("gone"), seen)?.is_none());
        let set = folder.path().join("ds_1");
        fs::create_dir(&set)?;
        let aside = Aside::take(&set, Seen::at(&set)?)?.ok_or("it is there")?;
        aside.put_back()?;
        assert!(set.is_dir());
        Ok(())
    }
}
