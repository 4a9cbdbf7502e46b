//! The documents: what they link to is there, and a release is written down as one.

use std::path::Path;

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
