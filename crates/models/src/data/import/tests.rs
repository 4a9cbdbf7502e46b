//! Imports of sound files, each format written here and read back.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::reader::ColumnFile;
use super::super::{
    Coding, Dtype, Header, ImportError, ImportOptions, Imported, Role, SplitFiles, Written, npy,
};
use super::{import_column, import_rows};

/// What a form says beside its files.
pub(super) struct Options {
    pub shape: Option<Vec<usize>>,
    pub label_column: Option<String>,
    pub target_column: Option<String>,
    pub header: Header,
    pub delimiter: Option<u8>,
    pub coding: Option<Coding>,
    /// Of the rows that a column goes with.
    pub rows: u64,
    pub max_bytes: u64,
}

/// The columns of an import, by role.
#[derive(Debug)]
pub(super) struct Found {
    pub rows: RowsInfo,
    pub labels: Option<LabelsInfo>,
    pub targets: Option<TargetsInfo>,
}

#[derive(Debug)]
pub(super) struct RowsInfo {
    pub rows: u64,
    pub shape: Vec<i64>,
    pub dtype: Dtype,
    pub min: f64,
    pub max: f64,
}

#[derive(Debug, PartialEq)]
pub(super) struct LabelsInfo {
    pub count: u64,
    pub classes: i64,
}

#[derive(Debug, PartialEq)]
pub(super) struct TargetsInfo {
    pub count: u64,
    pub min: f64,
    pub max: f64,
}

impl From<Written> for LabelsInfo {
    fn from(written: Written) -> Self {
        Self {
            count: written.count,
            classes: written.column.classes.unwrap(),
        }
    }
}

impl From<Written> for TargetsInfo {
    fn from(written: Written) -> Self {
        let count = written.count;
        let [min, max] = written.column.range.unwrap();
        Self { count, min, max }
    }
}

/// A folder with one source file and the places of the outputs.
pub(super) struct Bench {
    pub dir: tempfile::TempDir,
    pub options: Options,
    pub split: &'static str,
}

impl Bench {
    pub(super) fn new() -> Self {
        let options = Options {
            shape: None,
            label_column: None,
            target_column: None,
            header: Header::Auto,
            delimiter: None,
            coding: None,
            rows: 0,
            max_bytes: 10_000_000,
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            options,
            split: "train",
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn out(&self) -> SplitFiles {
        SplitFiles::of(self.dir.path(), self.split)
    }

    fn import_options(&self) -> ImportOptions {
        let named = [
            (Role::Labels, &self.options.label_column),
            (Role::Targets, &self.options.target_column),
        ];
        let named = named.into_iter();
        ImportOptions {
            shape: self.options.shape.clone(),
            columns: named.filter_map(|(r, c)| Some((r, c.clone()?))).collect(),
            header: self.options.header,
            delimiter: self.options.delimiter,
            coding: self.options.coding.clone(),
            max_bytes: self.options.max_bytes,
        }
    }

    pub(super) fn imported(&self, bytes: &[u8]) -> Result<Imported, ImportError> {
        fs::write(self.path("source"), bytes).unwrap();
        let source = self.path("source");
        self.check_left(import_rows(&source, &self.out(), &self.import_options()))
    }

    pub(super) fn rows(&self, bytes: &[u8]) -> Result<Found, ImportError> {
        let imported = self.imported(bytes)?;
        let (count, rows) = (imported.rows, imported.column(Role::Rows).unwrap());
        let written = |role| {
            let column = imported.column(role)?.clone();
            Some(Written { column, count })
        };
        let [min, max] = rows.range.unwrap();
        Ok(Found {
            rows: RowsInfo {
                rows: count,
                shape: rows.shape.clone(),
                dtype: rows.dtype,
                min,
                max,
            },
            labels: written(Role::Labels).map(LabelsInfo::from),
            targets: written(Role::Targets).map(TargetsInfo::from),
        })
    }

    pub(super) fn labels(&self, bytes: &[u8]) -> Result<LabelsInfo, ImportError> {
        self.column(Role::Labels, bytes).map(LabelsInfo::from)
    }

    pub(super) fn targets(&self, bytes: &[u8]) -> Result<TargetsInfo, ImportError> {
        self.column(Role::Targets, bytes).map(TargetsInfo::from)
    }

    pub(super) fn column(&self, role: Role, bytes: &[u8]) -> Result<Written, ImportError> {
        fs::write(self.path("source"), bytes).unwrap();
        let source = self.path("source");
        let (options, rows) = (self.import_options(), self.options.rows);
        let imported = import_column(role, &source, &self.out(), &options, rows);
        self.check_left(imported.map(|(written, _)| written))
    }

    /// After an error only the source may be there.
    fn check_left<T>(&self, result: Result<T, ImportError>) -> Result<T, ImportError> {
        let left = fs::read_dir(self.dir.path()).unwrap().count();
        assert!(
            left <= if result.is_err() { 1 } else { 4 },
            "{left} files are left"
        );
        result
    }

    /// All rows, in the model's units.
    pub(super) fn values(&self) -> Vec<f32> {
        let file = self.stored(Role::Rows);
        let indices: Vec<u32> = (0..u32::try_from(file.rows()).unwrap()).collect();
        let mut out = vec![0.0; file.rows() * file.row_len()];
        file.gather(&indices, &mut out).unwrap();
        out
    }

    pub(super) fn stored_labels(&self) -> Vec<i64> {
        self.stored(Role::Labels).values().unwrap().to_vec()
    }

    pub(super) fn stored_targets(&self) -> Vec<f64> {
        self.stored(Role::Targets).values().unwrap().to_vec()
    }

    fn stored(&self, role: Role) -> ColumnFile {
        ColumnFile::open(&self.out().path(role)).unwrap()
    }
}

pub(super) fn idx(kind: u8, dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, kind, u8::try_from(dims.len()).unwrap()];
    out.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    out.extend(body);
    out
}

pub(super) fn array(descr: &str, dims: &[u64], body: &[u8]) -> Vec<u8> {
    [&npy::header(descr, dims), body].concat()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(super) fn npz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (at, (name, bytes)) in members.iter().enumerate() {
        // NumPy writes ZIP64 local headers, and stores or deflates.
        let method = [
            zip::CompressionMethod::Stored,
            zip::CompressionMethod::Deflated,
        ][at % 2];
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(method)
            .large_file(true);
        out.start_file(*name, options).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn idx_pictures_stay_bytes() {
    let bench = Bench::new();
    let plain = idx(8, &[2, 1, 2], &[0, 255, 51, 102]);
    for bytes in [plain.clone(), gzip(&plain), gzip(&gzip(&plain))] {
        let rows = bench.rows(&bytes).unwrap().rows;
        assert_eq!(
            (rows.rows, rows.shape, rows.dtype),
            (2, vec![1, 1, 2], Dtype::U8)
        );
        assert!((rows.min, rows.max) == (0.0, 1.0));
        assert_eq!(bench.values()[..2], [0.0, 1.0]);
    }
    assert!(bench.rows(&gzip(&gzip(&gzip(&plain)))).is_err());
}

#[test]
fn idx_numbers_become_floats() {
    let bench = Bench::new();
    let rows = bench
        .rows(&idx(0x0b, &[1, 2], &[0xff, 0xff, 0, 3]))
        .unwrap()
        .rows;
    assert_eq!(
        (rows.shape, rows.dtype, rows.min, rows.max),
        (vec![2], Dtype::F32, -1.0, 3.0)
    );
    assert_eq!(bench.values(), [-1.0, 3.0]);
}

#[test]
fn idx_labels() {
    let bench = Bench::new();
    let info = bench.labels(&gzip(&idx(8, &[3], &[2, 0, 7]))).unwrap();
    assert_eq!((info.count, info.classes), (3, 8));
    assert_eq!(bench.stored_labels(), [2, 0, 7]);
}

#[test]
fn npy_of_either_byte_order() {
    let bench = Bench::new();
    let little: Vec<u8> = [1.5f64, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let big: Vec<u8> = [1.5f64, -2.0]
        .iter()
        .flat_map(|v| v.to_be_bytes())
        .collect();
    for bytes in [array("<f8", &[2, 1], &little), array(">f8", &[2, 1], &big)] {
        assert_eq!(bench.rows(&bytes).unwrap().rows.shape, [1]);
        assert_eq!(bench.values(), [1.5, -2.0]);
    }
    assert_eq!(
        bench
            .labels(&array("<i2", &[2, 1], &[4, 0, 1, 0]))
            .unwrap()
            .classes,
        5
    );
}

#[test]
fn npy_larger_than_one_chunk() {
    let bench = Bench::new();
    let body: Vec<u8> = (0..200_000i32).flat_map(i32::to_le_bytes).collect();
    let rows = bench
        .rows(&gzip(&array("<i4", &[2000, 100], &body)))
        .unwrap()
        .rows;
    assert_eq!((rows.rows, rows.min, rows.max), (2000, 0.0, 199_999.0));
    assert!(
        bench
            .values()
            .iter()
            .zip(0u32..)
            .all(|(v, n)| f64::from(*v).to_bits() == f64::from(n).to_bits())
    );
}

#[test]
fn npz_by_name_or_alone() {
    let bench = Bench::new();
    let x = array("|u1", &[2, 1, 1], &[0, 255]);
    let y = array("<i8", &[2], &[[1, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat());
    let both = npz(&[("x_test.npy", &y), ("x_train.npy", &x), ("y_train.npy", &y)]);
    for bytes in [both.clone(), gzip(&both)] {
        let found = bench.rows(&bytes).unwrap();
        assert_eq!((found.rows.rows, found.labels.unwrap().classes), (2, 2));
        assert_eq!(bench.values(), [0.0, 1.0]);
        assert_eq!(bench.stored_labels(), [1, 0]);
    }
    assert_eq!(bench.labels(&both).unwrap().count, 2);
    let other = Bench {
        split: "test",
        ..Bench::new()
    };
    let of_none = npz(&[("x.npy", &x), ("y_train.npy", b"not read")]);
    assert!(other.rows(&of_none).unwrap().labels.is_none());
    assert_eq!(other.values(), [0.0, 1.0]);
    let refused = other.rows(&both).unwrap_err().to_string();
    assert!(
        refused.contains("labels; rows need"),
        "x_test, not x_train: {refused}"
    );
    let bench = Bench::new();
    assert!(
        bench
            .rows(&npz(&[("arr_0.npy", &x)]))
            .unwrap()
            .labels
            .is_none()
    );
    assert_eq!(
        bench.labels(&npz(&[("whatever.npy", &y)])).unwrap().count,
        2
    );
}

#[test]
fn csv_with_header_and_labels() {
    let mut bench = Bench::new();
    let text = "\u{feff}a,\"class\",b\r\n1, 3 ,2\r\n\r\n-4.5,0,1e2\r\n";
    for column in ["class", "1", "-2"] {
        bench.options.label_column = Some(column.to_owned());
        let found = bench.rows(text.as_bytes()).unwrap();
        assert_eq!((found.rows.rows, found.rows.shape), (2, vec![2]));
        assert_eq!((found.rows.min, found.rows.max), (-4.5, 100.0));
        assert_eq!(found.labels.unwrap().classes, 4);
        assert_eq!(bench.values(), [1.0, 2.0, -4.5, 100.0]);
        assert_eq!(bench.stored_labels(), [3, 0]);
    }
}

#[test]
fn csv_without_header() {
    let mut bench = Bench::new();
    for text in ["1,2\n3,4", "1;2\n3;4\n", "1\t2\n3\t4\n"] {
        let found = bench.rows(text.as_bytes()).unwrap();
        assert!(found.labels.is_none());
        assert_eq!(bench.values(), [1.0, 2.0, 3.0, 4.0]);
    }
    bench.options.shape = Some(vec![1, 1, 2]);
    assert_eq!(
        bench.rows(&gzip(b"1,2\n3,4\n")).unwrap().rows.shape,
        [1, 1, 2]
    );
    assert_eq!(
        bench.labels(b"label\n5\n0\n").unwrap(),
        LabelsInfo {
            count: 2,
            classes: 6
        }
    );
}
