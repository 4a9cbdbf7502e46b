//! Finds the columns of a table that the client named for a role.
//!
//! A name from the header line goes before an index, so that a column called
//! "3" can be had.

use csv::ByteRecord;

use super::super::{ImportError, ImportOptions, Names, Role};

/// Column names shown in a refusal.
const SHOWN: usize = 8;

/// The columns of a table that are no values of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// At most one of each role.
    pub beside: Vec<(Role, usize)>,
    /// The values that are left for a row; at least one.
    pub row_len: usize,
}

impl Columns {
    /// `names` are those of the header line, `count` columns are there in all.
    pub(super) fn find(
        options: &ImportOptions,
        names: Option<&ByteRecord>,
        count: usize,
    ) -> Result<Self, ImportError> {
        let mut beside: Vec<(Role, usize)> = Vec::new();
        for (&role, wanted) in &options.columns {
            let at = find_column(role.field(), wanted, names, count)?;
            if let Some((other, _)) = beside.iter().find(|(_, taken)| *taken == at) {
                return Err(ImportError::Option {
                    field: role.field(),
                    detail: format!(
                        "names the column that {} names; a column holds the {} or the {}",
                        other.field(),
                        other.name(),
                        role.name()
                    ),
                });
            }
            beside.push((role, at));
        }
        if beside.len() < count {
            let row_len = count - beside.len();
            return Ok(Self { beside, row_len });
        }
        let few = match count {
            1 => "one column".to_owned(),
            2 => "two columns".to_owned(),
            more => format!("{more} columns"),
        };
        Err(ImportError::Option {
            field: beside.last().map_or("", |(role, _)| role.field()),
            detail: format!("the file has {few} only, so no values are left for the rows"),
        })
    }
}

impl Columns {
    /// Of the names of a header, those of the values of the rows.
    pub(super) fn left(&self, names: Option<&ByteRecord>) -> Names {
        let names = (0..).zip(names.into_iter().flatten());
        let left = names.filter(|(at, _)| !self.beside.iter().any(|(_, taken)| taken == at));
        Names::of(left.map(|(_, name)| name))
    }
}

/// The index of the column that `wanted` names: a header name, an index from
/// 0, or a negative index from the end.
fn find_column(
    field: &'static str,
    wanted: &str,
    names: Option<&ByteRecord>,
    columns: usize,
) -> Result<usize, ImportError> {
    let wanted = wanted.trim();
    let is_wanted = |name: &[u8]| name.trim_ascii() == wanted.as_bytes();
    let mut named = names
        .into_iter()
        .flat_map(|names| names.iter().enumerate())
        .filter(|(_, name)| is_wanted(name))
        .map(|(at, _)| at);
    match (named.next(), named.next()) {
        (Some(at), None) => return Ok(at),
        (Some(first), Some(second)) => {
            return Err(ImportError::Option {
                field,
                detail: format!(
                    "the header line names {} twice, at columns {first} and {second} (from 0); \
                     rename one, or give its number",
                    quoted(wanted.as_bytes())
                ),
            });
        }
        (None, _) => {}
    }
    index_of(wanted, columns).ok_or_else(|| {
        let wanted = quoted(wanted.as_bytes());
        let detail = match names {
            Some(names) => {
                let known: Vec<String> = names.iter().take(SHOWN).map(quoted).collect();
                let more = if columns > SHOWN { ", ..." } else { "" };
                format!(
                    "there is no column {wanted}; the {columns} columns are {}{more}",
                    known.join(", ")
                )
            }
            None => format!(
                "there is no column {wanted}; line 1 was not read as a header (the part 'header' \
                 with 'yes' makes it one), so use an index from 0 to {}, or -1 for the last column",
                columns.saturating_sub(1)
            ),
        };
        ImportError::Option { field, detail }
    })
}

/// The column that a number names: from 0, or from the end if it is negative.
pub(super) fn index_of(wanted: &str, columns: usize) -> Option<usize> {
    let index = wanted.trim().parse::<i64>().ok()?;
    let columns = i64::try_from(columns).ok()?;
    let index = if index < 0 {
        index.checked_add(columns)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|_| index < columns)
}

/// A cell as it may be shown in a message: short, with no control characters.
pub(super) fn quoted(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell.get(..200).unwrap_or(cell));
    let short: String = text.trim().chars().take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::super::super::Header;
    use super::*;

    fn label_column(
        wanted: &str,
        names: Option<&ByteRecord>,
        columns: usize,
    ) -> Result<usize, ImportError> {
        find_column("label_column", wanted, names, columns)
    }

    #[test]
    fn labels_and_targets_are_two_columns_and_leave_some_for_the_rows() {
        let names = ByteRecord::from(vec!["a", "b", "c", "a"]);
        let find = |label: &str, target: &str, count: usize| {
            let named = [(Role::Labels, label), (Role::Targets, target)];
            let named = named.into_iter().filter(|(_, column)| !column.is_empty());
            let options = ImportOptions {
                shape: None,
                columns: named.map(|(role, c)| (role, c.to_owned())).collect(),
                header: Header::Auto,
                delimiter: None,
                coding: None,
                max_bytes: 0,
            };
            Columns::find(&options, Some(&names).filter(|_| count == 4), count)
        };
        let found = find("b", "-2", 4).unwrap();
        let beside = vec![(Role::Labels, 1), (Role::Targets, 2)];
        assert_eq!((found.beside, found.row_len), (beside, 2));
        assert_eq!(find("", "0", 2).unwrap().row_len, 1);
        for (label, target, count, said) in [
            ("b", "1", 4, "label_column names"),
            ("", "a", 4, "twice, at columns 0 and 3"),
            ("", "0", 1, "one column only"),
            ("0", "1", 2, "two columns only"),
            ("", "y", 4, "no column"),
        ] {
            let refused = find(label, target, count).unwrap_err().to_string();
            assert!(refused.starts_with("target_column"), "{refused}");
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn by_name_and_by_index() {
        let names = ByteRecord::from(vec!["a", "b", "1"]);
        assert_eq!(label_column("b", Some(&names), 3).unwrap(), 1);
        assert_eq!(label_column("1", Some(&names), 3).unwrap(), 2);
        assert_eq!(label_column("0", None, 3).unwrap(), 0);
        assert_eq!(label_column("-1", None, 3).unwrap(), 2);
        for bad in [
            "3",
            "-4",
            "x",
            "",
            "9223372036854775808",
            "-9223372036854775808",
        ] {
            let refused = label_column(bad, None, 3).unwrap_err().to_string();
            assert!(refused.contains("from 0 to 2"), "{refused}");
        }
        let refused = label_column("c", Some(&names), 3).unwrap_err().to_string();
        assert!(refused.contains("\"a\", \"b\""), "{refused}");
    }
}
