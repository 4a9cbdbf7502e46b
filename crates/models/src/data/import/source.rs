//! The client's file as a bounded stream, with any gzip layers peeled off.
//!
//! Every byte that comes out of a layer is counted against the limit, so a
//! small file that unpacks to a vast one is stopped while it unpacks. This is
//! also the place that tells the client's faults (a stream that breaks off)
//! from the server's (a disk that fails). It knows no array format.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use super::super::{ImportError, invalid};
use super::gzip;

/// Bytes looked at to recognise a format. A tar archive's mark is at 257.
const HEAD: usize = 512;
/// Gzip inside gzip happens by accident; deeper than that is an attack.
const MAX_LAYERS: u32 = 2;
/// Deflate cannot do better than 1032 to 1; a little more, for the framing.
pub(super) const MAX_DEFLATE_RATIO: u64 = 1040;

/// A stream of the client's bytes, ready to be read by one of the formats.
pub(crate) struct Input {
    pub reader: Box<dyn Read>,
    /// An upper bound on the bytes the stream can yield, known beforehand: a
    /// header that claims more is lying, whatever the limit.
    pub could_hold: u64,
}

/// An opened source: its stream, its first bytes, and what was peeled.
pub(super) struct Source {
    pub input: Input,
    pub head: Vec<u8>,
    pub gzipped: bool,
}

impl Source {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, ImportError> {
        let file = File::open(path)?;
        let mut could_hold = file.metadata()?.len();
        let mut reader: Box<dyn Read> = Box::new(Counted::new(file, limit));
        let mut layers = 0;
        loop {
            let mut head = vec![0; HEAD];
            let got = fill(reader.as_mut(), &mut head)?;
            head.truncate(got);
            let whole = Cursor::new(head.clone()).chain(reader);
            if !head.starts_with(&gzip::MAGIC) {
                let input = Input {
                    reader: Box::new(whole),
                    could_hold,
                };
                return Ok(Self {
                    input,
                    head,
                    gzipped: layers > 0,
                });
            }
            if layers == MAX_LAYERS {
                return Err(invalid(format!(
                    "the file is gzipped more than {MAX_LAYERS} times over"
                )));
            }
            layers += 1;
            could_hold = could_hold.saturating_mul(MAX_DEFLATE_RATIO);
            reader = Box::new(Counted::new(gzip::Members::of(whole), limit));
        }
    }
}

/// A fault in the client's bytes, carried through `io::Error` by the readers.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("more than {0} bytes")]
    OverLimit(u64),
    #[error("{0}")]
    Damaged(String),
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(ErrorKind::InvalidData, fault)
    }
}

/// Sorts a read error: what the operating system reported is ours, what a
/// decoder reported is the client's.
pub(crate) fn read_error(error: io::Error) -> ImportError {
    match error.downcast::<Fault>() {
        Ok(Fault::OverLimit(limit)) => ImportError::TooLarge { limit },
        Ok(Fault::Damaged(what)) => ImportError::Invalid(what),
        Err(other) => ImportError::Io(other),
    }
}

/// Reads until the buffer is full or the stream ends; returns the bytes read.
pub(crate) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, ImportError> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(read_error(e)),
        }
    }
    Ok(got)
}

/// Counts what one layer yields and stops it at the limit.
pub(super) struct Counted<R> {
    inner: R,
    read: u64,
    limit: u64,
}

impl<R: Read> Counted<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            read: 0,
            limit,
        }
    }

    /// Turns a decoder's complaint into a `Fault` that says how far it got.
    fn explain(&self, error: io::Error) -> io::Error {
        let passed_on = matches!(error.get_ref(), Some(inner) if inner.is::<Fault>());
        if passed_on || error.raw_os_error().is_some() || error.kind() == ErrorKind::Interrupted {
            return error;
        }
        let read = self.read;
        let what = if error.kind() == ErrorKind::UnexpectedEof {
            format!("the compressed data breaks off after {read} unpacked bytes")
        } else {
            format!("the compressed data is damaged after {read} unpacked bytes: {error}")
        };
        Fault::Damaged(what).into()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer).map_err(|e| self.explain(e))?;
        self.read = self.read.saturating_add(got as u64);
        if self.read > self.limit {
            return Err(Fault::OverLimit(self.limit).into());
        }
        Ok(got)
    }
}
