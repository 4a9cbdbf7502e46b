//! `src/api/models/scan.rs` beside serde_json and sonic-rs, both under the same visitor.

use std::fmt::Display;

use latentd::api::models::body::Document;
use latentd::api::models::scan;
use latentd::nn::rng::Rng;

use crate::{Side, compare};

pub fn measure() {
    // As most languages write a float: the fewest digits that say which one it is.
    let short = |value: f32| value;
    // As Python writes one that became a double on the way.
    let long = |value: f32| f64::from(value);
    let bodies = [
        ("json: 1 row of 784, short", body_of(1, short)),
        ("json: 1 row of 784, 17 digits", body_of(1, long)),
        ("json: 64 rows of 784, short", body_of(64, short)),
        ("json: 64 rows of 784, 17 digits", body_of(64, long)),
    ];
    for (what, text) in &bodies {
        let bytes = text.as_bytes();
        assert_eq!(bits(ours(bytes)), bits(serde(bytes)), "{what}");
        assert_eq!(bits(ours(bytes)), bits(sonic(bytes)), "{what}");
        compare(
            what,
            vec![
                Side::new("scan.rs", || ours(bytes)),
                Side::new("serde_json", || serde(bytes)),
                Side::new("sonic-rs", || sonic(bytes)),
            ],
        );
    }
}

fn body_of<T: Display>(rows: usize, write: impl Fn(f32) -> T) -> String {
    let mut rng = Rng::at(1, &[]);
    let mut row = || {
        let mut values = [0.0; 784];
        rng.fill_uniform(&mut values);
        let words: Vec<String> = values.iter().map(|&v| write(v).to_string()).collect();
        format!("[{}]", words.join(","))
    };
    let rows: Vec<String> = (0..rows).map(|_| row()).collect();
    format!(r#"{{"inputs":[{}]}}"#, rows.join(","))
}

fn ours(bytes: &[u8]) -> Option<Document> {
    scan::document(bytes, bytes.len())
}

fn serde(bytes: &[u8]) -> Option<Document> {
    serde_json::from_slice(bytes).ok()
}

fn sonic(bytes: &[u8]) -> Option<Document> {
    sonic_rs::from_slice(bytes).ok()
}

fn bits(document: Option<Document>) -> Option<Vec<u32>> {
    let inputs = document?.inputs?;
    Some(inputs.values.iter().map(|v| v.to_bits()).collect())
}
