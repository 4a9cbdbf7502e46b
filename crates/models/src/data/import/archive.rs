//! A small reader of ZIP files, enough for NPZ and for bundles of models.
//!
//! Written here rather than taken from a library so that every allocation is
//! bounded by a constant: the directory of a hostile archive may claim any
//! number of members. Stored and deflated only, no encryption; of ZIP64 only the
//! long sizes of a member, which some writers use whatever the size.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::super::{ImportError, invalid};
use super::column::quoted;
use super::source::{Counted, Fault, Input, MAX_DEFLATE_RATIO, fill};

/// More than any NPZ; keeps a hostile directory from filling the memory.
const MAX_MEMBERS: u16 = 1024;
const MAX_DIRECTORY: u32 = 1 << 20;
/// The end record is 22 bytes and a comment of up to 65535.
const END_RECORD: usize = 22;
const MAX_TAIL: u64 = END_RECORD as u64 + 65_535;

/// One member, as the archive's directory describes it.
pub(crate) struct Member {
    pub name: String,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    pub size: u64,
    header_at: u64,
}

/// Lists the members of the archive.
pub(crate) fn members(file: &mut File) -> Result<Vec<Member>, ImportError> {
    let length = file.metadata()?.len();
    let tail_at = length.saturating_sub(MAX_TAIL);
    let tail = read_at(file, tail_at, MAX_TAIL.min(length))?;
    let end = (0..tail.len())
        .rev()
        .filter_map(|at| tail.get(at..))
        .find(|end| end.starts_with(b"PK\x05\x06") && end.len() >= END_RECORD)
        .ok_or_else(|| invalid("the ZIP file is cut short: its directory is missing"))?;
    let (Some(count), Some(size), Some(at)) = (u16_at(end, 10), u32_at(end, 12), u32_at(end, 16))
    else {
        return Err(invalid("the ZIP file's end record is cut short"));
    };
    if count > MAX_MEMBERS || size > MAX_DIRECTORY {
        return Err(invalid(format!(
            "the ZIP file claims {count} members in a directory of {size} bytes; \
             at most {MAX_MEMBERS} members in {MAX_DIRECTORY} bytes are read (and no ZIP64)"
        )));
    }
    let directory = read_at(file, u64::from(at), u64::from(size))?;
    let mut rest = directory.as_slice();
    let mut out = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (member, after) = member(rest).ok_or_else(|| {
            invalid(format!(
                "the ZIP file's directory is malformed at member {}",
                out.len()
            ))
        })?;
        out.push(member);
        rest = after;
    }
    Ok(out)
}

/// Parses one directory entry; returns it and what follows it.
fn member(entry: &[u8]) -> Option<(Member, &[u8])> {
    const FIXED: usize = 46;
    if !entry.starts_with(b"PK\x01\x02") {
        return None;
    }
    let name_len = usize::from(u16_at(entry, 28)?);
    let extra_len = usize::from(u16_at(entry, 30)?);
    let comment_len = usize::from(u16_at(entry, 32)?);
    let (name, rest) = entry.get(FIXED..)?.split_at_checked(name_len)?;
    let (extra, rest) = rest.split_at_checked(extra_len)?;
    let mut long = long_sizes(extra);
    // The long fields stand in this order, each only if its short one is full.
    let mut field = |short: u32| match short {
        u32::MAX => {
            let (value, after) = long.split_first_chunk()?;
            long = after;
            Some(u64::from_le_bytes(*value))
        }
        _ => Some(u64::from(short)),
    };
    let size = field(u32_at(entry, 24)?)?;
    let compressed = field(u32_at(entry, 20)?)?;
    let header_at = field(u32_at(entry, 42)?)?;
    let (flags, method, crc) = (u16_at(entry, 8)?, u16_at(entry, 10)?, u32_at(entry, 16)?);
    let name = String::from_utf8_lossy(name).into_owned();
    let member = Member {
        name,
        flags,
        method,
        crc,
        compressed,
        size,
        header_at,
    };
    Some((member, rest.get(comment_len..)?))
}

/// The ZIP64 block among a member's extra fields; empty if there is none.
fn long_sizes(mut extra: &[u8]) -> &[u8] {
    while let Some((id, length)) = u16_at(extra, 0).zip(u16_at(extra, 2)) {
        let end = 4 + usize::from(length);
        if id == 1 {
            return extra.get(4..end).unwrap_or_default();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

/// Opens one member as a stream that yields at most `limit` bytes and checks
/// the member's size and checksum where it ends.
pub(crate) fn open(file: &File, member: &Member, limit: u64) -> Result<Input, ImportError> {
    const LOCAL: u64 = 30;
    let name = quoted(member.name.as_bytes());
    if member.flags & 1 != 0 {
        return Err(invalid(format!(
            "the member {name} of the ZIP file is encrypted"
        )));
    }
    let mut file = file.try_clone()?;
    let local = read_at(&mut file, member.header_at, LOCAL)?;
    let lengths = u16_at(&local, 26).zip(u16_at(&local, 28));
    let Some((name_len, extra_len)) = lengths.filter(|_| local.starts_with(b"PK\x03\x04")) else {
        return Err(invalid(format!(
            "the ZIP file has no member where {name} should be"
        )));
    };
    let skip = LOCAL + u64::from(name_len) + u64::from(extra_len);
    file.seek(SeekFrom::Start(member.header_at.saturating_add(skip)))?;
    let raw = BufReader::with_capacity(1 << 16, file).take(member.compressed);
    let (plain, could_hold): (Box<dyn Read>, u64) = match member.method {
        0 => (Box::new(raw), member.compressed),
        8 => {
            let most = member.compressed.saturating_mul(MAX_DEFLATE_RATIO);
            (Box::new(DeflateDecoder::new(raw)), most)
        }
        other => {
            return Err(invalid(format!(
                "the member {name} is compressed by ZIP method {other}; \
                 only stored and deflated members are read"
            )));
        }
    };
    let checked = Checked {
        inner: plain,
        crc: Crc::new(),
        left: member.size,
        want: member.crc,
    };
    Ok(Input {
        reader: Box::new(Counted::new(checked, limit)),
        could_hold,
    })
}

/// Verifies a member's size and checksum as it is read.
struct Checked {
    inner: Box<dyn Read>,
    crc: Crc,
    left: u64,
    want: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        if got == 0 && !buffer.is_empty() {
            if self.left > 0 {
                let what = format!("the ZIP member ends {} bytes too early", self.left);
                return Err(Fault::Damaged(what).into());
            }
            if self.crc.sum() != self.want {
                let what = "the ZIP member's checksum does not match its content".to_owned();
                return Err(Fault::Damaged(what).into());
            }
        }
        self.crc.update(buffer.get(..got).unwrap_or_default());
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| {
            Fault::Damaged("the ZIP member is longer than its directory says".to_owned())
        })?;
        Ok(got)
    }
}

/// Reads `length` bytes (bounded by the callers' constants) from a place.
fn read_at(file: &mut File, at: u64, length: u64) -> Result<Vec<u8>, ImportError> {
    let end = at.saturating_add(length);
    // Asked before the seek: one to a place that no file has is an error of
    // the operating system's, and would be taken for the server's fault.
    if end <= file.metadata()?.len() {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.seek(SeekFrom::Start(at))?;
        if fill(file, &mut bytes)? == bytes.len() {
            return Ok(bytes);
        }
    }
    Err(invalid(format!(
        "the ZIP file ends before byte {end}, which its directory points to"
    )))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
