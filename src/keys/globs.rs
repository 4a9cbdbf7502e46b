//! Which names a key reaches: patterns in which `*` stands for any text, an empty one too.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Patterns of names, any of which will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = json!(["prod-*"]))]
pub struct Globs(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    #[error("must name at least one pattern; [\"*\"] is every name")]
    None,
    #[error("must be at most {MOST} patterns, got {0}")]
    Many(usize),
    #[error("\"{0}\" is no pattern of names: 1 to 128 letters, digits, `.`, `_`, `-` and `*`")]
    Form(String),
}

/// Patterns of one key.
const MOST: usize = 100;

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Default for Globs {
    fn default() -> Self {
        Self(vec!["*".to_owned()])
    }
}

impl Globs {
    pub fn of(patterns: Vec<String>) -> Result<Self, GlobError> {
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-*".contains(c);
        match patterns.len() {
            0 => return Err(GlobError::None),
            n if n > MOST => return Err(GlobError::Many(n)),
            _ => {}
        }
        let odd = patterns
            .iter()
            .find(|p| p.is_empty() || p.len() > 128 || !p.chars().all(sound));
        match odd {
            Some(pattern) => Err(GlobError::Form(pattern.chars().take(200).collect())),
            None => Ok(Self(patterns)),
        }
    }

    /// Whether every name matches.
    pub fn is_everything(&self) -> bool {
        self.0.iter().any(|pattern| pattern == "*")
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| is_match(pattern, name))
    }

    /// Whether every name that the others match is matched by these too; false too where several of these would be
    /// needed for one of the others.
    pub fn cover(&self, others: &Self) -> bool {
        // A `*` of the other is a letter here, which only a `*` of ours can stand for.
        others.0.iter().all(|other| self.matches(other))
    }
}

fn is_match(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(head) else {
        return false;
    };
    // Each part as early as it can be, the last one at the end.
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Globs {
        Globs::of(patterns.iter().map(|&p| p.to_owned()).collect()).expect("patterns")
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, names, others) in [
            ("*", &["", "a", "a-b"][..], &[][..]),
            (
                "prod-*",
                &["prod-", "prod-a"],
                &["prod", "xprod-a", "Prod-a"],
            ),
            ("*-v1", &["a-v1", "-v1"], &["v1", "a-v1x"]),
            (
                "a*b*c",
                &["abc", "axbxc", "abbcc", "abcbc"],
                &["ab", "acb", "bac"],
            ),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a", &["a"], &["", "aa", "*"]),
            ("a**b", &["ab", "axb"], &["a"]),
        ] {
            for name in names {
                assert!(globs(&[pattern]).matches(name), "{pattern} {name}");
            }
            for name in others {
                assert!(!globs(&[pattern]).matches(name), "{pattern} {name}");
            }
        }
        assert!(globs(&["x", "y*"]).matches("yes") && !globs(&["x", "y*"]).matches("z"));
    }

    #[test]
    fn patterns_cover_what_is_narrower() {
        for (wide, narrow) in [
            ("*", "*"),
            ("*", "a*"),
            ("a*", "ab*"),
            ("a*", "abc"),
            ("*c", "b*c"),
        ] {
            assert!(globs(&[wide]).cover(&globs(&[narrow])), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("a*", "*"),
            ("ab*", "a*"),
            ("a", "a*"),
            ("a*", "*a"),
            ("a*b", "a*"),
        ] {
            assert!(!globs(&[wide]).cover(&globs(&[narrow])), "{wide} {narrow}");
        }
        assert!(globs(&["a*", "b*"]).cover(&globs(&["b1", "a*"])));
        assert!(!globs(&["a*"]).cover(&globs(&["a1", "b1"])));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(Globs::of(Vec::new()), Err(GlobError::None));
        for odd in ["", "a/b", "a b", "ä", &"x".repeat(129)] {
            let refused = Globs::of(vec![odd.to_owned()]);
            assert_eq!(refused, Err(GlobError::Form(odd.to_owned())), "{odd}");
        }
        assert_eq!(
            Globs::of(vec!["a".to_owned(); 101]),
            Err(GlobError::Many(101))
        );
    }
}
