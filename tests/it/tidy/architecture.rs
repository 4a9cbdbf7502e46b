//! docs/ARCHITECTURE.md against the source: what it names exists, and what it promises is tested.

use std::collections::HashSet;

use super::source::{Token, code_of, texts, tokens};
use super::{files, keep, read, root};

pub const PATH: &str = "docs/ARCHITECTURE.md";

/// Folders that a path may be relative to.
const BASES: [&str; 3] = ["", "src/", "crates/models/src/"];

/// Invariants that no test holds yet. No number may be added.
const UNTESTED: &[usize] = &[7, 19, 21, 24, 28, 29, 33];

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
    let sources = [files("src", ".rs"), files("crates", ".rs")].concat();
    let exists = |word: &str| {
        let whole = BASES
            .iter()
            .any(|base| root().join(base).join(word).exists());
        whole
            || sources
                .iter()
                .any(|path| path.ends_with(&format!("/{word}")))
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
    let tests = tests();
    let mut breaches = Vec::new();
    let mut held: Vec<(usize, bool)> = Vec::new();
    for (line, text) in section(&text, "What always holds") {
        let number = text
            .split_once(". ")
            .and_then(|(number, _)| number.parse::<usize>().ok());
        if let Some(number) = number {
            held.push((line, false));
            if number != held.len() {
                breaches.push(format!(
                    "{PATH}:{line}: number {number} should be {}",
                    held.len()
                ));
            }
        }
        for names in text.split('✓').skip(1) {
            let names = names.split('→').next().unwrap_or_default();
            for name in names.split('`').skip(1).step_by(2) {
                let found = tests.contains(name) || (is_path(name) && name.ends_with(".rs"));
                if !found {
                    breaches.push(format!("{PATH}:{line}: there is no test `{name}`"));
                } else if let Some(last) = held.last_mut() {
                    last.1 = true;
                }
            }
        }
    }
    for (at, (line, tested)) in held.iter().enumerate() {
        match (tested, UNTESTED.contains(&(at + 1))) {
            (false, false) => breaches.push(format!("{PATH}:{line}: names no test")),
            (true, true) => {
                breaches.push(format!("{PATH}:{line}: is tested; take it out of UNTESTED"))
            }
            _ => {}
        }
    }
    assert!(held.len() > 30, "the invariants were not found");
    keep(
        "An invariant names a test that fails when it is broken (✓).",
        &breaches,
    );
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
