//! Rules that the compiler does not check, tested on the text of the checkout: which module uses which,
//! sizes, comments, what the documents name, migrations. Nothing here starts a service or libtorch.
//!
//! A rule is a test. It fails with the rule and, for each breach, the file and the line.

mod architecture;
mod arrows;
mod circles;
mod documents;
mod layout;
mod migrations;
mod paths;
mod source;
mod tree;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file that has to be there; `path` is relative to the checkout.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files under `folder` whose names end in `ending`, relative to the checkout, in order.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(relative(path));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: PathBuf) -> String {
    let path = path.strip_prefix(root()).expect("inside the checkout");
    path.to_string_lossy().into_owned()
}

/// Fails with the rule and every breach of it.
#[track_caller]
fn keep(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}\n  {}\n", breaches.join("\n  "));
}
