//! A gzip file: members one behind the other, and zeros behind the last, as block devices and `tar` leave them.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::source::Fault;

pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is packed in a file, unpacked.
pub(super) struct Members<R: Read> {
    /// None at the end.
    member: Option<GzDecoder<Ahead<R>>>,
    /// One was read whole already.
    further: bool,
    /// Nothing of the current one was read so far.
    fresh: bool,
}

impl<R: Read> Members<R> {
    /// `packed` begins with a member.
    pub(super) fn of(packed: R) -> Self {
        let inner = BufReader::with_capacity(1 << 16, packed);
        Self {
            member: Some(GzDecoder::new(Ahead { inner, kept: &[] })),
            further: false,
            fresh: true,
        }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            match member.read(buffer) {
                Ok(0) if !buffer.is_empty() => {}
                Ok(got) => {
                    self.fresh = false;
                    return Ok(got);
                }
                // What begins as a member does need not be one.
                Err(error)
                    if error.kind() == ErrorKind::InvalidInput && self.further && self.fresh =>
                {
                    return Err(something_follows());
                }
                Err(error) => return Err(error),
            }
            let mut rest = self.member.take().map(GzDecoder::into_inner);
            if let Some(ahead) = &mut rest
                && !ahead.begins_member()?
            {
                return Ok(0);
            }
            self.member = rest.map(GzDecoder::new);
            (self.further, self.fresh) = (true, true);
        }
        Ok(0)
    }
}

fn something_follows() -> io::Error {
    let what =
        "something follows the gzip data that is neither more gzip data nor zeros; cut it off"
            .to_owned();
    Fault::Damaged(what).into()
}

/// A reader that can be looked into two bytes deep.
struct Ahead<R> {
    inner: BufReader<R>,
    /// Of the magic number, what was taken from `inner` and is still to come.
    kept: &'static [u8],
}

impl<R: Read> Ahead<R> {
    /// Passes over zeros; whether a member begins behind them. The end of the file is none, anything else an error.
    fn begins_member(&mut self) -> io::Result<bool> {
        const FIRST: &[u8] = &[MAGIC[0]];
        loop {
            let block = self.fill_buf()?;
            let zeros = block.iter().take_while(|&&byte| byte == 0).count();
            let (ended, all) = (block.is_empty(), zeros == block.len());
            self.consume(zeros);
            if ended {
                return Ok(false);
            }
            if !all {
                break;
            }
        }
        if self.fill_buf()?.first() != FIRST.first() {
            return Err(something_follows());
        }
        self.consume(1);
        if self.fill_buf()?.first() != Some(&MAGIC[1]) {
            return Err(something_follows());
        }
        self.kept = FIRST;
        Ok(true)
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.kept.is_empty() {
            self.inner.fill_buf()
        } else {
            Ok(self.kept)
        }
    }

    fn consume(&mut self, count: usize) {
        if self.kept.is_empty() {
            self.inner.consume(count);
        } else {
            self.kept = self.kept.get(count..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    /// Hands over few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut last = None;
        for at_once in [1, 2, 7, 1 << 20] {
            let mut out = Vec::new();
            let read = Members::of(Drops(bytes, at_once)).read_to_end(&mut out);
            let outcome = read.map(|_| out).map_err(|error| error.to_string());
            assert!(
                last.is_none_or(|last| last == outcome),
                "{at_once} at once: {outcome:?}"
            );
            last = Some(outcome);
        }
        last.unwrap()
    }

    #[test]
    fn zeros_behind_are_passed_over_and_more_members_read() {
        let one = packed(b"1,2\n");
        for zeros in [0, 1, 2, 9, 10, 512, 100_000] {
            let zeros = vec![0; zeros];
            let padded = [&one[..], &zeros].concat();
            assert_eq!(
                unpacked(&padded).unwrap(),
                b"1,2\n",
                "{} zeros",
                zeros.len()
            );
            let two = [&padded[..], &packed(b"3,4\n"), &zeros].concat();
            assert_eq!(unpacked(&two).unwrap(), b"1,2\n3,4\n");
        }
        assert_eq!(unpacked(&one.repeat(3)).unwrap(), b"1,2\n1,2\n1,2\n");
        assert_eq!(unpacked(&packed(b"")).unwrap(), b"");
    }

    #[test]
    fn anything_else_behind_is_refused() {
        let one = packed(b"1,2\n");
        for tail in [
            &b"j"[..],
            b"junk!",
            b"\0\0junk",
            b"\x1f",
            b"\x1fjunk and more junk",
            b"\x1f\x8bjunk and more junk",
        ] {
            let refused = unpacked(&[&one[..], tail].concat()).unwrap_err();
            assert!(
                refused.contains("something follows the gzip data"),
                "{tail:?}: {refused}"
            );
        }
        let refused = unpacked(&[&one[..], &one[..12]].concat()).unwrap_err();
        assert!(!refused.contains("follows"), "it breaks off: {refused}");
    }
}
