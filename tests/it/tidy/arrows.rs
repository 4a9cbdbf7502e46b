//! Which module uses which: docs/ARCHITECTURE.md has the table, the source must agree with it.

use std::collections::{BTreeMap, BTreeSet};

use super::architecture;
use super::source::{code_of, texts, tokens, without_tests};
use super::tree::{File, Tree};
use super::{files, keep, read};

/// A row of the table of modules.
struct Row {
    module: String,
    uses: Vec<String>,
}

/// Above the modules: the command line, and macros, which Rust has at the root of a crate.
const TOP: [&str; 2] = ["lib", "main"];

/// Crates that only some modules of the service may use.
const RESERVED: [(&str, &[&str]); 3] = [
    ("axum", &["api", "app"]),
    ("sqlx", &["store"]),
    ("tch", &["inference", "worker", "app", "machine"]),
];

#[test]
fn every_module_has_a_row_and_uses_only_rows_above_it() {
    let rows = rows();
    let mut breaches = Vec::new();
    for lib in ["crates/models/src/lib.rs", "src/lib.rs"] {
        for (line, text) in read(lib).lines().enumerate() {
            let Some(module) = text.strip_prefix("pub mod ") else {
                continue;
            };
            let module = module.trim_end_matches(';');
            if !rows.iter().any(|row| row.module == module) {
                breaches.push(format!("{lib}:{}: `{module}` has no row", line + 1));
            }
        }
    }
    for (at, row) in rows.iter().enumerate() {
        let above: Vec<_> = rows[..at].iter().map(|row| &row.module).collect();
        let below = row.uses.iter().filter(|used| !above.contains(used));
        breaches.extend(
            below.map(|used| format!("`{}` uses `{used}`, which is not above it", row.module)),
        );
    }
    keep(
        "docs/ARCHITECTURE.md, Modules: a row a module, tensors first.",
        &breaches,
    );
}

#[test]
fn arrows_between_modules_are_those_of_the_table() {
    let tree = Tree::read();
    let mut places: BTreeMap<(String, String), String> = BTreeMap::new();
    for arrow in tree.arrows() {
        let (from, to) = (
            module_of(&tree.files[arrow.from]),
            module_of(&tree.files[arrow.to]),
        );
        if from != to
            && ![&from, &to]
                .iter()
                .any(|module| TOP.contains(&module.as_str()))
        {
            let place = format!("{}:{}", tree.files[arrow.from].path, arrow.line);
            places.entry((from, to)).or_insert(place);
        }
    }
    let listed: BTreeSet<(String, String)> = rows()
        .into_iter()
        .flat_map(|row| {
            row.uses
                .into_iter()
                .map(move |used| (row.module.clone(), used))
        })
        .collect();
    let unlisted = places.iter().filter(|(arrow, _)| !listed.contains(*arrow));
    let mut breaches: Vec<String> = unlisted
        .map(|((from, to), place)| {
            format!("{place}: `{from}` uses `{to}`, which the table does not allow")
        })
        .collect();
    let idle = listed.iter().filter(|arrow| !places.contains_key(*arrow));
    breaches.extend(
        idle.map(|(from, to)| format!("the table lets `{from}` use `{to}`, which it does not")),
    );
    keep(
        "docs/ARCHITECTURE.md, Modules, names every arrow and no other.",
        &breaches,
    );
}

#[test]
fn http_sql_and_tensors_stay_in_their_modules() {
    let tree = Tree::read();
    let mut breaches = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.starts_with("src/"))
    {
        let imports = file.names.imports.iter().map(|import| &import.path);
        for named in imports.chain(&file.names.paths) {
            let reserved = RESERVED
                .iter()
                .find(|(crate_, _)| named.segments[0] == *crate_);
            if let Some((crate_, modules)) = reserved
                && !modules.contains(&module_of(file).as_str())
            {
                breaches.push(format!("{}:{}: `{crate_}`", file.path, named.line));
            }
        }
    }
    let rule = "Only `api` and `app` know axum, only `store` sqlx, only `inference`, `worker`, `app` and `machine` \
        libtorch.";
    keep(rule, &breaches);
}

/// The two threads that compute read a model without a lock; packing writes to it.
#[test]
fn only_the_loader_packs_a_model() {
    let mut breaches = Vec::new();
    for path in files("src", ".rs")
        .iter()
        .filter(|path| *path != "src/inference/loader.rs")
    {
        let code = code_of(&read(path));
        let tokens = tokens(&code);
        let calls = tokens
            .windows(3)
            .filter(|three| texts(three, &[".", "pack", "("]));
        breaches.extend(calls.map(|call| format!("{path}:{}", call[0].line)));
    }
    keep(
        "`Model::pack` is called by src/inference/loader.rs alone.",
        &breaches,
    );
}

/// What a request names is held against its key where it is looked up.
#[test]
fn handlers_look_things_up_as_whoever_asks() {
    let looks: [&[&str]; 4] = [
        &["store", ".", "dataset", "("],
        &["store", ".", "job", "("],
        &["resolver", ".", "resolve", "("],
        &["resolver", ".", "find", "("],
    ];
    // The last four have asked for the name's reach, or follow a job that was looked up so.
    let allowed = [
        "src/api/state.rs",
        "src/api/access/check.rs",
        "src/api/datasets/upload.rs",
        "src/api/jobs/admit.rs",
        "src/api/jobs/events.rs",
        "src/api/jobs/feed.rs",
    ];
    let mut breaches = Vec::new();
    for path in files("src/api", ".rs")
        .iter()
        .filter(|path| !allowed.contains(&path.as_str()))
    {
        let code = code_of(&read(path));
        let (tokens, _) = without_tests(&tokens(&code));
        for at in 0..tokens.len() {
            if looks.iter().any(|words| texts(&tokens[at..], words)) {
                breaches.push(format!("{path}:{}", tokens[at].line));
            }
        }
    }
    keep(
        "Handlers look up data sets, jobs and models by `AppState`, which knows who asks.",
        &breaches,
    );
}

/// What is mapped must not change under its readers.
#[test]
fn only_the_sink_writes_canonical_files() {
    let writers = [
        "crates/models/src/data/import/sink.rs",
        "crates/models/src/data/import.rs",
    ];
    let writing: [&[&str]; 4] = [
        &["File", "::", "create"],
        &["OpenOptions"],
        &["MmapMut"],
        &["set_len"],
    ];
    let mut breaches = Vec::new();
    let tree = Tree::read();
    let files = tree
        .files
        .iter()
        .filter(|file| file.path.starts_with("crates/models/src/data/"));
    for path in files.filter(|file| !file.test).map(|file| &file.path) {
        let code = code_of(&read(path));
        let (tokens, _) = without_tests(&tokens(&code));
        for at in 0..tokens.len() {
            let writes = writing.iter().any(|words| texts(&tokens[at..], words));
            if writes && !writers.contains(&path.as_str()) {
                breaches.push(format!("{path}:{}: `{}`", tokens[at].line, tokens[at].text));
            }
        }
    }
    keep(
        "A canonical file is written by its sink, before it has its name, and by nobody after.",
        &breaches,
    );
}

fn module_of(file: &File) -> String {
    file.module
        .get(1)
        .cloned()
        .unwrap_or_else(|| "lib".to_owned())
}

/// The rows under the heading "Modules" whose first cell is a name in backticks.
fn rows() -> Vec<Row> {
    let text = read(architecture::PATH);
    let section = architecture::section(&text, "Modules");
    let rows: Vec<Row> = section
        .filter_map(|(_, line)| line.strip_prefix("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let uses = cells[3]
                .split(',')
                .map(|name| name.trim().trim_matches('`').to_owned());
            Row {
                module: cells[0].trim_end_matches('`').to_owned(),
                uses: uses.filter(|name| name != "nothing").collect(),
            }
        })
        .collect();
    assert!(rows.len() > 10, "the table of modules was not found");
    rows
}
