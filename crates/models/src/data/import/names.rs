//! Which array of an NPZ file is the column of which role, by their names.
//!
//! One file may hold both splits. A part of a split takes the names of that split first (`y_test`,
//! `test_labels`), then those of no split (`y`), and never those of the other.

use super::super::{ImportError, Role, invalid};
use super::column::quoted;

/// Where among the names the column of a role stands; none if no name says so, an error if two do.
///
/// `alone`: the file is asked for this role only, so it may go by names that mean something else beside rows.
pub(super) fn find(
    role: Role,
    split: &str,
    names: &[&str],
    alone: bool,
) -> Result<Option<usize>, ImportError> {
    let definition = role.definition();
    let further = if alone { definition.alone } else { &[] };
    // The first of these that any name is of decides.
    let ranks: [(&[&str], bool); 4] = [
        (definition.of_split, true),
        (further, true),
        (definition.of_none, false),
        (further, false),
    ];
    for (stems, with_split) in ranks {
        let is = |name: &&str| match with_split {
            true => is_of(role, split, stems, name),
            false => stems.iter().any(|stem| plain(name) == *stem),
        };
        let mut fitting = (0..).zip(names).filter(|(_, name)| is(name));
        match (fitting.next(), fitting.next()) {
            (None, _) => {}
            (Some((at, _)), None) => return Ok(Some(at)),
            (Some((_, one)), Some((_, other))) => {
                return Err(invalid(format!(
                    "two arrays could be the {}: {} and {}; rename the one that is not meant, or leave it out",
                    role.name(),
                    quoted(one.as_bytes()),
                    quoted(other.as_bytes())
                )));
            }
        }
    }
    // What stands alone needs no name, but may not have that of the other split.
    let sole = names.len() == 1 && !names.iter().any(|name| is_of_another(split, name));
    Ok(sole.then_some(0))
}

/// `X_train`, `trainX` and `x-train` are one name.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether the name says that the array is of this role and split.
fn is_of(role: Role, split: &str, stems: &[&str], name: &str) -> bool {
    let name = plain(name);
    let is = |stem: &&str| name == format!("{stem}{split}") || name == format!("{split}{stem}");
    stems.iter().any(is) || (role == Role::Rows && name == split)
}

fn is_of_another(split: &str, name: &str) -> bool {
    let other = if split == "test" { "train" } else { "test" };
    Role::ALL.into_iter().any(|role| {
        let definition = role.definition();
        let mut stems = [definition.of_split, definition.alone].into_iter();
        stems.any(|stems| is_of(role, other, stems, name))
    })
}

/// None of the arrays is known to be the column of the role.
pub(super) fn unknown(role: Role, split: &str, names: &[&str]) -> ImportError {
    let found: Vec<String> = names
        .iter()
        .take(12)
        .map(|n| quoted(n.as_bytes()))
        .collect();
    let definition = role.definition();
    let mut known: Vec<String> = definition
        .of_split
        .iter()
        .map(|s| format!("{s}_{split}"))
        .collect();
    known.extend(definition.of_none.iter().map(|&stem| stem.to_owned()));
    invalid(format!(
        "the NPZ file has {} arrays and none is known to be the {} of '{split}'; found {}; \
         name it one of {}, or send one array alone",
        names.len(),
        role.name(),
        found.join(", "),
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that is taken, or what the refusal says.
    fn taken<'a>(
        role: Role,
        split: &str,
        names: &[&'a str],
        alone: bool,
    ) -> Result<&'a str, String> {
        match find(role, split, names, alone) {
            Ok(Some(at)) => Ok(names[at]),
            Ok(None) => Ok(""),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_part_takes_the_names_of_its_split_then_those_of_none() {
        let both = ["x_train", "y_train", "x_test", "y_test"];
        let upper = ["X_train", "X_test", "Y-Train", "Y-Test"];
        let bare = [
            "train",
            "test",
            "train_labels",
            "testLabels",
            "test_targets",
        ];
        let mixed = ["x", "y_train", "y_test"];
        for (names, role, split, wanted) in [
            (&both[..], Role::Rows, "train", "x_train"),
            (&both, Role::Rows, "test", "x_test"),
            (&both, Role::Labels, "train", "y_train"),
            (&both, Role::Labels, "test", "y_test"),
            (&both, Role::Targets, "test", ""),
            (&upper, Role::Rows, "test", "X_test"),
            (&upper, Role::Labels, "test", "Y-Test"),
            (&bare, Role::Rows, "test", "test"),
            (&bare, Role::Labels, "test", "testLabels"),
            (&bare, Role::Targets, "test", "test_targets"),
            (&bare, Role::Targets, "train", ""),
            (&mixed, Role::Rows, "test", "x"),
            (&mixed, Role::Labels, "test", "y_test"),
            (&["x_train", "x"], Role::Rows, "test", "x"),
            (&["data", "label"], Role::Labels, "train", "label"),
            (&["data", "target"], Role::Labels, "train", "target"),
            (&["x_val", "weights"], Role::Rows, "train", ""),
        ] {
            let found = taken(role, split, names, false);
            assert_eq!(found.as_deref(), Ok(wanted), "{role:?} of {split}");
        }
    }

    #[test]
    fn a_file_of_one_role_goes_by_more_names() {
        let both = ["x_train", "y_train", "x_test", "y_test"];
        for (names, role, split, wanted) in [
            (&both[..], Role::Labels, "test", "y_test"),
            (&both, Role::Targets, "test", "y_test"),
            (&both, Role::Targets, "train", "y_train"),
            (
                &["y", "train_targets"],
                Role::Targets,
                "train",
                "train_targets",
            ),
            (&["whatever"], Role::Targets, "test", "whatever"),
            (&["x", "targets"], Role::Targets, "test", "targets"),
        ] {
            assert_eq!(taken(role, split, names, true).as_deref(), Ok(wanted));
        }
    }

    #[test]
    fn two_that_could_be_meant_are_both_named() {
        for (names, role, alone) in [
            (["data", "images"], Role::Rows, false),
            (["x", "X"], Role::Rows, false),
            (["x_test", "test"], Role::Rows, false),
            (["y", "labels"], Role::Labels, false),
            (["y_test", "test_labels"], Role::Labels, true),
            (["y", "targets"], Role::Targets, true),
        ] {
            let refused = taken(role, "test", &names, alone).unwrap_err();
            for name in names {
                assert!(refused.contains(&format!("{name:?}")), "{refused}");
            }
        }
    }

    #[test]
    fn an_array_of_the_other_split_is_none_of_this_one() {
        for name in ["x_train", "train", "y_train", "train_targets", "TrainY"] {
            assert_eq!(taken(Role::Rows, "test", &[name], false).as_deref(), Ok(""));
            assert_eq!(
                taken(Role::Labels, "test", &[name], true).as_deref(),
                Ok("")
            );
        }
        assert_eq!(
            taken(Role::Rows, "train", &["latest"], false).as_deref(),
            Ok("latest")
        );
    }
}
