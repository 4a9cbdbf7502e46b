//! JSON read at the speed of its bytes: what is plainly right, and nothing else. `None` means "ask serde",
//! which decides and says what is wrong. Both read the same numbers (`body` tests it).

use serde_json::Value;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to this a double holds exactly.
const EXACT: u64 = 1 << 53;

pub(in crate::api) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether nothing but white space is left.
    pub fn end(&mut self) -> bool {
        self.peek().is_none()
    }

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

    /// Whatever stands here.
    pub fn value(&mut self) -> Option<Value> {
        let rest = &self.bytes[self.at..];
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// The members of an object that has some.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.skip(b'{')?;
        loop {
            let key = self.key()?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// The items of a list that has some.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.skip(b'[')?;
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A list of numbers, or of such lists, so many levels of them at most.
    pub fn numbers(&mut self, values: &mut Vec<f32>, levels: usize) -> Option<()> {
        let below = levels.checked_sub(1)?;
        self.list(|scanner| {
            if scanner.peek()? == b'[' {
                return scanner.numbers(values, below);
            }
            values.push(scanner.number()?);
            Some(())
        })
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

    /// Reads on from `mantissa`, byte by byte: numbers are short, and eight at a time was no faster. It wraps
    /// where there are too many digits.
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
