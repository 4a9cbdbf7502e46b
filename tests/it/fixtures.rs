//! Files to upload, made here byte by byte, and a seeded source of arbitrary numbers.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::service::Service;

/// The header of an IDX file of bytes.
pub fn idx_header(dims: &[u32]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, u8::try_from(dims.len()).expect("few dimensions")];
    out.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    out
}

pub fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    [idx_header(dims), values.to_vec()].concat()
}

/// The header of an NPY file; `descr` and `shape` are Python's.
pub fn npy_header(descr: &str, shape: &str) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(
        u16::try_from(dict.len())
            .expect("a short header")
            .to_le_bytes(),
    );
    out.extend(dict.as_bytes());
    out
}

/// An NPY file of rows.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut out = npy_header("<f4", &format!("({},)", dims.join(", ")));
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out
}

/// Shape and values of an NPY file of little-endian floats.
pub fn read_npy(bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
    assert!(
        bytes.starts_with(b"\x93NUMPY\x01\x00"),
        "not an NPY file: {:?}",
        &bytes[..bytes.len().min(20)]
    );
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let dict = std::str::from_utf8(&bytes[10..end]).expect("a header in ASCII");
    assert!(dict.contains("'<f4'") && dict.contains("False"), "{dict}");
    let inside = dict.split(['(', ')']).nth(1).expect("a shape");
    let shape = inside
        .split(',')
        .filter_map(|d| d.trim().parse().ok())
        .collect();
    let values = bytes[end..]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    (shape, values)
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// `head`, then this many zeros, gzipped: small as sent, vast once unpacked.
pub fn gz_bomb(head: &[u8], zeros: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(head).expect("memory");
    let block = vec![0; 1 << 20];
    let mut left = zeros;
    while left > 0 {
        let n = left.min(block.len());
        encoder.write_all(&block[..n]).expect("memory");
        left -= n;
    }
    encoder.finish().expect("memory")
}

/// An NPZ archive of these members.
pub fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        archive
            .start_file(format!("{name}.npy"), options)
            .expect("a member");
        archive.write_all(bytes).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

/// A grey PNG of values in [0, 1].
pub fn png(width: u32, height: u32, values: &[f32]) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a byte"
    )]
    let shades = values
        .iter()
        .map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8)
        .collect();
    let picture =
        image::GrayImage::from_raw(width, height, shades).expect("as many values as pixels");
    let mut out = Cursor::new(Vec::new());
    picture
        .write_to(&mut out, image::ImageFormat::Png)
        .expect("memory");
    out.into_inner()
}

/// Width and height of a PNG, which must be one.
pub fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert!(bytes.starts_with(b"\x89PNG"), "not a PNG");
    let picture = image::load_from_memory(bytes).expect("a whole PNG");
    (picture.width(), picture.height())
}

/// A form of one name and these files.
pub fn form(name: &str, files: &[(&'static str, Vec<u8>)]) -> Form {
    files.iter().fold(
        Form::new().text("name", name.to_owned()),
        |form, (part, bytes)| file(form, part, bytes.clone()),
    )
}

pub fn file(form: Form, part: &'static str, bytes: Vec<u8>) -> Form {
    form.part(part, Part::bytes(bytes).file_name("file"))
}

/// Numbers that look arbitrary and are the same every time (SplitMix64).
pub struct Arbitrary(pub u64);

impl Arbitrary {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A list of rows in JSON, as numbers.
#[track_caller]
pub fn rows(value: &Value) -> Vec<Vec<f32>> {
    serde_json::from_value(value.clone())
        .unwrap_or_else(|error| panic!("not rows of numbers: {error}: {value}"))
}

#[track_caller]
pub fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance, "value {i}: {a} and {b}");
    }
}

/// The same of numbers or flat rows in JSON; `what` is for the message.
#[track_caller]
pub fn assert_near(a: &Value, b: &Value, tolerance: f64, what: &str) {
    let numbers = |value: &Value| -> Vec<f64> {
        let one = value.as_f64().map(|number| vec![number]);
        let many = || value.as_array()?.iter().map(Value::as_f64).collect();
        one.or_else(many)
            .unwrap_or_else(|| panic!("{what}: no numbers: {value}"))
    };
    let (a, b) = (numbers(a), numbers(b));
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        let allowed = tolerance * (1.0 + a.abs());
        assert!((a - b).abs() <= allowed, "{what}: value {i}: {a} and {b}");
    }
}

/// The first rows of the embedded digits' test split.
pub async fn first_digits(service: &Service, n: usize) -> Vec<Vec<f32>> {
    let path = format!("/v1/datasets/digits/rows?split=test&limit={n}");
    rows(&service.get(&path).await.ok(200)["rows"])
}
