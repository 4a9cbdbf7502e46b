//! A model version as one file: a ZIP archive of its manifest and its weights, neither of them compressed.
//! Written around the weights as they lie on disk; read without believing any of its claims.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where such files are written"
)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::Crc;
use sha2::{Digest, Sha256};

use super::files::hex;
use crate::data::ImportError;
use crate::data::import::{archive, source};

pub const MANIFEST: &str = "manifest.json";
pub const WEIGHTS: &str = "model.safetensors";
/// More than any manifest takes.
pub const MOST_MANIFEST: u64 = 1 << 20;
/// Weights that someone has compressed shrink by a half at most; small archives may do as they like.
const MOST_RATIO: u64 = 16;
const SMALL: u64 = 64 << 20;

/// What stands before the weights in the archive, and behind them.
#[derive(Debug, PartialEq, Eq)]
pub struct Bundle {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
}

/// Of the weights in the archive: what must be known before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub bytes: u64,
    pub crc: u32,
    pub sha256: String,
}

impl Sum {
    /// Reads the file through, a stretch at a time.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (mut crc, mut digest) = (Crc::new(), Sha256::new());
        let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            let got = file.read(&mut buffer)?;
            if got == 0 {
                break;
            }
            crc.update(&buffer[..got]);
            digest.update(&buffer[..got]);
            bytes += got as u64;
        }
        Ok(Self {
            bytes,
            crc: crc.sum(),
            sha256: hex(&digest.finalize()),
        })
    }
}

struct Member {
    name: &'static str,
    size: u32,
    crc: u32,
    offset: u32,
}

impl Bundle {
    /// None where the archive would take 4 GiB or more: its lengths have 32 bits.
    pub fn around(manifest: &[u8], weights: &Sum) -> Option<Self> {
        let mut crc = Crc::new();
        crc.update(manifest);
        let first = Member {
            name: MANIFEST,
            size: u32::try_from(manifest.len()).ok()?,
            crc: crc.sum(),
            offset: 0,
        };
        let mut head = first.local();
        head.extend(manifest);
        let second = Member {
            name: WEIGHTS,
            size: u32::try_from(weights.bytes).ok()?,
            crc: weights.crc,
            offset: u32::try_from(head.len()).ok()?,
        };
        head.extend(second.local());
        let directory_at = u32::try_from(head.len()).ok()?.checked_add(second.size)?;
        let directory = [first.entry(), second.entry()].concat();
        let length = u32::try_from(directory.len()).ok()?;
        directory_at.checked_add(length)?.checked_add(1 << 10)?;
        let mut tail = directory;
        tail.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
        tail.extend(length.to_le_bytes());
        tail.extend(directory_at.to_le_bytes());
        tail.extend([0, 0]);
        Some(Self { head, tail })
    }
}

impl Member {
    /// What the header before the content and the directory have in common: version 2.0, no flags, stored,
    /// the first moment that ZIP knows, the sum and the sizes.
    fn common(&self) -> Vec<u8> {
        let name_length = u16::try_from(self.name.len()).unwrap_or(0);
        let mut out = b"\x14\0\0\0\0\0\0\0\x21\0".to_vec();
        out.extend(self.crc.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(name_length.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn local(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(self.common());
        out.extend(self.name.bytes());
        out
    }

    fn entry(&self) -> Vec<u8> {
        // Made on Unix, so that what unpacks it knows the rights: a file that its owner may write.
        let mut out = b"PK\x01\x02\x14\x03".to_vec();
        out.extend(self.common());
        // No comment, the first disk, no inner attributes.
        out.extend([0; 6]);
        out.extend((0o100_644_u32 << 16).to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.name.bytes());
        out
    }
}

/// Takes a bundle apart: the weights go to a file, the manifest is answered. No more than `limit` bytes are
/// written, whatever the archive says. Names are only compared, so none can lead anywhere.
pub fn unpack(bundle: &Path, weights: &Path, limit: u64) -> Result<Vec<u8>, ImportError> {
    let mut file = File::open(bundle)?;
    let members = archive::members(&mut file)?;
    let invalid = |what: String| ImportError::Invalid(what);
    if let Some(other) = members
        .iter()
        .find(|member| ![MANIFEST, WEIGHTS].contains(&member.name.as_str()))
    {
        let name = &other.name;
        return Err(invalid(format!(
            "holds {name:?}; a bundle holds {MANIFEST} and {WEIGHTS} alone"
        )));
    }
    let only = |name: &str| {
        let mut named = members.iter().filter(|member| member.name == name);
        match (named.next(), named.next()) {
            (Some(member), None) => Ok(member),
            (None, _) => Err(invalid(format!("holds no {name}"))),
            (Some(_), Some(_)) => Err(invalid(format!("holds two files {name}"))),
        }
    };
    let (manifest, tensors) = (only(MANIFEST)?, only(WEIGHTS)?);
    if manifest.size > MOST_MANIFEST {
        return Err(invalid(format!(
            "{MANIFEST} claims {} bytes; at most {MOST_MANIFEST} are read",
            manifest.size
        )));
    }
    let mut text = Vec::new();
    let mut input = archive::open(&file, manifest, MOST_MANIFEST)?;
    input
        .reader
        .read_to_end(&mut text)
        .map_err(source::read_error)?;
    let sent = file.metadata()?.len();
    let limit = limit.min(sent.saturating_mul(MOST_RATIO).max(SMALL));
    if tensors.size > limit {
        return Err(ImportError::TooLarge { limit });
    }
    let mut input = archive::open(&file, tensors, limit)?;
    if tensors.size > input.could_hold {
        return Err(invalid(format!(
            "{WEIGHTS} claims {} bytes, more than the archive can hold",
            tensors.size
        )));
    }
    let mut out = File::create(weights)?;
    io::copy(&mut input.reader, &mut out).map_err(source::read_error)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_bundled_is_unpacked_and_others_can_read_it() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        let [weights, bundle, back] = ["w", "b", "back"].map(|name| folder.path().join(name));
        fs::write(&weights, vec![7; 3_000_000])?;
        let sum = Sum::of(&weights)?;
        let around = Bundle::around(b"{}", &sum).ok_or("it is small")?;
        fs::write(
            &bundle,
            [around.head, fs::read(&weights)?, around.tail].concat(),
        )?;
        assert_eq!(unpack(&bundle, &back, 3_000_000)?, b"{}");
        assert!(fs::read(&back)? == fs::read(&weights)?);
        let mut archive = zip::ZipArchive::new(File::open(&bundle)?)?;
        assert_eq!(archive.len(), 2);
        let mut member = archive.by_name(WEIGHTS)?;
        assert_eq!(member.compression(), zip::CompressionMethod::Stored);
        let mut read = Vec::new();
        member.read_to_end(&mut read)?;
        assert!(read == fs::read(&weights)?);
        let over = unpack(&bundle, &back, 2_999_999);
        assert!(
            matches!(over, Err(ImportError::TooLarge { .. })),
            "{over:?}"
        );
        let vast = Sum {
            bytes: u64::from(u32::MAX) - 100,
            ..sum
        };
        assert_eq!(Bundle::around(b"{}", &vast), None);
        Ok(())
    }
}
