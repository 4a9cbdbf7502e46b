//! What a file names of others: its `use` trees and the paths in its code.

use std::collections::HashSet;

use super::source::{Token, closing, texts};

/// A path as it is written, and the inline modules it stands in.
#[derive(Clone)]
pub struct Named {
    pub scope: Vec<String>,
    pub segments: Vec<String>,
    pub line: usize,
}

/// One leaf of a `use` tree.
pub struct Import {
    pub path: Named,
    /// What it is called here; `*` for a glob.
    pub name: String,
    pub public: bool,
}

#[derive(Default)]
pub struct Names {
    pub imports: Vec<Import>,
    pub paths: Vec<Named>,
    /// Every word outside of `use`, fields and methods left out.
    pub words: HashSet<String>,
}

pub fn names(tokens: &[Token]) -> Names {
    let mut names = Names::default();
    let mut scopes: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        scopes.retain(|(_, end)| at < *end);
        let scope = || {
            scopes
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let rest = &tokens[at..];
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
        if rest.len() > 2 && rest[0].text == "mod" && rest[2].text == "{" {
            scopes.push((rest[1].text.to_owned(), closing(tokens, at + 2)));
            at += 3;
        } else if rest[0].text == "use" && !texts(&rest[1..], &["<"]) {
            let mut tree = Tree {
                tokens,
                at: at + 1,
                leaves: Vec::new(),
            };
            tree.read(&mut Vec::new());
            let public = before == "pub" || before == ")";
            for (segments, name, line) in tree.leaves {
                let path = Named {
                    scope: scope(),
                    segments,
                    line,
                };
                names.imports.push(Import { path, name, public });
            }
            at = tree.at;
        } else if is_name(rest[0].text) && before != "::" && before != "." {
            let segments = path_at(rest);
            names.words.insert(segments[0].clone());
            at += 2 * segments.len() - 1;
            if segments.len() > 1 {
                names.paths.push(Named {
                    scope: scope(),
                    segments,
                    line: rest[0].line,
                });
            }
        } else {
            at += 1;
        }
    }
    names
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn path_at(tokens: &[Token]) -> Vec<String> {
    let mut segments = vec![tokens[0].text.to_owned()];
    let mut at = 1;
    while at + 1 < tokens.len() && tokens[at].text == "::" && is_name(tokens[at + 1].text) {
        segments.push(tokens[at + 1].text.to_owned());
        at += 2;
    }
    segments
}

/// Reads `a::{b, c as d, e::*};`.
struct Tree<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    leaves: Vec<(Vec<String>, String, usize)>,
}

impl Tree<'_> {
    fn read(&mut self, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token.text {
                "::" => {}
                "{" => {
                    while self.tokens[self.at - 1].text != "}" {
                        self.read(prefix);
                    }
                    self.at += 1;
                    break;
                }
                "as" => {
                    let name = self.tokens[self.at].text.to_owned();
                    self.leaves.push((prefix.clone(), name, token.line));
                    self.at += 2;
                    break;
                }
                "," | "}" | ";" => {
                    if prefix.len() > depth {
                        let name = prefix.last().cloned().unwrap_or_default();
                        if name == "self" {
                            prefix.pop();
                        }
                        let name = prefix.last().cloned().unwrap_or(name);
                        self.leaves.push((prefix.clone(), name, token.line));
                    }
                    break;
                }
                word => prefix.push(word.to_owned()),
            }
        }
        prefix.truncate(depth);
    }
}
