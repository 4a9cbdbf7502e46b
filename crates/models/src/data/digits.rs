//! The data set that comes with the program: 1,797 digits of 8 by 8 pixels.
//!
//! E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
//! UCI Machine Learning Repository, 1998, licensed CC BY 4.0. The embedded
//! file is its test part: per line 64 values from 0 to 16, then the digit.
//!
//! The first 1,437 lines train and the last 360 test. In the file's own order
//! each digit has 141 to 146 rows in the first part and 33 to 37 in the second.

use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;

use super::import::sink::ColumnSink;
use super::{Dtype, ImportError, Imported, Role, SplitFiles};

const FILE: &[u8] = include_bytes!("digits.csv.gz");
const TRAIN: usize = 1437;
const PIXELS: usize = 64;
/// Far more than the files take.
const LIMIT: u64 = 1 << 24;

/// What `write_digits` wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct DigitsInfo {
    pub train: Imported,
    pub test: Imported,
}

/// Writes `train.npy`, `train_labels.npy`, `test.npy` and `test_labels.npy`
/// in canonical form: values over 16 as f32, rows of shape [1, 8, 8].
pub fn write_digits(dir: &Path) -> Result<DigitsInfo, ImportError> {
    let mut train = Split::create(dir, "train")?;
    let mut test = Split::create(dir, "test")?;
    let lines = BufReader::new(GzDecoder::new(FILE)).lines();
    for (number, line) in lines.enumerate() {
        let split = if number < TRAIN {
            &mut train
        } else {
            &mut test
        };
        split.push(&line?)?;
    }
    Ok(DigitsInfo {
        train: train.finish()?,
        test: test.finish()?,
    })
}

struct Split {
    rows: ColumnSink,
    labels: ColumnSink,
}

impl Split {
    fn create(dir: &Path, name: &str) -> Result<Self, ImportError> {
        let files = SplitFiles::of(dir, name);
        let create = |role, dtype| ColumnSink::create(&files.path(role), role, dtype, LIMIT);
        Ok(Self {
            rows: create(Role::Rows, Dtype::F32)?,
            labels: create(Role::Labels, Dtype::I64)?,
        })
    }

    fn push(&mut self, line: &str) -> Result<(), ImportError> {
        // Only a build that embeds some other file could break here.
        let broken = || ImportError::Invalid(format!("the embedded digits are damaged: {line:?}"));
        let (pixels, label) = line.rsplit_once(',').ok_or_else(broken)?;
        let row: Result<Vec<f32>, _> = pixels.split(',').map(str::parse::<f32>).collect();
        let mut row = row
            .ok()
            .filter(|row| row.len() == PIXELS)
            .ok_or_else(broken)?;
        for value in &mut row {
            *value /= 16.0;
        }
        self.rows.push_f32(&row)?;
        let label: u8 = label.trim().parse().map_err(|_| broken())?;
        self.labels.push(label.into())
    }

    fn finish(self) -> Result<Imported, ImportError> {
        let mut imported = Imported::from(self.rows.finish(&[1, 8, 8])?);
        imported.columns.push(self.labels.finish(&[])?.column);
        Ok(imported)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::ColumnFile;
    use super::*;

    #[test]
    fn splits_are_whole_and_balanced() {
        let dir = tempfile::tempdir().unwrap();
        let info = write_digits(dir.path()).unwrap();
        assert_eq!((info.train.rows, info.test.rows), (1437, 360));
        let column = |imported: &Imported, role| imported.column(role).cloned().unwrap();
        assert_eq!(column(&info.train, Role::Rows).range, Some([0.0, 1.0]));
        assert_eq!(column(&info.test, Role::Labels).classes, Some(10));
        for (name, least, most) in [("train", 141, 146), ("test", 33, 37)] {
            let rows = ColumnFile::open(&dir.path().join(format!("{name}.npy"))).unwrap();
            assert_eq!(rows.shape(), [1, 8, 8]);
            let labels = ColumnFile::open(&dir.path().join(format!("{name}_labels.npy"))).unwrap();
            let labels = labels.values::<i64>().unwrap();
            assert_eq!(labels.len(), rows.rows());
            for digit in 0..10 {
                let count = labels.iter().filter(|&&label| label == digit).count();
                assert!(
                    (least..=most).contains(&count),
                    "{name} has {count} of {digit}"
                );
            }
        }
    }
}
