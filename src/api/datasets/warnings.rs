//! What the answer tells of an upload that was taken: `warnings` of a data set.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::data::{Imported, Names, Reading, Role, SplitFiles};
use crate::document::{FieldError, Warning};

/// Names that one warning has room for.
const SHOWN: usize = 12;

/// Arrays of an archive that became no column, of this part or another.
pub fn of_arrays(readings: &BTreeMap<String, Reading>) -> Vec<Warning> {
    let taken: Vec<&String> = readings
        .values()
        .flat_map(|reading| &reading.taken)
        .collect();
    let of_part = |(part, reading): (&String, &Reading)| {
        let unused = reading.unused.iter().filter(|name| !taken.contains(name));
        let names: Vec<String> = unused
            .map(|name| format!("{:?}", name.chars().take(40).collect::<String>()))
            .collect();
        if names.is_empty() {
            return None;
        }
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = names[..names.len().min(SHOWN)].join(", ");
        let detail = format!(
            "{shown}{more}: left out, since these names are not known to be rows, labels or targets of this part"
        );
        Some(Warning::new("unused_array", format!("/{part}"), detail))
    };
    readings.iter().filter_map(of_part).collect()
}

/// Labels that read as if there were none.
pub fn of_labels(train: &Imported) -> Option<Warning> {
    const NONE: [&str; 8] = ["na", "n/a", "nan", "null", "none", "nil", "?", "-"];
    let names = &train.column(Role::Labels)?.names;
    let mut missing = names
        .iter()
        .filter(|name| NONE.contains(&name.to_lowercase().as_str()));
    let name = missing.next()?;
    let detail = format!(
        "the label {name:?} is a class like any other; if it stands for a label that is missing, leave those rows out"
    );
    Some(Warning::new("missing_as_class", "/train", detail))
}

/// The values of both splits are called the same and stand in one order; another order is a fault.
pub fn of_names(train: &Names, test: &Names) -> Result<Option<Warning>, FieldError> {
    let mut pairs = (0..).zip(train.iter().zip(test.iter()));
    let Some((at, (there, here))) = pairs.find(|(_, (one, other))| one != other) else {
        return Ok(None);
    };
    let shown = |name: &[u8]| {
        String::from_utf8_lossy(name)
            .chars()
            .take(40)
            .collect::<String>()
    };
    let told = format!(
        "column {at} of the values (from 0) is {:?}, in 'train' {:?}",
        shown(here),
        shown(there)
    );
    if train.len() == test.len() && sum(train) == sum(test) {
        let rule = format!("has the columns of 'train' in another order: {told}");
        return Err(FieldError::new("/test", rule));
    }
    Ok(Some(Warning::new("names_differ", "/test", told)))
}

/// A digest of names that does not depend on their order.
fn sum(names: &Names) -> u64 {
    let digest = |name: &[u8]| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish()
    };
    names.iter().map(digest).fold(0, u64::wrapping_add)
}

/// A test split that holds the rows of the training split measures nothing.
pub fn of_same_rows(folder: &Path) -> io::Result<Option<Warning>> {
    let file = |split| File::open(SplitFiles::of(folder, split).path(Role::Rows));
    let (train, test) = (file("train")?, file("test")?);
    if train.metadata()?.len() != test.metadata()?.len() || !same(train, test)? {
        return Ok(None);
    }
    let detail = "holds the same rows as 'train', so figures of the test split are figures of the training rows";
    Ok(Some(Warning::new("same_rows", "/test", detail)))
}

/// Whether two files of one length have the same content.
fn same(one: File, other: File) -> io::Result<bool> {
    const BLOCK: usize = 1 << 16;
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        for (file, block) in [(&mut one, &mut left), (&mut other, &mut right)] {
            block.clear();
            file.take(BLOCK as u64).read_to_end(block)?;
        }
        if left != right || left.is_empty() {
            return Ok(left == right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(taken: &[&str], unused: &[&str]) -> Reading {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Reading {
            taken: owned(taken),
            unused: owned(unused),
            ..Reading::default()
        }
    }

    #[test]
    fn an_array_that_another_part_took_is_used() {
        let train = reading(&["x_train"], &["x_test", "x_val"]);
        let readings = BTreeMap::from([
            ("train".to_owned(), train.clone()),
            ("test".to_owned(), reading(&["x_test"], &["x_train"])),
        ]);
        let told = of_arrays(&readings);
        assert_eq!((told.len(), told[0].pointer.as_str()), (1, "/train"));
        assert!(
            told[0].detail.starts_with("\"x_val\": left out"),
            "{told:?}"
        );
        let alone = of_arrays(&BTreeMap::from([("train".to_owned(), train)]));
        assert!(
            alone[0].detail.contains("\"x_test\", \"x_val\""),
            "{alone:?}"
        );
        assert!(of_arrays(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn columns_in_another_order_are_a_fault_and_other_names_told_of() {
        let names = |text: &str| Names::of(text.split(',').map(str::as_bytes));
        let of = |train: &str, test: &str| of_names(&names(train), &names(test));
        assert_eq!(of("a,b,c", "a,b,c"), Ok(None));
        assert_eq!(
            of_names(&names("a,b"), &Names::default()),
            Ok(None),
            "no header"
        );
        let refused = of("a,b,c", "a,c,b").unwrap_err();
        assert!(
            refused
                .detail
                .contains("column 1 of the values (from 0) is \"c\""),
            "{refused:?}"
        );
        let told = of("a,b", "a,x").unwrap().unwrap();
        assert_eq!(
            (told.code.as_str(), told.pointer.as_str()),
            ("names_differ", "/test")
        );
    }

    #[test]
    fn many_names_are_counted_and_long_ones_cut() {
        let names: Vec<String> = (0..30)
            .map(|n| format!("{n}{}", "n".repeat(60_000)))
            .collect();
        let unused: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = of_arrays(&BTreeMap::from([(
            "test".to_owned(),
            reading(&[], &unused),
        )]));
        assert!(told[0].detail.contains("and 18 more"), "{told:?}");
        assert!(told[0].detail.len() < 1000);
    }
}
