//! From received files to a data set: every split in the canonical form, consistent, then its row.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::create::{Builtin, BuiltinDataset};
use super::upload::{Incoming, Received};
use super::warnings;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::{AppState, blocking};
use crate::artifacts::files::hex;
use crate::clock::now_ms;
use crate::data::{
    Coding, Column, FileForm, Header, ImportError, ImportOptions, Imported, Reading, Role,
    SplitFiles, digits, import,
};
use crate::document::{FieldError, Warning};
use crate::jobs::dataset_id;
use crate::store::{Dataset, Split, Splits};

/// What the splits of a data set turned out to be.
struct Converted {
    train: Imported,
    test: Option<Imported>,
    files: BTreeMap<String, FileForm>,
    warnings: Vec<Warning>,
}

/// How the file of each part was read.
type Readings = BTreeMap<String, Reading>;

pub async fn add(app: &AppState, received: Received) -> Result<Dataset> {
    let options = ImportOptions {
        shape: received.shape.as_deref().map(parse_shape).transpose()?,
        columns: received.columns.clone(),
        header: received.header,
        delimiter: received.delimiter,
        coding: None,
        max_bytes: app.limits.unpacked_bytes,
    };
    let name = received.name.clone();
    let converted = blocking(move || {
        let converted = convert(&received, &options)?;
        Ok::<_, Problem>((received.folder, converted))
    });
    let (folder, converted) = converted.await??;
    finish(app, name, folder, converted).await
}

pub async fn add_builtin(app: &AppState, wanted: &BuiltinDataset) -> Result<Dataset> {
    let Builtin::Digits = wanted.builtin;
    let folder = Incoming::create(app, &app.layout.datasets())?;
    let written = blocking(move || digits::write_digits(folder.path()).map(|info| (folder, info)));
    let (folder, info) = written.await?.map_err(|e| problem(e, "builtin"))?;
    let converted = Converted {
        train: info.train,
        test: Some(info.test),
        files: BTreeMap::new(),
        warnings: Vec::new(),
    };
    finish(app, wanted.name.clone(), folder, converted).await
}

fn parse_shape(text: &str) -> Result<Vec<usize>> {
    text.split(',')
        .map(|d| d.trim().parse().ok().filter(|&d| d > 0))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| {
            let rule = "must be whole numbers above 0 with commas between, such as 1,28,28";
            Problem::field("/shape", format!("{rule}; got '{text}'"))
        })
}

fn convert(received: &Received, options: &ImportOptions) -> Result<Converted> {
    let mut readings = Readings::new();
    let train = convert_split(received, "train", options, &mut readings)?;
    let labels = train.column(Role::Labels);
    let options = &ImportOptions {
        coding: labels.map(|labels| match labels.names.as_slice() {
            [] => Coding::Numbers,
            names => Coding::Words(names.to_vec()),
        }),
        ..options.clone()
    };
    let test = match received.files.contains_key("test") {
        true => Some(convert_split(received, "test", options, &mut readings)?),
        false => None,
    };
    require_tables(options, &readings)?;
    let mut warnings = warnings::of_arrays(&readings);
    for reading in readings.values_mut() {
        warnings.append(&mut reading.warnings);
    }
    if let Some(test) = &test {
        require_same_columns(&train, test)?;
        let same = warnings::of_same_rows(received.folder.path()).map_err(Problem::internal)?;
        warnings.extend(same);
    }
    for path in received.files.values() {
        fs::remove_file(path).map_err(Problem::internal)?;
    }
    let files = readings.into_iter();
    Ok(Converted {
        train,
        test,
        files: files.map(|(part, reading)| (part, reading.form)).collect(),
        warnings,
    })
}

fn convert_split(
    received: &Received,
    split: &str,
    options: &ImportOptions,
    readings: &mut Readings,
) -> Result<Imported> {
    let out = SplitFiles::of(received.folder.path(), split);
    let source = &received.files[split];
    let mut imported = import::import_rows(source, &out, options).map_err(|e| problem(e, split))?;
    readings.insert(split.to_owned(), std::mem::take(&mut imported.reading));
    for role in Role::beside_rows() {
        let part = role.in_split(split);
        let Some(source) = received.files.get(&part) else {
            continue;
        };
        if imported.column(role).is_some() {
            let detail = format!("the part '{split}' holds {} already", role.name());
            return Err(Problem::field(format!("/{part}"), detail));
        }
        let (written, reading) = import::import_column(role, source, &out, options, imported.rows)
            .map_err(|e| problem(e, &part))?;
        let column = written.one_a_row(imported.rows, &reading.form);
        imported
            .columns
            .push(column.map_err(|e| problem(e, &part))?);
        readings.insert(part, reading);
    }
    Ok(imported)
}

/// What is said of CSV files is said of one at least.
fn require_tables(options: &ImportOptions, readings: &Readings) -> Result<()> {
    if readings
        .values()
        .any(|reading| reading.form.header.is_some())
    {
        return Ok(());
    }
    let said = [
        (options.header != Header::Auto, "/header", "a header line"),
        (options.delimiter.is_some(), "/delimiter", "a delimiter"),
    ];
    let broken = said
        .into_iter()
        .filter(|(said, ..)| *said)
        .map(|(_, pointer, what)| {
            let rule = format!("no file of this upload is a CSV file, and only those have {what}");
            FieldError::new(pointer, rule)
        });
    match broken.collect::<Vec<_>>() {
        broken if broken.is_empty() => Ok(()),
        broken => Err(Problem::fields(broken)),
    }
}

fn require_same_columns(train: &Imported, test: &Imported) -> Result<()> {
    for column in &test.columns {
        let Some(other) = train.column(column.role) else {
            continue;
        };
        let (name, part) = (column.role.name(), column.role.in_split("test"));
        if column.shape != other.shape {
            let detail = format!(
                "{name} have shape {:?}, those of 'train' {:?}",
                column.shape, other.shape
            );
            return Err(Problem::field(format!("/{part}"), detail));
        }
        if column.dtype != other.dtype {
            let detail = format!(
                "holds {} values, 'train' {}: both must have one type",
                column.dtype.as_str(),
                other.dtype.as_str()
            );
            return Err(Problem::field(format!("/{part}"), detail));
        }
    }
    Ok(())
}

fn problem(error: ImportError, part: &str) -> Problem {
    let text = error.to_string();
    match error {
        ImportError::Invalid(_) | ImportError::Unsupported(_) => {
            Problem::field(format!("/{part}"), text)
        }
        ImportError::TooLarge { .. } => Problem::new(Code::TooLarge, format!("{part}: {text}")),
        ImportError::Option { field, detail } => Problem::field(format!("/{field}"), detail),
        ImportError::Io(error) => Problem::file(error),
    }
}

/// The folder gets its lasting name before the row that names it.
async fn finish(
    app: &AppState,
    name: String,
    folder: Incoming,
    converted: Converted,
) -> Result<Dataset> {
    let id = dataset_id();
    let target = app.layout.dataset(&id);
    let named = target.clone();
    let digest = blocking(move || {
        let digest = digest_of(folder.path())?;
        folder.keep_as(&named)?;
        Ok::<_, io::Error>(digest)
    });
    let (sha256, bytes) = digest.await?.map_err(Problem::file)?;
    let dataset = row(id, name, &converted, sha256, bytes);
    if let Err(error) = app.store.insert_dataset(&dataset).await {
        let _ = tokio::fs::remove_dir_all(&target).await;
        return Err(error.into());
    }
    Ok(dataset)
}

fn row(id: String, name: String, converted: &Converted, sha256: String, bytes: u64) -> Dataset {
    let Converted {
        train,
        test,
        files,
        warnings,
    } = converted;
    let split = |s: &Imported| Split {
        rows: signed(s.rows),
        columns: s.columns.iter().map(|column| column.role).collect(),
    };
    let mut columns: Vec<Column> = train.columns.clone();
    for column in test.iter().flat_map(|test| &test.columns) {
        match columns.iter_mut().find(|known| known.role == column.role) {
            Some(known) => known.join(column),
            None => columns.push(column.clone()),
        }
    }
    columns.sort_by_key(|column| column.role);
    Dataset {
        id,
        name,
        kind: "dense".to_owned(),
        columns,
        splits: Splits {
            train: split(train),
            test: test.as_ref().map(split),
        },
        sha256,
        bytes: signed(bytes),
        created_at: now_ms(),
        warnings: warnings.clone(),
        files: files.clone(),
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// One digest over the canonical files, in name order.
fn digest_of(folder: &Path) -> io::Result<(String, u64)> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|e| Ok(e?.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    for path in files {
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        let mut file = fs::File::open(path)?;
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            digest.update(&buffer[..n]);
            bytes += n as u64;
        }
    }
    Ok((hex(&digest.finalize()), bytes))
}
