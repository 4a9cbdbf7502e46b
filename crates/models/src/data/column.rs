//! The columns of a data set: the roles there are, how each is stored, and what is known of one.
//!
//! A new role is a variant and a definition here. Form parts, file names, imports, the checks of counts,
//! what SQL keeps and what a batch holds all follow.

use serde::{Deserialize, Serialize};

/// How the values of a canonical file are stored.
///
/// u8 and f32 are handed to models as f32: u8 divided by 255 (so pictures land in [0, 1]), f32 as it is.
/// i64 holds codes from 0, f64 numbers of more digits than an f32 keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    U8,
    F32,
    I64,
    F64,
}

impl Dtype {
    pub const ALL: [Self; 4] = [Self::U8, Self::F32, Self::I64, Self::F64];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::F32 => "f32",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.as_str() == word)
    }

    /// As NPY headers name it.
    pub(crate) fn descr(self) -> &'static str {
        match self {
            Self::U8 => "|u1",
            Self::F32 => "<f4",
            Self::I64 => "<i8",
            Self::F64 => "<f8",
        }
    }

    /// Bytes that one stored value takes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

/// What a column is to a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What is learnt to be represented: every data set has them.
    Rows,
    /// The class of each row.
    Labels,
    /// A number for each row, to regress on.
    Targets,
}

/// What is fixed about a role.
pub(crate) struct Definition {
    /// Of the role, and the end of form parts and file names.
    pub name: &'static str,
    /// One value in messages.
    pub one: &'static str,
    /// How values are stored: i64 those of a class, else numbers. None: as the client's file has them.
    pub dtype: Option<Dtype>,
    /// The form field that names the column of a CSV file.
    pub field: &'static str,
    /// Arrays of an NPZ file that hold it, with the name of a split before or after: `y_train`.
    pub of_split: &'static [&'static str],
    /// Arrays that hold it without the name of a split.
    pub of_none: &'static [&'static str],
    /// Further names, with and without the split, where nothing else is asked for.
    pub alone: &'static [&'static str],
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Rows, Self::Labels, Self::Targets];

    pub(crate) fn definition(self) -> &'static Definition {
        match self {
            Self::Rows => &Definition {
                name: "rows",
                one: "value",
                dtype: None,
                field: "",
                of_split: &["x", "images", "data", "features"],
                of_none: &["x", "images", "data", "features"],
                alone: &[],
            },
            Self::Labels => &Definition {
                name: "labels",
                one: "label",
                dtype: Some(Dtype::I64),
                field: "label_column",
                of_split: &["y", "labels", "label"],
                of_none: &["y", "labels", "label", "targets", "target"],
                alone: &[],
            },
            Self::Targets => &Definition {
                name: "targets",
                one: "target",
                // An amount or a date may have more digits than an f32 keeps.
                dtype: Some(Dtype::F64),
                field: "target_column",
                of_split: &["targets", "target"],
                of_none: &[],
                alone: &["targets", "target", "y"],
            },
        }
    }

    /// The roles of what goes with the rows.
    pub fn beside_rows() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|role| *role != Self::Rows)
    }

    /// Whether its values are codes, which may stand for words.
    pub(crate) fn is_coded(self) -> bool {
        self.definition().dtype == Some(Dtype::I64)
    }

    pub fn name(self) -> &'static str {
        self.definition().name
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The form field that names the column of a CSV file; rows have none.
    pub fn field(self) -> &'static str {
        self.definition().field
    }

    /// What the form part and the file of a split are called: `train`, `train_labels`.
    pub fn in_split(self, split: &str) -> String {
        match self {
            Self::Rows => split.to_owned(),
            other => format!("{split}_{}", other.name()),
        }
    }
}

/// What is known of a column, over all splits that have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub role: Role,
    pub dtype: Dtype,
    /// Of what one row has; `[]` for one value.
    pub shape: Vec<i64>,
    /// The least and the greatest value in the model's units (u8 over 255); none of codes.
    pub range: Option<[f64; 2]>,
    /// Of codes: the largest plus one.
    pub classes: Option<i64>,
    /// Of codes that stand for words: the words, in the order of their codes.
    pub names: Vec<String>,
}

impl Column {
    /// The column over two splits. Shape and type are those of `self`.
    pub fn join(&mut self, other: &Self) {
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].max(b[1])]),
            (a, b) => a.or(b),
        };
        self.classes = self.classes.max(other.classes);
        if self.names.is_empty() {
            self.names.clone_from(&other.names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_files_are_named_by_split_and_role() {
        let named = Role::ALL.map(|role| role.in_split("test"));
        assert_eq!(named, ["test", "test_labels", "test_targets"]);
    }

    #[test]
    fn a_column_covers_all_splits() {
        let column = |range, classes| Column {
            role: Role::Targets,
            dtype: Dtype::F64,
            shape: Vec::new(),
            range,
            classes,
            names: Vec::new(),
        };
        let mut targets = column(Some([-2.5, 1e6]), None);
        targets.join(&column(Some([-3.0, 0.5]), None));
        assert_eq!(targets, column(Some([-3.0, 1e6]), None));
        let mut labels = column(None, Some(3));
        labels.join(&column(None, Some(7)));
        assert_eq!(labels, column(None, Some(7)));
    }
}
