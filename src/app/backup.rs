//! `latentd backup` and `latentd restore`: a data directory as it was at one moment, taken while the service runs.
//!
//! The database is copied by SQLite itself. Files never change once they are complete, so they are linked where
//! that is possible, those that are there already before the database is copied. What is deleted in between
//! was a checkpoint of a job that goes on: the copy forgets it, and the job goes on from the one before.

#![expect(
    clippy::disallowed_methods,
    reason = "copies of files that are complete, in a folder that nobody uses yet"
)]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::start::{self, Error};
use crate::artifacts::Artifacts;
use crate::layout::Layout;
use crate::store::Store;

/// A model or a data set that is deleted in the middle makes the copy incomplete, and it is taken anew.
const TRIES: usize = 3;

/// `latentd backup`.
pub fn backup(data_dir: &Path, to: &Path) -> Result<(), Error> {
    let layout = Layout::new(std::path::absolute(data_dir)?);
    let to = std::path::absolute(to)?;
    require_empty(&to)?;
    start::mask(&layout.root, None);
    // It may be a disk of its own, whose top cannot be renamed.
    let partial = to.join(".partial");
    Runtime::new()?.block_on(async {
        let store = open(&layout).await?;
        for _ in 0..TRIES {
            let _ = fs::remove_dir_all(&partial);
            let copy = Layout::new(&partial);
            fs::create_dir_all(copy.datasets())?;
            fs::create_dir_all(copy.artifacts())?;
            if copied(&store, &layout, &copy).await? {
                store.close().await;
                let whole = Layout::new(&to);
                fs::rename(copy.datasets(), whole.datasets())?;
                fs::rename(copy.artifacts(), whole.artifacts())?;
                fs::rename(copy.database(), whole.database())?;
                fs::remove_dir(&partial)?;
                File::open(&to)?.sync_all()?;
                return tell(&format!("backed up to {}", to.display()));
            }
        }
        let _ = fs::remove_dir_all(&partial);
        Err("models or data sets were deleted meanwhile, time and again: try once more".into())
    })
}

/// `latentd restore`: into a data directory that is new. Every artifact is checked on its way.
pub fn restore(from: &Path, data_dir: &Path) -> Result<(), Error> {
    let from = Layout::new(std::path::absolute(from)?);
    let layout = Layout::new(std::path::absolute(data_dir)?);
    require_empty(&layout.root)?;
    if !from.database().exists() {
        return Err(format!("{} is no backup: it has no latentd.db", from.root.display()).into());
    }
    start::mask(&layout.root, None);
    fs::create_dir_all(layout.datasets())?;
    fs::create_dir_all(layout.artifacts())?;
    // Last under its own name: what broke off is no data directory.
    let database = beside(&layout.database(), "restoring");
    copy(&from.database(), &database)?;
    Runtime::new()?.block_on(async {
        let store = Store::open_existing(&database).await?;
        let (named, sets) = names(&store).await?;
        store.close().await;
        let artifacts = Artifacts::open(from.artifacts())?;
        for sha256 in &named {
            let file = artifacts.open_checked(sha256)?;
            let place = Artifacts::open(layout.artifacts())?.path(sha256);
            save(file, &place)?;
            let manifest = place.with_extension("json");
            if artifacts.has_manifest(sha256) {
                copy(&artifacts.path(sha256).with_extension("json"), &manifest)?;
            }
        }
        for id in &sets {
            each_file(&from.dataset(id), &layout.dataset(id), copy)?;
        }
        fs::rename(&database, layout.database())?;
        File::open(&layout.root)?.sync_all()?;
        tell(&format!("restored to {}", layout.root.display()))
    })
}

fn tell(line: &str) -> Result<(), Error> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

async fn open(layout: &Layout) -> Result<Store, Error> {
    let path = layout.database();
    let opened = Store::open_existing(&path).await;
    opened.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Another file beside it, whose name says what it is for.
fn beside(path: &Path, purpose: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{purpose}"))
}

fn require_empty(folder: &Path) -> Result<(), Error> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{}: {error}", folder.display()).into()),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(format!("{} is there already, and not empty", folder.display()).into()),
        },
    }
}

/// Digests of artifacts and ids of data sets.
async fn names(store: &Store) -> Result<(HashSet<String>, Vec<String>), Error> {
    Ok((store.all_artifacts().await?, store.dataset_ids().await?))
}

/// Says whether the copy is whole.
async fn copied(store: &Store, layout: &Layout, to: &Layout) -> Result<bool, Error> {
    let (named, sets) = names(store).await?;
    take(layout, to, &named, &sets)?;
    store.copy_to(&to.database()).await?;
    let copy = open(to).await?;
    let (named, sets) = names(&copy).await?;
    let missing = take(layout, to, &named, &sets)?;
    copy.forget_states(&missing).await?;
    let (named, sets) = names(&copy).await?;
    copy.close().await;
    let artifacts = Artifacts::open(to.artifacts())?;
    for path in artifacts.leftovers(&named)?.into_keys() {
        fs::remove_file(path)?;
    }
    for entry in fs::read_dir(to.datasets())? {
        let entry = entry?;
        if !sets.iter().any(|id| entry.file_name() == id.as_str()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let has_file = |sha256: &String| artifacts.path(sha256).exists();
    let has_set = |id: &String| to.dataset(id).join("train.npy").exists();
    Ok(named.iter().all(has_file) && sets.iter().all(has_set))
}

/// Links or copies what is not there yet; the digests of artifacts that are gone.
fn take(
    from: &Layout,
    to: &Layout,
    named: &HashSet<String>,
    sets: &[String],
) -> Result<Vec<String>, Error> {
    let (source, target) = (
        Artifacts::open(from.artifacts())?,
        Artifacts::open(to.artifacts())?,
    );
    let mut missing = Vec::new();
    for sha256 in named {
        let (file, place) = (source.path(sha256), target.path(sha256));
        match link(&file, &place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(sha256.clone()),
            linked => linked?,
        }
        let manifest = file.with_extension("json");
        unless_gone(link(&manifest, &place.with_extension("json")))?;
    }
    for id in sets {
        unless_gone(each_file(&from.dataset(id), &to.dataset(id), link))?;
    }
    Ok(missing)
}

fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn each_file(
    from: &Path,
    to: &Path,
    with: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        with(&path, &to.join(name))?;
    }
    Ok(())
}

/// A second name of the same file, which never changes; a copy where the two are on different disks.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => copy(from, to),
        linked => linked,
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    save(File::open(from)?, to)
}

fn save(mut from: File, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    let mut file = File::create(to)?;
    io::copy(&mut from, &mut file)?;
    file.sync_all()
}
