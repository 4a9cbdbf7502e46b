//! The source of both crates as a tree of modules, and the file that a path leads to.

use std::collections::HashMap;

use super::paths::{Named, Names, names};
use super::source::{code_of, tokens, without_tests};
use super::{files, read};

/// Where each crate's source lies, and what other crates call it.
const CRATES: [(&str, &str); 2] = [
    ("src/", "latentd"),
    ("crates/models/src/", "latentd_models"),
];

/// From the crate's root downwards; the first is the crate.
type Module = Vec<String>;

pub struct File {
    pub path: String,
    pub module: Module,
    /// Compiled for tests alone.
    pub test: bool,
    pub names: Names,
}

/// One file uses another.
#[derive(Clone, Copy)]
pub struct Arrow {
    pub from: usize,
    pub to: usize,
    pub line: usize,
    /// Only handed on by `pub use`.
    pub reexport: bool,
}

pub struct Tree {
    pub files: Vec<File>,
    by_module: HashMap<Module, usize>,
    /// What each file's `use` makes of a name.
    imported: Vec<HashMap<String, Module>>,
}

impl Tree {
    pub fn read() -> Self {
        let mut files_read = Vec::new();
        let mut test_modules: Vec<Module> = Vec::new();
        for (folder, name) in CRATES {
            for path in files(folder.trim_end_matches('/'), ".rs") {
                let code = code_of(&read(&path));
                let tokens = tokens(&code);
                let (kept, tests) = without_tests(&tokens);
                let module = module_of(&path, folder, name);
                test_modules.extend(tests.into_iter().map(|test| below(&module, &[test])));
                let names = names(&kept);
                files_read.push(File {
                    path,
                    module,
                    test: false,
                    names,
                });
            }
        }
        for file in &mut files_read {
            file.test = test_modules
                .iter()
                .any(|test| file.module.starts_with(test));
        }
        let by_module = files_read.iter().enumerate();
        let by_module = by_module
            .map(|(at, file)| (file.module.clone(), at))
            .collect();
        let mut tree = Self {
            files: files_read,
            by_module,
            imported: Vec::new(),
        };
        let imported = (0..tree.files.len())
            .map(|at| tree.imports_of(at))
            .collect();
        tree.imported = imported;
        tree
    }

    fn imports_of(&self, at: usize) -> HashMap<String, Module> {
        let imports = self.files[at].names.imports.iter();
        let named = imports.filter(|import| import.name != "*");
        named
            .filter_map(|import| {
                Some((import.name.clone(), self.absolute(at, &import.path, false)?))
            })
            .collect()
    }

    /// The path from the crate's root; none if it leads out of the two crates.
    fn absolute(&self, at: usize, named: &Named, by_imports: bool) -> Option<Module> {
        let module = below(&self.files[at].module, &named.scope);
        let (first, rest) = named.segments.split_first()?;
        match first.as_str() {
            "crate" => Some(below(&module[..1], rest)),
            "self" => Some(below(&module, rest)),
            "super" => {
                let ups = named
                    .segments
                    .iter()
                    .take_while(|segment| *segment == "super")
                    .count();
                let parent = module.len().checked_sub(ups)?;
                Some(below(&module[..parent], &named.segments[ups..]))
            }
            name if CRATES.iter().any(|(_, other)| name == *other) => Some(named.segments.clone()),
            name => {
                let child = below(&module, std::slice::from_ref(first));
                match self
                    .imported
                    .get(at)
                    .and_then(|imported| imported.get(name))
                {
                    Some(path) if by_imports => Some(below(path, rest)),
                    _ => self
                        .by_module
                        .contains_key(&child)
                        .then(|| below(&child, rest)),
                }
            }
        }
    }

    /// The file that a path leads to, through re-exports; whether the path is that of a module.
    fn resolve(&self, path: &[String], depth: usize) -> Option<(usize, bool)> {
        let mut at = *self.by_module.get(path.get(..1)?)?;
        for end in 2..=path.len() {
            if let Some(next) = self.by_module.get(&path[..end]) {
                at = *next;
                continue;
            }
            let handed_on = self.imported[at].get(&path[end - 1]);
            return match handed_on.filter(|_| depth < 8) {
                Some(target) => self.resolve(&below(target, &path[end..]), depth + 1),
                None => Some((at, false)),
            };
        }
        Some((at, true))
    }

    /// Every arrow between two files, tests left out.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (from, file) in self.files.iter().enumerate().filter(|(_, file)| !file.test) {
            let mut add = |named: &Named, reexport: bool, glob: bool| {
                let Some(path) = self.absolute(from, named, true) else {
                    return;
                };
                let Some((to, module)) = self.resolve(&path, 0) else {
                    return;
                };
                // A module that is imported is used by the paths that begin with its name.
                if to != from && (!module || glob) {
                    arrows.push(Arrow {
                        from,
                        to,
                        line: named.line,
                        reexport,
                    });
                }
            };
            for import in &file.names.imports {
                let glob = import.name == "*";
                let mut path = import.path.clone();
                if glob {
                    path.segments.pop();
                }
                let used_here = !import.public || file.names.words.contains(&import.name);
                add(&path, !used_here, glob);
            }
            for path in &file.names.paths {
                add(path, false, false);
            }
        }
        arrows
    }
}

fn module_of(path: &str, folder: &str, name: &str) -> Module {
    let inner = path.trim_start_matches(folder).trim_end_matches(".rs");
    let segments = inner
        .split('/')
        .filter(|segment| !["mod", "lib"].contains(segment));
    std::iter::once(name)
        .chain(segments)
        .map(str::to_owned)
        .collect()
}

fn below(module: &[String], rest: &[String]) -> Module {
    [module, rest].concat()
}
