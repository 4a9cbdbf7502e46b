//! Finds the column of labels that the client named.
//!
//! A name from the header line goes before an index, so that a column called
//! "3" can be had.

use csv::ByteRecord;

use super::super::ImportError;

/// Column names shown in a refusal.
const SHOWN: usize = 8;

/// The index of the column that `wanted` names: a header name, an index from
/// 0, or a negative index from the end.
pub(super) fn label_column(
    wanted: &str,
    names: Option<&ByteRecord>,
    columns: usize,
) -> Result<usize, ImportError> {
    let wanted = wanted.trim();
    let is_wanted = |name: &[u8]| name.trim_ascii() == wanted.as_bytes();
    if let Some(at) = names.and_then(|names| names.iter().position(is_wanted)) {
        return Ok(at);
    }
    let index = wanted.parse::<i64>().ok().and_then(|index| {
        let columns = i64::try_from(columns).ok()?;
        let index = if index < 0 {
            index.checked_add(columns)?
        } else {
            index
        };
        usize::try_from(index).ok().filter(|_| index < columns)
    });
    index.ok_or_else(|| {
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
                "there is no column {wanted}; the file has no header line, so use an index \
                 from 0 to {}, or -1 for the last column",
                columns.saturating_sub(1)
            ),
        };
        ImportError::Option {
            field: "label_column",
            detail,
        }
    })
}

/// A cell as it may be shown in a message: short, with no control characters.
pub(super) fn quoted(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell.get(..200).unwrap_or(cell));
    let short: String = text.trim().chars().take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
