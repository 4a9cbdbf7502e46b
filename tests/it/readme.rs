//! README's walk with curl, run as it is written: every command succeeds and answers what README says.
//!
//! The address is replaced, and so are the ids of jobs, as readers do.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::fixtures::{idx, npy};
use crate::service::{PATIENCE, Service};

/// A command of a block, and what README shows below it.
struct Step {
    line: usize,
    command: String,
    shown: String,
}

#[tokio::test]
async fn the_walk_with_curl_goes_as_it_is_written() {
    let present = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !present("bash") || !present("curl") {
        println!("skipped: bash or curl is missing");
        return;
    }
    let service = Service::start(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut names = BTreeMap::from([("127.0.0.1:8080".to_owned(), service.address().to_owned())]);
    let mut variables = String::new();
    let walk = steps("## A walk with curl", "### With tritonclient", "```console");
    assert!(walk.len() > 12, "the walk was not found");
    for step in walk {
        let command = replaced(&step.command, &names);
        if command.starts_with("make serve") {
            continue;
        }
        if !command.starts_with("curl") {
            variables.push_str(&format!("{command}\n"));
            continue;
        }
        let answer = answered(&step, &format!("{variables}{command}"), folder.path());
        if let (Some(shown), Some(given)) = (job_id(&step.shown), job_id(&answer)) {
            names.insert(shown, given);
        }
        shows_pictures(&step, folder.path());
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let elsewhere = Service::with_digits_on(&[], elsewhere.path()).await;
    names.insert("elsewhere:8080".to_owned(), elsewhere.address().to_owned());
    for step in steps("## Taking models elsewhere", "## Results", "```sh") {
        answered(&step, &replaced(&step.command, &names), folder.path());
    }
    for file in ["digits-ae-1.zip", "digits-ae-1-encode.onnx"] {
        assert!(folder.path().join(file).exists(), "{file} was not written");
    }
    elsewhere
        .get("/v1/models/digits-ae/versions/1")
        .await
        .ok(200);
}

/// The uploads that README shows, with files of these names.
#[tokio::test]
async fn files_are_taken_as_readme_sends_them() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is missing");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let own_irises = || {
        let line = |(at, word)| format!("5.{at},3.{at},1.4,0.2,{word}\n");
        let lines = (1..)
            .zip(["setosa", "versicolor", "virginica", "setosa"])
            .map(line);
        let header = "sepal_length,sepal_width,petal_length,petal_width,species\n".to_owned();
        std::iter::once(header)
            .chain(lines)
            .collect::<String>()
            .into_bytes()
    };
    let everyones = std::env::var("LATENTD_TEST_DATA").ok();
    let everyones =
        everyones.and_then(|data| std::fs::read(Path::new(&data).join("tables/iris.csv")).ok());
    for (name, bytes) in [
        ("train-images-idx3-ubyte", idx(&[3, 2, 2], &[7; 12])),
        ("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 2])),
        ("t10k-images-idx3-ubyte", idx(&[2, 2, 2], &[9; 8])),
        ("t10k-labels-idx1-ubyte", idx(&[2], &[1, 2])),
        ("faces.npy", npy(&[2, 4096], &[0.5; 8192])),
        ("iris.csv", everyones.unwrap_or_else(own_irises)),
        (
            "houses.csv",
            b"size,price\n90,250000\n120,310000\n".to_vec(),
        ),
    ] {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    let service = Service::start(&[]).await;
    let names = BTreeMap::from([("127.0.0.1:8080".to_owned(), service.address().to_owned())]);
    let steps = steps("### Your own data", "## Model families", "```sh");
    let uploads: Vec<Step> = (steps.into_iter())
        .filter(|step| step.command.starts_with("curl"))
        .collect();
    assert_eq!(uploads.len(), 4, "the uploads were not found");
    for step in uploads {
        let answer = answered(&step, &replaced(&step.command, &names), folder.path());
        assert!(
            answer.starts_with("{\"id\":\"ds_"),
            "README.md:{}: {answer}",
            step.line
        );
    }
    let irises = service.get("/v1/datasets/iris").await.ok(200);
    assert_eq!(
        irises["label_names"],
        serde_json::json!(["setosa", "versicolor", "virginica"])
    );
}

fn replaced(command: &str, names: &BTreeMap<String, String>) -> String {
    names
        .iter()
        .fold(command.to_owned(), |command, (shown, given)| {
            command.replace(shown, given)
        })
}

/// Runs a command until it answers what is shown: a job may take longer than one answer waits.
fn answered(step: &Step, command: &str, folder: &Path) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = Command::new("bash")
            .args(["-euc", command])
            .current_dir(folder)
            .env("NO_PROXY", "*")
            .output();
        let output = output.expect("bash runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "README.md:{}: {command}\n{errors}",
            step.line
        );
        let waits = command.contains("Prefer: wait") && Instant::now() < end;
        match differs(&step.shown, &answer) {
            None => return answer,
            Some(_) if waits => {}
            Some(part) => panic!(
                "README.md:{}: {command}\nanswered\n{answer}\nwithout, in its place, what README shows:\n{part}",
                step.line
            ),
        }
    }
}

/// The commands of the blocks between two headings.
fn steps(from: &str, to: &str, fence: &str) -> Vec<Step> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).expect("README.md");
    let mut steps: Vec<Step> = Vec::new();
    let (mut inside, mut open) = (false, false);
    let lines = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != from);
    for (at, line) in lines.take_while(|(_, line)| *line != to) {
        if line.starts_with("```") {
            inside = line == fence;
            continue;
        }
        if !inside || line.is_empty() {
            continue;
        }
        let begins = fence == "```sh" || line.starts_with("$ ");
        match steps.last_mut() {
            Some(step) if open => step.command.push_str(&format!("\n{line}")),
            Some(step) if !begins => step.shown.push_str(line),
            _ => steps.push(Step {
                line: at + 1,
                command: line.trim_start_matches("$ ").to_owned(),
                shown: String::new(),
            }),
        }
        open = steps.last().is_some_and(|step| is_open(&step.command)) && (open || begins);
    }
    steps
}

/// Whether the shell would read on.
fn is_open(command: &str) -> bool {
    command.ends_with('\\') || !command.matches('\'').count().is_multiple_of(2)
}

fn job_id(text: &str) -> Option<String> {
    let id = text.strip_prefix("{\"id\":\"")?.split('"').next()?;
    id.starts_with("job_").then(|| id.to_owned())
}

/// What a command writes to a file is the picture it asks for.
fn shows_pictures(step: &Step, folder: &Path) {
    let words: Vec<&str> = step.command.split_whitespace().collect();
    for pair in words.windows(2).filter(|pair| pair[0] == "-o") {
        let bytes = std::fs::read(folder.join(pair[1])).expect("the file was written");
        assert!(
            bytes.starts_with(b"\x89PNG"),
            "README.md:{}: {} is no picture",
            step.line,
            pair[1]
        );
    }
}

/// The first part of what is shown, between two `…`, that the answer lacks; parts come in their order.
fn differs(shown: &str, answer: &str) -> Option<String> {
    let answer = words(answer);
    let (mut at, mut cut) = (0, false);
    for part in shown.split('…') {
        // What is left of a string that was cut short is not looked at.
        let part = if cut {
            part.split_once('"').map_or("", |(_, rest)| rest)
        } else {
            part
        };
        cut = !part.matches('"').count().is_multiple_of(2);
        let part = words(part);
        let found = (at..=answer.len().saturating_sub(part.len())).find(|from| {
            part.iter()
                .zip(&answer[*from..])
                .all(|(shown, given)| agree(shown, given))
        });
        match found {
            Some(from) if part.len() <= answer.len() => at = from + part.len(),
            _ => return Some(part.concat()),
        }
    }
    None
}

/// JSON as strings, numbers and single characters.
fn words(json: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = json.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            '-' | '0'..='9' => rest
                .find(|c: char| !"+-.eE0123456789".contains(c))
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

/// Ids and times differ from one run to the next; the last digits of floats do from one processor to
/// the next, and training makes more of that. A string that is cut short agrees with what it begins.
fn agree(shown: &str, given: &str) -> bool {
    let differs_by_run = |text: &str| {
        let text = text.trim_matches('"');
        text.starts_with("job_")
            || text.starts_with("ds_")
            || (text.starts_with("20") && text.ends_with('Z'))
    };
    let float = |text: &str| {
        text.contains('.')
            .then(|| text.parse::<f64>().ok())
            .flatten()
    };
    if let (Some(shown), Some(given)) = (float(shown), float(given)) {
        return (shown - given).abs() <= 0.2 * shown.abs().max(0.01);
    }
    let cut = shown.starts_with('"') && !shown[1..].ends_with('"');
    shown == given
        || (differs_by_run(shown) && differs_by_run(given))
        || (cut && given.starts_with(shown))
}

#[test]
fn an_answer_is_told_from_another() {
    let shown = r#"{"id":"job_1","at":"2026-11-24T00:18:50.049Z","n":[1,…,2.51],"sha":"8c3…"}"#;
    let given =
        r#"{"id": "job_2", "at": "2027-01-01T00:00:00Z", "n": [1, 7, 2.5], "sha": "8c3345"}"#;
    assert_eq!(differs(shown, given), None);
    for (from, to) in [
        ("[1,", "[2,"),
        ("2.5]", "3.5]"),
        ("8c3", "8d3"),
        ("\"n\"", "\"m\""),
    ] {
        let other = given
            .replace(", ", ",")
            .replace(": ", ":")
            .replace(from, to);
        assert!(differs(shown, &other).is_some(), "{from} -> {to}");
    }
}
