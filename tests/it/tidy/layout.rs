//! Sizes: of lines, functions and files; and that a file says in its first line what it is about.

use super::source::{Token, closing, code_of, tokens, without_tests};
use super::tree::Tree;
use super::{files, keep, read};

pub const COLUMNS: usize = 120;
const FUNCTION: usize = 60;
const FILE: usize = 400;

/// Where the project's own source lies.
const FOLDERS: [&str; 4] = ["src", "crates", "tests", "bench"];

/// Functions that are still longer, by file and name. No row may be added.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

fn sources() -> Vec<String> {
    FOLDERS
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect()
}

#[test]
fn every_file_says_in_its_first_line_what_lives_there() {
    let silent = |path: &String| {
        let first = read(path).lines().next().unwrap_or_default().to_owned();
        first
            .strip_prefix("//! ")
            .is_none_or(|subject| subject.trim().is_empty())
    };
    let breaches: Vec<String> = sources()
        .iter()
        .filter(|path| silent(path))
        .map(|path| format!("{path}:1"))
        .collect();
    keep(
        "The first line of a file is `//!` and says what lives there.",
        &breaches,
    );
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut breaches = Vec::new();
    for path in sources() {
        let lines = read(&path).lines().count();
        if lines > FILE {
            breaches.push(format!("{path}:{lines}: {lines} lines"));
        }
    }
    keep(
        "A file has at most 400 lines: look for the seam.",
        &breaches,
    );
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut breaches = Vec::new();
    let mut idle = LONG_FUNCTIONS.to_vec();
    let tests = Tree::read().files.into_iter().filter(|file| file.test);
    let test_files: Vec<String> = tests.map(|file| file.path).collect();
    for path in [files("src", ".rs"), files("crates", ".rs")].concat() {
        let code = code_of(&read(&path));
        let tokens = tokens(&code);
        for (name, line, length) in functions(&without_tests(&tokens).0) {
            if length <= FUNCTION || test_files.contains(&path) {
                continue;
            }
            if LONG_FUNCTIONS.contains(&(path.as_str(), name.as_str())) {
                idle.retain(|allowed| *allowed != (path.as_str(), name.as_str()));
            } else {
                breaches.push(format!("{path}:{line}: `{name}` has {length} lines"));
            }
        }
    }
    breaches
        .extend(idle.iter().map(|(path, name)| {
            format!("{path}: `{name}` is short or gone; take it off the list")
        }));
    keep(
        "A function outside tests has at most 60 lines, from `fn` to its closing brace.",
        &breaches,
    );
}

#[test]
fn no_line_is_wider_than_120_columns() {
    let mut breaches = Vec::new();
    for path in sources().into_iter().chain(["build.rs".to_owned()]) {
        for (at, line) in read(&path).lines().enumerate() {
            let width = line.chars().count();
            if width > COLUMNS {
                breaches.push(format!("{path}:{}: {width} columns", at + 1));
            }
        }
    }
    keep("A line has at most 120 columns.", &breaches);
}

/// Name, line and length of every function with a body.
fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let named = pair[1]
            .text
            .starts_with(|first: char| first.is_alphabetic() || first == '_');
        if pair[0].text != "fn" || !named {
            continue;
        }
        let mut open = at;
        while open < tokens.len() && !["{", ";"].contains(&tokens[open].text) {
            open = if ["(", "["].contains(&tokens[open].text) {
                closing(tokens, open)
            } else {
                open + 1
            };
        }
        if tokens.get(open).is_some_and(|token| token.text == "{") {
            let end = tokens[closing(tokens, open) - 1].line;
            functions.push((
                pair[1].text.to_owned(),
                pair[0].line,
                end - pair[0].line + 1,
            ));
        }
    }
    functions
}
