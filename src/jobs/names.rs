//! The one rule for names that clients choose: of datasets, jobs, models and aliases.

use thiserror::Error;

const LONGEST: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a name: a name is 1 to 100 of the characters A-Z a-z 0-9 . _ - \
     and starts with a letter or a digit"
)]
pub struct NameError(pub String);

/// Whether `text` matches `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`.
pub fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    starts_well && text.len() <= LONGEST && text.bytes().all(allowed)
}

/// The same, as an error that tells the rule.
pub fn check_name(text: &str) -> Result<(), NameError> {
    if is_name(text) {
        Ok(())
    } else {
        Err(NameError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_refuses_the_rest() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "7", "mnist-rbm", "v1.2_x", longest.as_str()] {
            assert!(is_name(good), "{good}");
        }
        let too_long = "a".repeat(LONGEST + 1);
        for bad in [
            "",
            ".a",
            "-a",
            "_a",
            "a b",
            "a/b",
            "a:1",
            "a@b",
            "é",
            "a\n",
            too_long.as_str(),
        ] {
            assert!(!is_name(bad), "{bad}");
            assert_eq!(check_name(bad), Err(NameError(bad.to_owned())));
        }
    }
}
