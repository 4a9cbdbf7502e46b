//! A key as its owner has it: `lk_`, its id, `_`, its secret. Only a hash of the secret is kept.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// Drawn at random, so that guessing is hopeless and a plain hash is enough.
pub const SECRET_BYTES: usize = 32;
const PREFIX: &str = "lk_";
/// Letters of an id: the time, and as many random bits again as make two of one millisecond unlikely.
const ID_LETTERS: usize = 20;

/// Not `Debug`: a secret has no business in a log.
pub struct KeyToken {
    pub id: String,
    secret: String,
}

impl KeyToken {
    /// From the system's source of chance.
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        let mut id = Uuid::now_v7().simple().to_string();
        id.truncate(ID_LETTERS);
        let secret = bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { id, secret })
    }

    /// What a client sent.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let hex = |text: &str, letters| {
            text.len() == letters && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        (hex(id, ID_LETTERS) && hex(secret, 2 * SECRET_BYTES)).then(|| Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// As its owner is shown it, once.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }

    /// What is kept of the secret.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(&self.secret).to_vec()
    }

    /// Whether the hash is of this secret, in a time that does not tell how much of it agrees.
    pub fn is_of(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown_and_all_else_is_none() {
        let key = KeyToken::fresh().expect("chance");
        let text = key.text();
        let read = KeyToken::parse(&text).expect("a key");
        assert_eq!((&read.id, read.text()), (&key.id, text.clone()));
        assert!(read.is_of(&key.hash()));
        let other = KeyToken::fresh().expect("chance");
        assert!(!other.is_of(&key.hash()) && !key.is_of(&[]) && !key.is_of(&key.hash()[1..]));
        assert_ne!(other.text(), text);
        for odd in [
            "",
            "lk_",
            "lk__",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
        ] {
            assert!(KeyToken::parse(odd).is_none(), "{odd}");
        }
        assert!(KeyToken::parse(&text.replace('_', "-")).is_none());
    }

    #[test]
    fn the_hash_holds_nothing_of_the_secret() {
        let key = KeyToken::fresh().expect("chance");
        assert_eq!(key.hash().len(), 32);
        assert!(
            !key.secret
                .as_bytes()
                .windows(8)
                .any(|part| { key.hash().windows(8).any(|hashed| hashed == part) })
        );
    }
}
