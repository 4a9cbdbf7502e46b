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
    Coding, Column, FileForm, Header, ImportError, ImportOptions, Imported, MOST_FAULTS, Reading,
    Role, SplitFiles, digits, import,
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
        shape: None,
        columns: received.columns.clone(),
        header: received.header,
        delimiter: received.delimiter,
        coding: None,
        max_bytes: app.limits.unpacked_bytes,
    };
    let name = received.name.clone();
    let converted = blocking(move || {
        let converted = convert(&received, options)?;
        Ok::<_, Problem>((received.folder, converted))
    });
    let (folder, converted) = converted.await??;
    finish(app, name, folder, converted).await
}

pub async fn add_builtin(app: &AppState, wanted: &BuiltinDataset) -> Result<Dataset> {
    let Builtin::Digits = wanted.builtin;
    let folder = Incoming::create(app, &app.layout.datasets())?;
    let written = blocking(move || digits::write_digits(folder.path()).map(|info| (folder, info)));
    let written = written.await?.map_err(|error| match error {
        // A full disk has a code of its own; anything else is no fault of the client's.
        ImportError::Io(error) => Problem::file(error),
        other => Problem::internal(other),
    });
    let (folder, info) = written?;
    let converted = Converted {
        train: info.train,
        test: Some(info.test),
        files: BTreeMap::new(),
        warnings: Vec::new(),
    };
    finish(app, wanted.name.clone(), folder, converted).await
}

fn parse_shape(text: &str) -> Result<Vec<usize>, FieldError> {
    text.split(',')
        .map(|d| d.trim().parse().ok().filter(|&d| d > 0))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| {
            let rule = "must be whole numbers above 0 with commas between, such as 1,28,28";
            FieldError::new("/shape", format!("{rule}; got '{text}'"))
        })
}

/// An upload on its way: what was read of it, and all that is wrong with it.
struct Conversion<'a> {
    received: &'a Received,
    options: ImportOptions,
    readings: Readings,
    faults: Vec<FieldError>,
}

fn convert(received: &Received, mut options: ImportOptions) -> Result<Converted> {
    let shape = received.shape.as_deref().map(parse_shape).transpose();
    let mut faults = Vec::new();
    options.shape = shape.unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let mut conversion = Conversion {
        received,
        options,
        readings: Readings::new(),
        faults,
    };
    let train = conversion.split("train")?;
    let labels = train.as_ref().and_then(|train| train.column(Role::Labels));
    conversion.options.coding = labels.map(|labels| match labels.names.as_slice() {
        [] => Coding::Numbers,
        names => Coding::Words(names.to_vec()),
    });
    let test = match received.files.contains_key("test") {
        true => conversion.split("test")?,
        false => None,
    };
    let names = match (&train, &test) {
        (Some(train), Some(test)) => conversion.compare(train, test),
        _ => None,
    };
    let (Some(train), Conversion { mut readings, .. }) = (train, conversion.outcome()?) else {
        return Err(Problem::internal("an upload of no rows has no fault"));
    };
    let mut warnings = warnings::of_arrays(&readings);
    for reading in readings.values_mut() {
        warnings.append(&mut reading.warnings);
    }
    warnings.extend(names);
    warnings.extend(warnings::of_labels(&train));
    if test.is_some() {
        let same = warnings::of_same_rows(received.folder.path()).map_err(Problem::file)?;
        warnings.extend(same);
    }
    for path in received.files.values() {
        fs::remove_file(path).map_err(Problem::file)?;
    }
    let files = readings.into_iter();
    Ok(Converted {
        train,
        test,
        files: files.map(|(part, reading)| (part, reading.form)).collect(),
        warnings,
    })
}

impl Conversion<'_> {
    /// The columns of a split; none if its rows cannot be read.
    fn split(&mut self, split: &str) -> Result<Option<Imported>> {
        let out = SplitFiles::of(self.received.folder.path(), split);
        let outcome = import::import_rows(&self.received.files[split], &out, &self.options);
        let mut imported = self.pass(outcome, split)?;
        if let Some(imported) = &mut imported {
            let reading = std::mem::take(&mut imported.reading);
            self.readings.insert(split.to_owned(), reading);
        }
        for role in Role::beside_rows() {
            let part = role.in_split(split);
            let Some(source) = self.received.files.get(&part) else {
                continue;
            };
            if imported
                .as_ref()
                .is_some_and(|rows| rows.column(role).is_some())
            {
                let detail = format!("the part '{split}' holds {} already", role.name());
                self.faults
                    .push(FieldError::new(format!("/{part}"), detail));
                continue;
            }
            let rows = imported.as_ref().map_or(0, |imported| imported.rows);
            let outcome = import::import_column(role, source, &out, &self.options, rows);
            let Some((written, reading)) = self.pass(outcome, &part)? else {
                continue;
            };
            if let Some(imported) = &mut imported {
                let column = written.one_a_row(rows, &reading.form);
                imported.columns.extend(self.pass(column, &part)?);
            }
            self.readings.insert(part, reading);
        }
        Ok(imported)
    }

    /// Notes what the client can mend, at the part or field that it is about; all else ends the conversion.
    fn pass<T>(&mut self, outcome: Result<T, ImportError>, part: &str) -> Result<Option<T>> {
        let at_part = |detail: String| FieldError::new(format!("/{part}"), detail);
        let found = match outcome {
            Ok(value) => return Ok(Some(value)),
            Err(ImportError::Invalid(what) | ImportError::Unsupported(what)) => vec![at_part(what)],
            Err(ImportError::Faults(faults)) => faults.into_iter().map(at_part).collect(),
            Err(ImportError::Option { field, detail }) => {
                vec![FieldError::new(format!("/{field}"), detail)]
            }
            Err(error @ ImportError::TooLarge { .. }) => {
                return Err(Problem::new(Code::TooLarge, format!("{part}: {error}")));
            }
            Err(ImportError::Io(error)) => return Err(Problem::file(error)),
        };
        // What is said of a field may come from each file.
        let new = found
            .into_iter()
            .filter(|fault| !self.faults.contains(fault));
        let new: Vec<FieldError> = new.collect();
        self.faults.extend(new);
        Ok(None)
    }

    /// All that is wrong, the first faults of it at least.
    fn outcome(mut self) -> Result<Self> {
        if self.faults.is_empty() {
            self.require_tables();
        }
        if self.faults.is_empty() {
            return Ok(self);
        }
        self.faults.truncate(MOST_FAULTS);
        Err(Problem::fields(self.faults))
    }

    /// What is said of CSV files is said of one at least.
    fn require_tables(&mut self) {
        let mut readings = self.readings.values();
        if readings.any(|reading| reading.form.header.is_some()) {
            return;
        }
        let said = [
            (
                self.options.header != Header::Auto,
                "/header",
                "a header line",
            ),
            (
                self.options.delimiter.is_some(),
                "/delimiter",
                "a delimiter",
            ),
        ];
        for (_, pointer, what) in said.into_iter().filter(|(said, ..)| *said) {
            let rule = format!("no file of this upload is a CSV file, and only those have {what}");
            self.faults.push(FieldError::new(pointer, rule));
        }
    }

    /// Whether the columns of both splits are the same, by their kind and by their names.
    fn compare(&mut self, train: &Imported, test: &Imported) -> Option<Warning> {
        self.require_same_columns(train, test);
        let names = |split| {
            self.readings
                .get(split)
                .map(|reading: &Reading| &reading.names)
        };
        let (train, test) = names("train").zip(names("test"))?;
        warnings::of_names(train, test).unwrap_or_else(|fault| {
            self.faults.push(fault);
            None
        })
    }

    fn require_same_columns(&mut self, train: &Imported, test: &Imported) {
        for column in &test.columns {
            let Some(other) = train.column(column.role) else {
                continue;
            };
            let name = column.role.name();
            let detail = if column.shape != other.shape {
                format!(
                    "{name} have shape {:?}, those of 'train' {:?}",
                    column.shape, other.shape
                )
            } else if column.dtype != other.dtype {
                format!(
                    "holds {} values, 'train' {}: both must have one type",
                    column.dtype.as_str(),
                    other.dtype.as_str()
                )
            } else {
                continue;
            };
            let pointer = format!("/{}", column.role.in_split("test"));
            self.faults.push(FieldError::new(pointer, detail));
        }
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
    let key = app.caller.key();
    let key = key.map(|key| (key.id.as_str(), key.grant.limits.stored_bytes));
    if let Err(error) = app.store.insert_dataset(&dataset, key).await {
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
