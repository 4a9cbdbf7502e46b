//! Receives a multipart upload: files go to disk as they arrive, never whole into memory, and a
//! refused or broken-off upload leaves nothing behind.

#![expect(
    clippy::disallowed_methods,
    reason = "an upload lies on disk until `data` has read it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::extract::multipart::Field;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::api::form::{Form, broken};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::artifacts::files::INCOMING;
use crate::artifacts::room;
use crate::data::{Header, Role};
use crate::document::Rules;
use crate::jobs::check_name;

const SPLITS: [&str; 2] = ["train", "test"];

const TEXT_BYTES: usize = 4096;
/// Bytes of an upload between two looks at what is free on the disk.
const LOOK_EVERY: u64 = 1 << 20;
/// Bytes that go to disk at once: each time costs a change of threads.
const BLOCK: usize = 256 << 10;

/// A folder that is removed when it is dropped, unless it was given a name that a row names.
pub struct Incoming {
    path: PathBuf,
    kept: bool,
}

impl Incoming {
    pub fn create(app: &AppState, beside: &Path) -> Result<Self> {
        // Else all of it would be received in vain, in a folder where the data directory was.
        app.store.require_in_place()?;
        let path = beside.join(format!("{INCOMING}{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).map_err(Problem::file)?;
        Ok(Self { path, kept: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the folder to its lasting place.
    pub fn keep_as(mut self, target: &Path) -> std::io::Result<()> {
        std::fs::File::open(&self.path)?.sync_all()?;
        std::fs::rename(&self.path, target)?;
        self.kept = true;
        match target.parent() {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished upload could not be removed");
        }
    }
}

/// A whole upload, still in the formats it came in.
pub struct Received {
    pub folder: Incoming,
    pub name: String,
    pub files: BTreeMap<String, PathBuf>,
    pub shape: Option<String>,
    pub header: Header,
    pub delimiter: Option<u8>,
    /// The column of a CSV file that each role is in, where one was named.
    pub columns: BTreeMap<Role, String>,
}

/// Of each split a file a column: `train`, `train_labels`, …
fn file_parts() -> Vec<String> {
    let of_split = |split| Role::ALL.map(|role| role.in_split(split));
    SPLITS.into_iter().flat_map(of_split).collect()
}

fn text_parts() -> Vec<&'static str> {
    let mut parts = vec!["name", "shape", "header", "delimiter"];
    parts.extend(Role::beside_rows().map(Role::field));
    parts.push("kind");
    parts
}

pub async fn receive(app: &AppState, mut form: Form) -> Result<Received> {
    let folder = Incoming::create(app, &app.layout.datasets())?;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (file_parts, text_parts) = (file_parts(), text_parts());
    let mut room = app.limits.upload_bytes;
    while let Some(field) = form.next().await? {
        let part = part_name(&field)?;
        let pointer = format!("/{part}");
        if texts.contains_key(&part) || files.contains_key(&part) {
            return Err(twice(pointer));
        }
        if file_parts.contains(&part) {
            let path = folder.path().join(format!("{part}.upload"));
            room = save(field, &path, room, app.limits.upload_bytes, &pointer).await?;
            files.insert(part, path);
        } else if text_parts.contains(&part.as_str()) {
            let text = read_text(field, &pointer).await?;
            check_text(app, &part, &text).await?;
            texts.insert(part, text);
        } else {
            let files = file_parts.iter().map(String::as_str);
            let known: Vec<&str> = files.chain(text_parts).collect();
            return Err(no_part(pointer, &known.join(", ")));
        }
    }
    let name = texts.remove("name");
    let mut rules = Rules::default();
    rules.require(name.is_some(), "/name", "is missing");
    rules.require(
        files.contains_key("train"),
        "/train",
        "is missing: a file of rows to train on",
    );
    for part in Role::beside_rows().map(|role| role.in_split("test")) {
        rules.require(
            !files.contains_key(&part) || files.contains_key("test"),
            &format!("/{part}"),
            "is there without the part 'test'",
        );
    }
    rules.outcome().map_err(Problem::fields)?;
    Ok(Received {
        folder,
        name: name.unwrap_or_default(),
        files,
        shape: texts.remove("shape"),
        delimiter: texts
            .remove("delimiter")
            .map_or(Ok(None), |text| read_delimiter(&text))?,
        header: texts
            .remove("header")
            .map_or(Ok(Header::Auto), |text| read_header(&text))?,
        columns: Role::beside_rows()
            .filter_map(|role| Some((role, texts.remove(role.field())?)))
            .collect(),
    })
}

pub(in crate::api) fn part_name(field: &Field<'_>) -> Result<String> {
    let nameless = || Problem::new(Code::Invalid, "every part of the form needs a name");
    field.name().map(str::to_owned).ok_or_else(nameless)
}

pub(in crate::api) fn twice(pointer: String) -> Problem {
    Problem::field(pointer, "the form has two parts of this name")
}

pub(in crate::api) fn no_part(pointer: String, known: &str) -> Problem {
    let rule = format!("is not a part of this form; its parts are {known}");
    Problem::field(pointer, rule)
}

/// What can be refused before the files are read is refused then.
async fn check_text(app: &AppState, part: &str, text: &str) -> Result<()> {
    match part {
        "name" => {
            check_name(text).map_err(|e| Problem::field("/name", e.to_string()))?;
            app.caller.require_dataset(text)?;
            match app.store.dataset(text).await {
                Ok(_) => Err(Problem::new(
                    Code::Conflict,
                    format!("a data set named '{text}' exists"),
                )),
                Err(crate::store::StoreError::NotFound(_)) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        "header" => read_header(text).map(drop),
        "delimiter" => read_delimiter(text).map(drop),
        "kind" if text != "dense" => Err(Problem::field(
            "/kind",
            format!("must be 'dense', got '{text}'"),
        )),
        _ => Ok(()),
    }
}

/// The part `header`.
fn read_header(text: &str) -> Result<Header> {
    match text {
        "auto" => Ok(Header::Auto),
        "yes" => Ok(Header::Yes),
        "no" => Ok(Header::No),
        other => {
            let rule = format!("must be 'auto', 'yes' or 'no', got '{other}'");
            Err(Problem::field("/header", rule))
        }
    }
}

/// The part `delimiter`: none where it is to be found.
fn read_delimiter(text: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        b"auto" => Ok(None),
        b"\\t" => Ok(Some(b'\t')),
        // What numbers are written with, quotes and line ends separate nothing.
        [one]
            if one.is_ascii() && !one.is_ascii_alphanumeric() && !b"+-.\"\r\n\0".contains(one) =>
        {
            Ok(Some(*one))
        }
        _ => {
            let rule = "must be 'auto' or one ASCII character that is no letter, digit, sign, point, quote or line \
                        end ('\\t' is a tab)";
            Err(Problem::field(
                "/delimiter",
                format!("{rule}; got {text:?}"),
            ))
        }
    }
}

/// Streams a part to a file; answers how many bytes the upload may still bring.
pub(in crate::api) async fn save(
    mut field: Field<'_>,
    path: &Path,
    mut room: u64,
    limit: u64,
    pointer: &str,
) -> Result<u64> {
    let file = File::create(path).await.map_err(Problem::file)?;
    let mut file = BufWriter::with_capacity(BLOCK, file);
    let folder = path.parent().unwrap_or(path);
    let mut until_asked = 0;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        room = room.checked_sub(chunk.len() as u64).ok_or_else(|| {
            Problem::new(
                Code::TooLarge,
                format!(
                    "{}: the upload is larger than {limit} bytes",
                    pointer.trim_start_matches('/')
                ),
            )
        })?;
        if chunk.len() as u64 > until_asked {
            room::require(folder, LOOK_EVERY).map_err(Problem::file)?;
            until_asked = LOOK_EVERY;
        }
        until_asked = until_asked.saturating_sub(chunk.len() as u64);
        file.write_all(&chunk).await.map_err(Problem::file)?;
    }
    file.flush().await.map_err(Problem::file)?;
    Ok(room)
}

pub(in crate::api) async fn read_text(mut field: Field<'_>, pointer: &str) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_BYTES {
            return Err(Problem::field(
                pointer,
                format!("must be at most {TEXT_BYTES} bytes of text"),
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::field(pointer, "must be text in UTF-8"))
}
