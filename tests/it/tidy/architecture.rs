//! docs/ARCHITECTURE.md against the source: what it names exists, and what it promises is tested.

use std::collections::HashSet;

use super::source::{Token, code_of, texts, tokens};
use super::{files, keep, read, root};

pub const PATH: &str = "docs/ARCHITECTURE.md";

/// Folders that a path may be relative to.
const BASES: [&str; 3] = ["", "src/", "crates/models/src/"];

/// The lines under a heading, with their numbers, as far as the next heading of the same level.
pub fn section<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let heading = format!("## {heading}");
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines
        .skip_while(move |(_, line)| *line != heading)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
}

/// What stands in backticks outside of code blocks, with its line.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut quoted = Vec::new();
    let mut block = false;
    for (at, line) in text.lines().enumerate() {
        block ^= line.trim_start().starts_with("```");
        if !block {
            quoted.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|word| (at + 1, word)),
            );
        }
    }
    quoted
}

fn is_path(word: &str) -> bool {
    let ending = word
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ["rs", "sql", "json", "py", "sh", "md"].contains(&ending));
    (ending || word.ends_with('/'))
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
}

#[test]
fn every_path_that_is_named_exists() {
    let text = read(PATH);
    let exists = |word: &str| {
        BASES
            .iter()
            .any(|base| root().join(base).join(word).exists())
    };
    let breaches: Vec<String> = quoted(&text)
        .into_iter()
        .filter(|(_, word)| is_path(word) && !exists(word))
        .map(|(line, word)| format!("{PATH}:{line}: `{word}`"))
        .collect();
    keep(
        "A path is written from the checkout, from src/ or from crates/models/src/, and exists.",
        &breaches,
    );
}

#[test]
fn every_name_of_code_exists() {
    let text = read(PATH);
    let mut words: HashSet<String> = HashSet::new();
    for folder in ["src", "crates", "tests", "migrations"] {
        for path in files(folder, ".rs")
            .into_iter()
            .chain(files(folder, ".sql"))
        {
            let is_word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            words.extend(read(&path).split(is_word).map(str::to_owned));
        }
    }
    let name = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let breaches: Vec<String> = quoted(&text)
        .into_iter()
        .filter(|(_, word)| name(word) && !word.starts_with(|c: char| c.is_ascii_digit()))
        .filter(|(_, word)| !word.split("::").all(|part| words.contains(part)))
        .map(|(line, word)| format!("{PATH}:{line}: `{word}`"))
        .collect();
    keep("A name in backticks is one of the source.", &breaches);
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let text = read(PATH);
    let invariants = invariants(&text);
    assert!(invariants.len() > 30, "the invariants were not found");
    let tests = tests();
    let mut breaches = Vec::new();
    for (at, (line, number, text)) in invariants.iter().enumerate() {
        if *number != at + 1 {
            breaches.push(format!(
                "{PATH}:{line}: number {number} should be {}",
                at + 1
            ));
        }
        let held = text
            .split('✓')
            .skip(1)
            .filter_map(|held| held.split('→').next());
        let names: Vec<&str> = held
            .flat_map(|held| held.split('`').skip(1).step_by(2))
            .collect();
        if names.is_empty() {
            breaches.push(format!("{PATH}:{line}: names no test"));
        }
        // That a file exists is another test's to say.
        let missing = names
            .iter()
            .filter(|name| !tests.contains(**name) && !name.ends_with(".rs"));
        breaches.extend(missing.map(|name| format!("{PATH}:{line}: there is no test `{name}`")));
    }
    keep(
        "An invariant names a test that fails when it is broken (✓).",
        &breaches,
    );
}

/// The line, the number and the text of each.
fn invariants(text: &str) -> Vec<(usize, usize, String)> {
    let mut invariants: Vec<(usize, usize, String)> = Vec::new();
    for (line, text) in section(text, "What always holds") {
        let number = text
            .split_once(". ")
            .and_then(|(number, _)| number.parse().ok());
        match (number, invariants.last_mut()) {
            (Some(number), _) => invariants.push((line, number, text.to_owned())),
            (None, Some((_, _, last))) => last.extend([" ", text]),
            (None, None) => {}
        }
    }
    invariants
}

/// The names of all tests.
fn tests() -> HashSet<String> {
    let mut names = HashSet::new();
    for path in ["src", "crates", "tests"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
    {
        let code = code_of(&read(&path));
        let tokens = tokens(&code);
        for (at, token) in tokens.iter().enumerate() {
            if token.text == "#" && is_test(&tokens[at..]) {
                let named = tokens[at..].windows(2).find(|pair| pair[0].text == "fn");
                names.extend(named.map(|pair| pair[1].text.to_owned()));
            }
        }
    }
    names
}

fn is_test(tokens: &[Token]) -> bool {
    texts(tokens, &["#", "[", "test", "]"]) || texts(tokens, &["#", "[", "tokio", "::", "test"])
}
