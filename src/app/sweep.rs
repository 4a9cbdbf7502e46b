//! Removes what nothing names: once at the start, when the service alone takes uploads in, and now and then
//! while it runs, when workers and uploads are about to name what they have written.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::start::Error;
use crate::artifacts::Artifacts;
use crate::artifacts::files::INCOMING;
use crate::artifacts::leftovers::{Aside, Leftovers, Seen, digest_of};
use crate::layout::Layout;
use crate::store::Store;

/// Removes what an earlier life left half done: unfinished uploads and files that no row names.
pub async fn sweep(store: &Store, artifacts: &Artifacts, layout: &Layout) -> Result<(), Error> {
    for path in nameless_sets(store, &layout.datasets()).await? {
        tracing::info!(path = %path.display(), "removing what no data set names");
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    let removed = artifacts.sweep(&store.all_artifacts().await?)?;
    if removed > 0 {
        tracing::info!(removed, "artifacts that nothing names were removed");
    }
    Ok(())
}

async fn nameless_sets(store: &Store, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let known: HashSet<String> = store.dataset_ids().await?.into_iter().collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The sweep of a service that runs. It remembers what it saw at its last look.
#[derive(Default)]
pub struct Sweeper {
    before: Leftovers,
}

impl Sweeper {
    /// Removes what was nameless and the same at the look before, too. Looks are far apart by a clock that
    /// nobody sets.
    pub async fn look(
        &mut self,
        store: &Store,
        artifacts: &Artifacts,
        layout: &Layout,
    ) -> Result<usize, Error> {
        // Names are read first: what is named later than this has changed since the look before.
        let named = store.all_artifacts().await?;
        let files = artifacts.clone();
        let found = tokio::task::spawn_blocking(move || files.leftovers(&named)).await?;
        let mut now = found?;
        for path in nameless_sets(store, &layout.datasets()).await? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // An upload that ends early removes its own.
            if !name.starts_with(INCOMING)
                && let Ok(seen) = Seen::at(&path)
            {
                now.insert(path, seen);
            }
        }
        let mut removed = 0;
        for (path, seen) in same(&self.before, &now) {
            if remove(store, &path, seen).await? {
                tracing::info!(path = %path.display(), "removed what nothing names");
                now.remove(&path);
                removed += 1;
            }
        }
        self.before = now;
        Ok(removed)
    }
}

fn same(before: &Leftovers, now: &Leftovers) -> HashMap<PathBuf, Seen> {
    let same = now
        .iter()
        .filter(|(path, seen)| before.get(*path) == Some(*seen));
    same.map(|(path, seen)| (path.clone(), *seen)).collect()
}

/// Says whether it was removed.
async fn remove(store: &Store, path: &Path, seen: Seen) -> Result<bool, Error> {
    if is_named(store, path).await? {
        return Ok(false);
    }
    let Some(aside) = Aside::take(path, seen)? else {
        return Ok(false);
    };
    // Named between the two lines above: then it goes back before anyone misses it.
    match is_named(store, path).await {
        Ok(false) => {
            aside.remove()?;
            Ok(true)
        }
        Ok(true) => {
            aside.put_back()?;
            Ok(false)
        }
        Err(error) => {
            aside.put_back()?;
            Err(error)
        }
    }
}

/// By its digest or, of a folder, as a data set.
async fn is_named(store: &Store, path: &Path) -> Result<bool, Error> {
    let Some(name) = digest_of(path) else {
        return Ok(false);
    };
    if path.is_dir() {
        let known = store.dataset_ids().await?;
        return Ok(known.iter().any(|id| id == name));
    }
    Ok(store.is_artifact_named(name).await?)
}
