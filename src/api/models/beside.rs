//! How much JSON may stand beside rows of numbers.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::extract::parse_json;
use crate::api::problem::{Code, Problem, Result};

/// Bytes of JSON beside rows of numbers, at most: read into values of any type it takes some 65 times as much. A mask
/// may stand there, or two rows to go between.
pub(in crate::api) fn most_beside(features: usize) -> usize {
    const USUAL: usize = 1 << 20;
    const A_VALUE: usize = 64;
    USUAL.saturating_add(features.saturating_mul(A_VALUE))
}

/// Refuses a document with more than `most` bytes beside its `inputs`, before any of it is kept.
pub(in crate::api) fn require_brief(json: &[u8], most: usize) -> Result<()> {
    if json.len() <= most {
        return Ok(());
    }
    let Inputs(bytes) = parse_json(json)?;
    if json.len() - bytes <= most {
        return Ok(());
    }
    let detail = format!("the JSON beside 'inputs' is larger than {most} bytes");
    Err(Problem::new(Code::TooLarge, detail))
}

/// Bytes of the `inputs` of an object.
struct Inputs(usize);

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Inputs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Inputs, M::Error> {
                let mut bytes = 0;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "inputs" {
                        bytes += map.next_value::<&RawValue>()?.get().len();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Inputs(bytes))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::document;
    use super::*;

    #[test]
    fn what_stands_beside_rows_has_a_bound_in_both_readers() {
        let labels = "0,".repeat(500);
        let rows = "[0.5],".repeat(500);
        let json = |options: &str| format!(r#"{{"inputs":[{rows}[1]],{options}}}"#);
        let brief = json(r#""labels":[0,1]"#);
        for most in [100, brief.len()] {
            assert!(document(brief.as_bytes(), most).is_some());
            assert!(require_brief(brief.as_bytes(), most).is_ok());
        }
        for options in [
            format!(r#""labels":[{labels}0]"#),
            format!(r#""a":[{0}0],"b":[{0}0]"#, &labels[..600]),
            format!(r#""inputs":[[1]],"l\u0061bels":[{labels}0]"#),
            format!(r#""rows":{{"dataset":"{labels}"}}"#),
        ] {
            let long = json(&options);
            assert!(document(long.as_bytes(), 1000).is_none(), "{options}");
            let refused = require_brief(long.as_bytes(), 1000).expect_err("too long");
            assert!(format!("{refused:?}").contains("TooLarge"), "{refused:?}");
        }
        // What is no JSON is refused before it is kept, too.
        let open = format!(r#"{{"labels":[{labels}"#);
        let refused = require_brief(open.as_bytes(), 100).expect_err("no JSON");
        assert!(format!("{refused:?}").contains("Malformed"), "{refused:?}");
    }
}
