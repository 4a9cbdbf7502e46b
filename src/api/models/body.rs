//! A verb's JSON body. `inputs` go straight into one flat buffer, whatever their nesting.
//!
//! Two readers: [`scan`] takes what is plainly right at the speed of its bytes; all else goes to serde,
//! which decides, and says what is wrong and where. Both read the same numbers.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::input::RowsRef;
use crate::api::extract::parse_json;
use crate::api::problem::Result;

/// Lists within lists, at most, in one row.
const DEEPEST: usize = 5;

#[derive(Debug, Default)]
pub struct Document {
    pub inputs: Option<Flat>,
    pub rows: Option<RowsRef>,
    pub options: Map<String, Value>,
}

/// `rows` rows of equal width.
#[derive(Debug, Default, PartialEq)]
pub struct Flat {
    pub rows: usize,
    pub values: Vec<f32>,
}

pub fn read(bytes: &[u8]) -> Result<Document> {
    match scan(bytes) {
        Some(document) => Ok(document),
        None => parse_json(bytes),
    }
}

/// The body, if there is nothing about it to explain.
fn scan(bytes: &[u8]) -> Option<Document> {
    let mut scanner = Scanner { bytes, at: 0 };
    let mut document = Document::default();
    scanner.skip(b'{')?;
    loop {
        let key = scanner.key()?;
        match key {
            "inputs" if document.inputs.is_none() => document.inputs = Some(scanner.rows()?),
            "inputs" => return None,
            "rows" => document.rows = Some(serde_json::from_value(scanner.value()?).ok()?),
            _ => drop(document.options.insert(key.to_owned(), scanner.value()?)),
        }
        match scanner.peek()? {
            b',' => scanner.at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    scanner.at += 1;
    scanner.peek().is_none().then_some(document)
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to this a double holds exactly.
const EXACT: u64 = 1 << 53;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let &byte = self.bytes.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn skip(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// A key without escapes, and its colon.
    fn key(&mut self) -> Option<&'a str> {
        self.skip(b'"')?;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == b'"')?;
        let key = std::str::from_utf8(&rest[..length]).ok()?;
        if key.bytes().any(|b| b == b'\\' || b < b' ') {
            return None;
        }
        self.at += length + 1;
        self.skip(b':')?;
        Some(key)
    }

    fn value(&mut self) -> Option<Value> {
        let rest = &self.bytes[self.at..];
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    fn rows(&mut self) -> Option<Flat> {
        let mut flat = Flat::default();
        let mut width = None;
        self.skip(b'[')?;
        loop {
            let before = flat.values.len();
            // A number and its comma are seldom less than four bytes, nor more than ten.
            let left = self.bytes.len() - self.at;
            flat.values.reserve(width.unwrap_or(left / 10));
            self.row(&mut flat.values, 1)?;
            let found = flat.values.len() - before;
            if *width.get_or_insert(found) != found {
                return None;
            }
            flat.rows += 1;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(flat)
    }

    fn row(&mut self, values: &mut Vec<f32>, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        self.skip(b'[')?;
        loop {
            if self.peek()? == b'[' {
                self.row(values, depth + 1)?;
            } else {
                values.push(self.number()?);
            }
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A number as JSON writes it: the nearest double, then the nearest float, as serde has it.
    #[inline]
    fn number(&mut self) -> Option<f32> {
        let start = self.at;
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let whole_start = self.at;
        let mut mantissa = self.digits(0);
        let whole = self.at - whole_start;
        if whole == 0 || whole > 1 && self.bytes[whole_start] == b'0' {
            return None;
        }
        let mut places = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let first = self.at;
            mantissa = self.digits(mantissa);
            places = self.at - first;
            if places == 0 {
                return None;
            }
        }
        let scientific = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        // Up to 18 digits the mantissa has not overflowed; what is not exact goes the long way.
        let value = if !scientific && whole + places <= 18 && mantissa < EXACT {
            let value = mantissa as f64 / POWERS[places];
            if negative { -value } else { value }
        } else {
            self.long_way(start, scientific)?
        };
        #[expect(clippy::cast_possible_truncation, reason = "models compute in f32")]
        let value = value as f32;
        value.is_finite().then_some(value)
    }

    /// Reads on from `mantissa`, byte by byte: numbers are short, and eight at a time was no faster. It wraps where there are too many digits.
    #[inline]
    fn digits(&mut self, mut mantissa: u64) -> u64 {
        while let Some(digit) = self.bytes.get(self.at).map(|b| b.wrapping_sub(b'0'))
            && digit < 10
        {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        mantissa
    }

    fn long_way(&mut self, start: usize, scientific: bool) -> Option<f64> {
        if scientific {
            self.at += 1;
            let signed = matches!(self.bytes.get(self.at), Some(b'+' | b'-'));
            self.at += usize::from(signed);
            let first = self.at;
            self.digits(0);
            if self.at == first {
                return None;
            }
        }
        std::str::from_utf8(&self.bytes[start..self.at])
            .ok()?
            .parse()
            .ok()
    }
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
                let mut width = None;
                loop {
                    let before = flat.values.len();
                    // The first row tells the width of the others.
                    flat.values.reserve(width.unwrap_or(0));
                    if seq
                        .next_element_seed(Row {
                            values: &mut flat.values,
                            depth: 1,
                        })?
                        .is_none()
                    {
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
                    flat.rows += 1;
                }
            }
        }
        deserializer.deserialize_seq(Outer)
    }
}

/// One row, or one level of a nested row.
struct Row<'a> {
    values: &'a mut Vec<f32>,
    depth: usize,
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
        let Row { values, depth } = self;
        while seq
            .next_element_seed(Row {
                values: &mut *values,
                depth: depth + 1,
            })?
            .is_some()
        {}
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
    use super::*;

    fn flat(json: &str) -> Result<Flat, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn flat_and_nested_rows_fill_the_same_buffer() {
        let even = flat("[[1, 2.5, -3, 4], [5, 6, 7, 8]]").expect("flat rows");
        let nested = flat("[[[1, 2.5], [-3, 4]], [[5, 6], [7, 8]]]").expect("nested rows");
        assert_eq!((even.rows, &even.values), (nested.rows, &nested.values));
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
            r#"{"inp\u0075ts":[[1]]}"#,
            r#"{"inputs":[["1"]]}"#,
            r#"{"inputs":[[[[[[[1]]]]]]]}"#,
            r#"{"inputs":[[-]]}"#,
            r#"{"inputs":[[1 2]]}"#,
        ] {
            assert!(scan(json.as_bytes()).is_none(), "{json}");
        }
    }
}
