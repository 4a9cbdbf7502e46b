//! A verb's JSON body. `inputs` go straight into one flat buffer, whatever their nesting.
//!
//! Two readers: `scan` takes what is plainly right at the speed of its bytes; all else goes to serde, here, which
//! decides, and says what is wrong and where. Both read the same numbers.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::nesting::{DEEPEST, Nesting};
use super::rows::RowsRef;

#[derive(Debug, Default)]
pub struct Document {
    pub inputs: Option<Flat>,
    pub rows: Option<RowsRef>,
    pub options: Map<String, Value>,
}

/// `rows` rows of the same shape.
#[derive(Debug, Default, PartialEq)]
pub struct Flat {
    pub rows: usize,
    /// Of one row, as its lists are nested.
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Document;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `inputs` or `rows`")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Document, M::Error> {
                let mut document = Document::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "inputs" => document.inputs = map.next_value::<Option<Flat>>()?,
                        "rows" => document.rows = map.next_value()?,
                        _ => drop(document.options.insert(key, map.next_value()?)),
                    }
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Outer;
        impl<'de> Visitor<'de> for Outer {
            type Value = Flat;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rows")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Flat, S::Error> {
                let mut flat = Flat::default();
                let mut nesting = Nesting::default();
                let mut width = None;
                loop {
                    let before = flat.values.len();
                    // The first row tells the width of the others.
                    flat.values.reserve(width.unwrap_or(0));
                    let row = Row {
                        values: &mut flat.values,
                        nesting: &mut nesting,
                        depth: 1,
                    };
                    if seq.next_element_seed(row)?.is_none() {
                        flat.shape = nesting.shape();
                        return Ok(flat);
                    }
                    let found = flat.values.len() - before;
                    if *width.get_or_insert(found) != found {
                        let first = width.unwrap_or(0);
                        return Err(S::Error::custom(format!(
                            "row {} has {found} values, row 0 has {first}",
                            flat.rows
                        )));
                    }
                    if nesting.is_uneven() {
                        let text = format!("row {} is nested unevenly", flat.rows);
                        return Err(S::Error::custom(text));
                    }
                    flat.rows += 1;
                }
            }
        }
        deserializer.deserialize_seq(Outer)
    }
}

/// One row, or one level of a nested row; 1 is the depth of the outermost list.
pub(in crate::api) struct Row<'a> {
    pub values: &'a mut Vec<f32>,
    pub nesting: &'a mut Nesting,
    pub depth: usize,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // `any`, since a level holds numbers or further lists.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 1 {
            "a row: a list of numbers"
        } else {
            "a number, or a list of numbers"
        })
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        if self.depth > DEEPEST {
            return Err(S::Error::custom(format!(
                "rows are nested more than {DEEPEST} deep"
            )));
        }
        let Row {
            values,
            nesting,
            depth,
        } = self;
        let mut items = 0;
        while seq
            .next_element_seed(Row {
                values: &mut *values,
                nesting: &mut *nesting,
                depth: depth + 1,
            })?
            .is_some()
        {
            items += 1;
        }
        nesting.list(depth, items);
        Ok(())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        #[expect(clippy::cast_possible_truncation, reason = "models compute in f32")]
        let value = v as f32;
        if self.depth == 1 {
            return Err(E::custom(
                "expected a row, a list of numbers, found a number",
            ));
        }
        if !value.is_finite() {
            return Err(E::custom(format!("{v} does not fit a 32-bit float")));
        }
        self.nesting.number(self.depth - 1);
        self.values.push(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        self.visit_f64(v as f64)
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.visit_f64(v as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::document;
    use super::*;

    fn scan(json: &[u8]) -> Option<Document> {
        document(json, json.len())
    }

    fn flat(json: &str) -> Result<Flat, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn flat_and_nested_rows_fill_the_same_buffer() {
        let even = flat("[[1, 2.5, -3, 4], [5, 6, 7, 8]]").expect("flat rows");
        let nested = flat("[[[1, 2.5], [-3, 4]], [[5, 6], [7, 8]]]").expect("nested rows");
        assert_eq!((even.rows, &even.values), (nested.rows, &nested.values));
        assert_eq!((even.shape, nested.shape), (vec![4], vec![2, 2]));
        assert_eq!(even.values[..4], [1.0, 2.5, -3.0, 4.0]);
    }

    #[test]
    fn what_is_no_list_of_equal_rows_is_refused_with_its_place() {
        for (json, said) in [
            ("[[1, 2], [3]]", "row 1 has 1 values, row 0 has 2"),
            ("[1, 2]", "found a number"),
            ("[[1, \"2\"]]", "invalid type: string"),
            ("[[1, null]]", "invalid type: null"),
            ("[[1e39]]", "does not fit"),
            ("[[[[[[[1]]]]]]]", "nested"),
            ("[[[1, 2, 3], [4]]]", "row 0 is nested unevenly"),
            (
                "[[[1, 2], [3, 4]], [[1, 2, 3, 4]]]",
                "row 1 is nested unevenly",
            ),
            (
                "[[[1, 2], [3, 4]], [1, 2, 3, 4]]",
                "row 1 is nested unevenly",
            ),
            ("[[1, [2]]]", "row 0 is nested unevenly"),
            ("[[[1], 2]]", "row 0 is nested unevenly"),
            ("[[[], 1]]", "row 0 is nested unevenly"),
            ("[[1, []]]", "row 0 is nested unevenly"),
        ] {
            let error = flat(json).expect_err(json);
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    fn slowly(json: &str) -> Option<Document> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn both_readers_read_the_same() {
        let numbers = [
            "0",
            "-0",
            "-0.0",
            "1",
            "-12",
            "0.1",
            "0.30000001192092896",
            "3.4028234e38",
            "1e-45",
            "1E+2",
            "16777217",
            "9007199254740993",
            "123456789012345678",
            "1234567890123456789012",
            "0.000000001",
            "2.5e-3",
            "0.99999999999999999999",
            "7.0385307e-26",
        ];
        let row = numbers.join(" , ");
        let json = format!(
            r#" {{ "layer" : 0, "inputs" : [ [{row}],[{row}]] , "a": {{"b": [1, "]"]}} }} "#
        );
        let (fast, slow) = (
            scan(json.as_bytes()).expect("plain"),
            slowly(&json).expect("JSON"),
        );
        assert_eq!(fast.options, slow.options);
        let nested = r#"{"inputs":[[[1,2],[3,4],[5,6]]]}"#;
        assert_eq!(
            scan(nested.as_bytes()).and_then(|d| d.inputs),
            slowly(nested).and_then(|d| d.inputs)
        );
        let bits = |d: &Document| -> Vec<u32> {
            let flat = d.inputs.as_ref().expect("inputs");
            assert_eq!(flat.rows, 2);
            flat.values.iter().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(&fast), bits(&slow));
    }

    #[test]
    fn random_doubles_are_read_alike() {
        let mut rng = crate::nn::rng::Rng::at(7, &[]);
        let mut row = Vec::new();
        for _ in 0..20_000 {
            let bits = rng.next_u64();
            let value = f64::from_bits(bits);
            if value.is_finite() && value.abs() < 3e38 {
                row.push(value.to_string());
            }
            #[expect(clippy::cast_possible_truncation, reason = "half of the bits will do")]
            let value = f32::from_bits(bits as u32);
            if value.is_finite() {
                row.push(value.to_string());
                row.push(format!("{value:.6}"));
                row.push(format!("{value:e}"));
            }
            // Half-way between two floats, and what lies beside it: 17 digits and more.
            #[expect(clippy::cast_precision_loss, reason = "24 bits")]
            let float = 1024.0 + (bits >> 40) as f32 / 128.0;
            let half = f64::midpoint(f64::from(float), f64::from(float.next_up()));
            for value in [half.next_down(), half, half.next_up()] {
                row.extend([value.to_string(), format!("{value:.14}")]);
            }
            // Below one, as far out as 18 places reach.
            for scale in [2e-3, 4e-3, 8e-3] {
                #[expect(clippy::cast_possible_truncation, reason = "some float is wanted")]
                let float = (scale * (1.0 + (bits >> 11) as f64 / (1u64 << 53) as f64)) as f32;
                let half = f64::midpoint(f64::from(float), f64::from(float.next_up()));
                row.extend([format!("{half:.18}"), format!("{half:.17}")]);
            }
            row.push(format!("0.{bits}"));
            row.push(format!("{}.{:07}", bits % 1000, bits >> 44));
        }
        let json = format!(r#"{{"inputs":[[{}]]}}"#, row.join(","));
        let (fast, slow) = (
            scan(json.as_bytes()).expect("plain"),
            slowly(&json).expect("JSON"),
        );
        assert_eq!(fast.inputs, slow.inputs);
    }

    #[test]
    fn what_is_not_plainly_right_is_left_to_serde() {
        for json in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"inputs":[]}"#,
            r#"{"inputs":[[]]}"#,
            r#"{"inputs":[[1,]]}"#,
            r#"{"inputs":[[01]]}"#,
            r#"{"inputs":[[1.]]}"#,
            r#"{"inputs":[[.5]]}"#,
            r#"{"inputs":[[1e]]}"#,
            r#"{"inputs":[[+1]]}"#,
            r#"{"inputs":[[1e39]]}"#,
            r#"{"inputs":[[1],[1,2]]}"#,
            r#"{"inputs":[1]}"#,
            r#"{"inputs":[[1]],"inputs":[[2]]}"#,
            r#"{"inputs":[[1]]} x"#,
            r#"{"inputs":[[1]],}"#,
            r#"{"inputs":null}"#,
            r#"{"rows":3}"#,
            r#"{"rows":{"dataset":"a","dataset":"b"}}"#,
            r#"{"rows":{"dataset":"a"},"rows":{"dataset":"b"}}"#,
            r#"{"inputs":[[0.0e100000]]}"#,
            r#"{"inp\u0075ts":[[1]]}"#,
            r#"{"inputs":[["1"]]}"#,
            r#"{"inputs":[[[[[[[1]]]]]]]}"#,
            r#"{"inputs":[[-]]}"#,
            r#"{"inputs":[[1 2]]}"#,
            r#"{"inputs":[[[1,2,3],[4]]]}"#,
            r#"{"inputs":[[[1,2],[3,4]],[1,2,3,4]]}"#,
            r#"{"inputs":[[1,[2]]]}"#,
            r#"{"inputs":[[[1],2]]}"#,
        ] {
            assert!(scan(json.as_bytes()).is_none(), "{json}");
        }
        // The same where there is room to read ahead.
        let behind = ",0.25".repeat(20);
        for number in [
            "0.5,",
            "0.5,01",
            "0.5, -",
            "0.5, ",
            "0.5,,0.5",
            "0.5e",
            "0.",
            "00.5",
            "0.5 0.5",
            "0.5,\"1\"",
            "0.5.5",
            "0.-5",
            "0.5,+1",
            "-0.5,-",
            "0.5]",
        ] {
            let json = format!(r#"{{"inputs":[[{number}{behind}]]}}"#);
            assert!(scan(json.as_bytes()).is_none(), "{json}");
        }
    }
}
