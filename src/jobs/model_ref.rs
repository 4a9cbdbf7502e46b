//! How a model is named: `name` (the newest version), `name:3`, or `name@alias`.

use std::fmt;

use thiserror::Error;

use super::names::{NameError, check_name};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    pub name: String,
    pub selector: Selector,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    Newest,
    Version(i64),
    Alias(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelRefError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{0:?} is not a version: after the colon comes a whole number from 1")]
    Version(String),
}

/// Reads a reference. A name holds neither `:` nor `@`, so the first of them ends it.
pub fn parse_ref(text: &str) -> Result<ModelRef, ModelRefError> {
    let (name, selector) = match text.find([':', '@']) {
        None => (text, Selector::Newest),
        Some(at) => {
            let (name, rest) = text.split_at(at);
            let (mark, wanted) = rest.split_at(1);
            let selector = if mark == ":" {
                Selector::Version(parse_version(wanted)?)
            } else {
                check_name(wanted)?;
                Selector::Alias(wanted.to_owned())
            };
            (name, selector)
        }
    };
    check_name(name)?;
    let name = name.to_owned();
    Ok(ModelRef { name, selector })
}

fn parse_version(text: &str) -> Result<i64, ModelRefError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(version) if digits && version > 0 => Ok(version),
        _ => Err(ModelRefError::Version(text.to_owned())),
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Newest => f.write_str(&self.name),
            Selector::Version(version) => write!(f, "{}:{version}", self.name),
            Selector::Alias(alias) => write!(f, "{}@{alias}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["mnist-vae", "mnist-vae:3", "mnist-vae@best", "a@1"] {
            assert_eq!(parse_ref(text).expect(text).to_string(), text);
        }
        let alias = Selector::Alias("1".to_owned());
        assert_eq!(parse_ref("a@1").expect("an alias").selector, alias);
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "", ":1", "@a", "a:", "a:0", "a:-1", "a:+1", "a:x", "a:1:2", "a@", "a@b@c", "a@b:1",
            "a b",
        ] {
            assert!(parse_ref(text).is_err(), "{text}");
        }
        assert!(parse_ref("a:99999999999999999999").is_err());
    }
}
