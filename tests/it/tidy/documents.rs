//! The documents: what they link to is there, and a release is written down as one.

use std::path::Path;

use super::layout::COLUMNS;
use super::{files, keep, read, root};

fn documents() -> Vec<String> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    [top.to_vec(), files("docs", ".md")].concat()
}

#[test]
fn every_link_leads_somewhere() {
    let mut breaches = Vec::new();
    for path in documents() {
        for (at, line) in read(&path).lines().enumerate() {
            let targets = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            let local = targets.filter(|target| !target.contains("://"));
            let broken = local.filter(|target| !leads_somewhere(&path, target));
            breaches.extend(broken.map(|target| format!("{path}:{}: {target}", at + 1)));
        }
    }
    keep(
        "A link leads to a file that exists, and to a heading of it.",
        &breaches,
    );
}

fn leads_somewhere(from: &str, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let file = if file.is_empty() {
        Path::new(from).into()
    } else {
        folder.join(file)
    };
    let there = root().join(&file).exists();
    there && (anchor.is_empty() || headings(&file).iter().any(|heading| heading == anchor))
}

/// The anchors that a forge makes of a document's headings.
fn headings(file: &Path) -> Vec<String> {
    let text = read(&file.to_string_lossy());
    let titles = text.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        })
        .map(|title| {
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect()
        })
        .collect()
}

/// docs/ARCHITECTURE.md has a test of its own, which asks for more.
#[test]
fn every_path_in_the_checkout_that_is_named_exists() {
    let folders = [
        "src/",
        "crates/",
        "tests/",
        "scripts/",
        "migrations/",
        "bench/",
        "docs/",
        "recipes/",
    ];
    let mut breaches = Vec::new();
    for path in ["README.md", "CONTRIBUTING.md"] {
        for (at, line) in read(path).lines().enumerate() {
            let quoted = line.split('`').skip(1).step_by(2);
            let paths = quoted.filter(|word| folders.iter().any(|folder| word.starts_with(folder)));
            let plain = paths.filter(|word| !word.contains(['*', ' ', '<']));
            let missing = plain.filter(|word| !root().join(word).exists());
            breaches.extend(missing.map(|word| format!("{path}:{}: `{word}`", at + 1)));
        }
    }
    keep("A path that a document names exists.", &breaches);
}

/// Tables and code have lines of their own.
#[test]
fn prose_is_no_wider_than_120_columns() {
    let mut breaches = Vec::new();
    for path in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/ARCHITECTURE.md",
    ] {
        let mut code = false;
        for (at, line) in read(path).lines().enumerate() {
            code ^= line.starts_with("```");
            let width = line.chars().count();
            if width > COLUMNS && !code && !line.starts_with('|') {
                breaches.push(format!("{path}:{}: {width} columns", at + 1));
            }
        }
    }
    keep("A line of prose has at most 120 columns.", &breaches);
}
