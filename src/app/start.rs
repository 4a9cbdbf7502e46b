//! What the start makes sure of before anything runs: who may read what is made, that all of the data directory
//! can be written to, and that it has one service.

#![expect(
    clippy::disallowed_methods,
    reason = "files that are tried and locked, of which nobody reads a byte"
)]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, access};
use rustix::process::{geteuid, umask};

use crate::artifacts::WantOfRoom;
use crate::layout::Layout;

/// What ends the process before its time, as one line for people.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The bits of a mode that let its group write, and those of all others than the owner.
const GROUP_WRITES: u32 = 0o020;
const NOT_THE_OWNERS: u32 = 0o077;

/// What is made is the owner's alone, since secrets are in it, unless the data directory says that its group
/// writes too; then it is as the user's umask has it. Returns the mask.
///
/// The mask belongs to the process: this comes before any thread.
pub fn mask(root: &Path, wanted: Option<u32>) -> u32 {
    let before = umask(Mode::empty()).bits();
    let shared = fs::metadata(root).is_ok_and(|about| about.mode() & GROUP_WRITES != 0);
    let mask = match wanted {
        Some(wanted) => wanted,
        None if shared => before,
        None => before | NOT_THE_OWNERS,
    };
    umask(Mode::from_bits_truncate(mask));
    mask
}

/// Tries whether everything can be written to, and makes what is not there yet. A full disk is no reason not to
/// start: what is there is served, and can be deleted.
pub fn prepare(layout: &Layout, wanted_mask: Option<u32>) -> Result<(), Error> {
    let mask = mask(&layout.root, wanted_mask);
    for folder in [layout.root.clone(), layout.datasets(), layout.artifacts()] {
        try_folder(&folder)?;
    }
    for folder in [layout.datasets(), layout.artifacts()] {
        look_within(&folder)?;
    }
    let database = layout.database();
    // SQLite by itself makes the file 0644, and those beside it as this one is.
    append_to(&database, true)?;
    for beside in ["-wal", "-shm"] {
        append_to(&with_suffix(&database, beside), false)?;
    }
    share(&database, mask);
    Ok(())
}

fn unusable(path: &Path, reason: &str) -> Error {
    let uid = geteuid().as_raw();
    let path = path.display();
    format!("the data directory cannot be used by uid {uid}: {path}: {reason}").into()
}

fn try_folder(folder: &Path) -> Result<(), Error> {
    if fs::metadata(folder).is_ok_and(|about| !about.is_dir()) {
        return Err(unusable(folder, "is a file and should be a folder"));
    }
    let cannot = |error: io::Error| unusable(folder, &format!("cannot be made: {error}"));
    fs::create_dir_all(folder)
        .or_else(unless_full)
        .map_err(cannot)?;
    let tried = folder.join(format!(".try-{}", uuid::Uuid::new_v4().simple()));
    let cannot =
        |error: io::Error| unusable(folder, &format!("no file can be made in it: {error}"));
    match File::create_new(&tried) {
        Ok(_) => fs::remove_file(&tried).map_err(cannot),
        Err(error) => unless_full(error).map_err(cannot),
    }
}

fn unless_full(error: io::Error) -> io::Result<()> {
    if error.is_full() { Ok(()) } else { Err(error) }
}

/// The folders of data sets and artifacts: what lies in one that may not be written to cannot be deleted.
fn look_within(folder: &Path) -> Result<(), Error> {
    let cannot = |error: io::Error| unusable(folder, &format!("cannot be read: {error}"));
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        if path.is_dir()
            && let Err(error) = access(&path, all)
        {
            return Err(unusable(&path, &format!("cannot be written to: {error}")));
        }
    }
    Ok(())
}

fn append_to(file: &Path, create: bool) -> Result<(), Error> {
    match OpenOptions::new().append(true).create(create).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !create => Ok(()),
        Err(error) => unless_full(error)
            .map_err(|error| unusable(file, &format!("cannot be written to: {error}"))),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Gives group and others what a database that is made now would give them: earlier versions made it 0644,
/// secrets and all.
fn share(database: &Path, mask: u32) {
    for path in ["", "-wal", "-shm"].map(|suffix| with_suffix(database, suffix)) {
        let Ok(about) = fs::metadata(&path) else {
            continue;
        };
        let mode = about.mode() & 0o700 | 0o666 & !mask & NOT_THE_OWNERS;
        if about.uid() == geteuid().as_raw()
            && mode != about.mode() & 0o777
            && let Err(error) = fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        {
            tracing::warn!(path = %path.display(), %error, "its mode could not be set");
        }
    }
}

/// What keeps a second service out, for as long as it is held.
pub struct Lock {
    _held: [File; 2],
}

/// Two services on one data directory would sweep away each other's uploads. The folder itself is locked, since
/// a cleaner may take the file away; and the file, since not every file system locks folders.
pub fn lock(root: &Path) -> Result<Lock, Error> {
    let path = root.join("serve.lock");
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let file = file.map_err(|error| unusable(&path, &format!("cannot be written to: {error}")))?;
    let folder = File::open(root)?;
    for (held, must) in [(&file, true), (&folder, false)] {
        match held.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let root = root.display();
                return Err(format!("another latentd serves the data directory {root}").into());
            }
            Err(TryLockError::Error(error)) if must => {
                return Err(unusable(&path, &format!("cannot be locked: {error}")));
            }
            _ => {}
        }
    }
    Ok(Lock {
        _held: [file, folder],
    })
}
