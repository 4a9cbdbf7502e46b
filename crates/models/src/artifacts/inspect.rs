//! Weights from outside, looked through as they lie on disk: no tensor is made, and no more is held than the
//! header and a stretch of the numbers.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata};
use sha2::{Digest, Sha256};

use super::files::hex;

/// Room for a name and a shape each of some hundred thousand tensors.
const MOST_HEADER: u64 = 16 << 20;
const STRETCH: usize = 1 << 20;

/// A file whose numbers are all finite, and all f32.
#[derive(Debug, PartialEq, Eq)]
pub struct Inspected {
    pub sha256: String,
    pub bytes: u64,
    /// Numbers in all tensors together.
    pub numbers: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The client's fault.
    #[error("{0}")]
    Unfit(String),
    #[error("the weights cannot be read back: {0}")]
    Io(#[from] io::Error),
}

fn unfit(detail: impl Into<String>) -> InspectError {
    InspectError::Unfit(detail.into())
}

pub fn inspect(path: &Path) -> Result<Inspected, InspectError> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut digest = Sha256::new();
    let header = read_header(&mut file, bytes, &mut digest)?;
    let mut offset = 0;
    let mut buffer = vec![0; STRETCH];
    loop {
        let got = fill(&mut file, &mut buffer)?;
        let stretch = &buffer[..got];
        if let Some(at) = first_not_finite(stretch) {
            return Err(unfit(not_finite(&header, offset + at)));
        }
        digest.update(stretch);
        offset += got;
        if got < STRETCH {
            break;
        }
    }
    Ok(Inspected {
        sha256: hex(&digest.finalize()),
        bytes,
        numbers: offset as u64 / 4,
    })
}

/// What the file says of its tensors, held against its length.
fn read_header(file: &mut File, bytes: u64, digest: &mut Sha256) -> Result<Metadata, InspectError> {
    let mut start = [0; 8];
    if bytes < 8 {
        return Err(unfit(format!(
            "not a safetensors file: it has {bytes} bytes, fewer than the length of its header takes"
        )));
    }
    file.read_exact(&mut start)?;
    let length = u64::from_le_bytes(start);
    if length > MOST_HEADER.min(bytes - 8) {
        return Err(unfit(format!(
            "not a safetensors file: its header would have {length} bytes, the file has {bytes}"
        )));
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact(&mut text)?;
    let header: Metadata = serde_json::from_slice(&text)
        .map_err(|e| unfit(format!("not a safetensors file: its header: {e}")))?;
    let (claimed, there) = (header.data_len() as u64, bytes - 8 - length);
    if claimed != there {
        return Err(unfit(format!(
            "its header tells of {claimed} bytes of tensors, {there} follow it"
        )));
    }
    let other = |info: &&safetensors::tensor::TensorInfo| info.dtype != Dtype::F32;
    let tensors = header.tensors();
    if let Some((name, info)) = tensors.iter().find(|(_, info)| other(info)) {
        let dtype = info.dtype;
        return Err(unfit(format!(
            "tensor '{name}' has type {dtype:?}; weights are F32"
        )));
    }
    digest.update(start);
    digest.update(&text);
    Ok(header)
}

/// Where the first NaN or infinity starts.
fn first_not_finite(stretch: &[u8]) -> Option<usize> {
    // All ones in the exponent.
    let odd = |n: &[u8; 4]| !f32::from_le_bytes(*n).is_finite();
    let (numbers, _) = stretch.as_chunks::<4>();
    Some(numbers.iter().position(odd)? * 4)
}

fn not_finite(header: &Metadata, at: usize) -> String {
    let tensors = header.tensors();
    let holds = |info: &safetensors::tensor::TensorInfo| {
        (info.data_offsets.0..info.data_offsets.1).contains(&at)
    };
    match tensors.iter().find(|(_, info)| holds(info)) {
        Some((name, info)) => format!(
            "tensor '{name}' holds a number that is not finite, at {} from 0",
            (at - info.data_offsets.0) / 4
        ),
        None => "holds a number that is not finite".to_owned(),
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of these tensors, `data` behind the header.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), data].concat()
    }

    fn inspected(bytes: &[u8]) -> Result<Inspected, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("weights");
        fs::write(&path, bytes).expect("a file");
        inspect(&path).map_err(|e| e.to_string())
    }

    const TWO: &str = concat!(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#,
        r#""b":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}}"#,
    );

    #[test]
    fn whole_files_are_told_from_others() {
        let values = [1.0_f32, -2.5, f32::MAX].map(f32::to_le_bytes).concat();
        let good = file(TWO, &values);
        let found = inspected(&good).expect("it is whole");
        assert_eq!((found.numbers, found.bytes), (3, good.len() as u64));
        assert_eq!(found.sha256, hex(&Sha256::digest(&good)));
        let nan = [1.0, -2.5, f32::NAN].map(f32::to_le_bytes).concat();
        let infinite = [1.0, f32::INFINITY, 0.0].map(f32::to_le_bytes).concat();
        let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        let other_type = TWO.replacen("F32", "I32", 1);
        let overlapping = TWO.replace("[8,12]", "[4,8]");
        let wrong_size = TWO.replace("[1,1]", "[1,9]");
        let vast = TWO.replace("[1,1]", "[4294967296,4294967296,4294967296]");
        for (bytes, said) in [
            (Vec::new(), "fewer than"),
            (huge, "its header would have"),
            (good[..good.len() - 1].to_vec(), "11 follow it"),
            ([good.as_slice(), &[0]].concat(), "13 follow it"),
            (file("{", &[]), "its header"),
            (file(&"[".repeat(100_000), &[]), "its header"),
            (
                file(TWO, &nan),
                "'b' holds a number that is not finite, at 0",
            ),
            (
                file(TWO, &infinite),
                "'a' holds a number that is not finite, at 1",
            ),
            (file(&other_type, &values), "'a' has type I32"),
            (file(&overlapping, &values), "its header"),
            (file(&wrong_size, &values), "its header"),
            (file(&vast, &values), "its header"),
        ] {
            let error = inspected(&bytes).expect_err(said);
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
