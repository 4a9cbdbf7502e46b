//! The secret that a webhook and its receiver share, and the signature made with it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

const PREFIX: &str = "whsec_";
const SHORTEST: usize = 24;
/// As Standard Webhooks has it; also the block of SHA-256, so that a secret is a key as it stands.
const LONGEST: usize = 64;
/// Bytes of a secret that is made here.
const FRESH: usize = 32;

const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PAD);
/// People copy secrets without the `=` at their end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("must be \"whsec_\" and base64 behind it")]
    Form,
    #[error("must hold {SHORTEST} to {LONGEST} bytes, got {0}")]
    Length(usize),
}

/// 24 to 64 bytes that only the two ends know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        if (SHORTEST..=LONGEST).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SecretError::Length(bytes.len()))
        }
    }

    /// From the form in which it is handed round.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let coded = text.strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        Self::new(LENIENT.decode(coded).map_err(|_| SecretError::Form)?)
    }

    /// From the system's source of chance.
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; FRESH];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn text(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC fills a key up with zeros to the block, so a whole block is always a key.
        let mut key = [0; LONGEST];
        key[..self.0.len()].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&key.into());
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is the example of the Standard Webhooks libraries; all three were computed with the
    /// modules `hmac`, `hashlib` and `base64` of Python.
    #[test]
    fn signatures_are_those_of_another_implementation() {
        let example = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        assert_eq!(
            example.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        let counted = |n| Secret::new((0..n).collect()).expect("a secret");
        assert_eq!(
            counted(32).sign(
                "msg_1",
                1_700_000_000,
                r#"{"type":"job.succeeded","data":{"id":"job_1","name":"näme"}}"#
            ),
            "v1,a7uw8GDgMlBJ+Mdrzy9/x8VXVnMtWeLyrze1P7xdmnk="
        );
        assert_eq!(
            counted(64).sign("msg_2", 1, "{}"),
            "v1,i+HZqJ1QFM15D2TKndUTFaMVZV8wal3GcEarK/cypDs="
        );
    }

    #[test]
    fn a_secret_is_read_as_it_is_written_and_all_else_is_refused() {
        let fresh = Secret::fresh().expect("chance");
        assert!(Secret::parse(&fresh.text()) == Ok(fresh.clone()));
        assert!(fresh != Secret::fresh().expect("chance"));
        let bare = fresh.text().trim_end_matches('=').to_owned();
        assert!(Secret::parse(&bare) == Ok(fresh));
        for (text, error) in [
            ("", SecretError::Form),
            ("hunter2", SecretError::Form),
            ("whsec_", SecretError::Length(0)),
            ("whsec_%%%%", SecretError::Form),
            ("whsec_AAAA", SecretError::Length(3)),
        ] {
            assert!(Secret::parse(text) == Err(error), "{text}");
        }
        let coded = |n: usize| format!("whsec_{}", BASE64.encode(vec![7; n]));
        for (n, good) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(Secret::parse(&coded(n)).is_ok(), good, "{n}");
        }
    }
}
