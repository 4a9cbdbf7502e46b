//! JSON read at the speed of its bytes: what is plainly right, and nothing else. `None` means "ask serde",
//! which decides and says what is wrong. Both read the same numbers (`body` tests it).
//!
//! On rows of 784 numbers it is 2.8 to 3.3 times as fast as serde_json and 2.0 to 3.5 times as fast as
//! sonic-rs 0.5.10 under the same visitor: `make bench-parts ONLY=json`.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::body::{Document, Flat};
use super::nesting::{DEEPEST, Nesting};
use crate::document::Strict;

/// Digits of which every number fits 64 bits.
const MOST_DIGITS: usize = 18;
/// Powers of ten, all of which a double holds exactly.
const POWERS: [f64; MOST_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];
#[rustfmt::skip]
const WHOLE_POWERS: [u64; 9] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// From here to its double the doubles are the whole numbers.
const TWO_TO_52: f64 = 4_503_599_627_370_496.0;

/// A verb's body, if there is nothing about it to explain. What is no row takes `most` bytes at most.
pub fn document(bytes: &[u8], most: usize) -> Option<Document> {
    let mut scanner = Scanner::new(bytes, most);
    let mut document = Document::default();
    scanner.object(|scanner, key| {
        match key {
            "inputs" if document.inputs.is_none() => document.inputs = Some(rows(scanner)?),
            "inputs" => return None,
            "rows" if document.rows.is_none() => document.rows = Some(scanner.typed()?),
            "rows" => return None,
            _ => drop(document.options.insert(key.to_owned(), scanner.brief()?)),
        }
        Some(())
    })?;
    scanner.end().then_some(document)
}

fn rows(scanner: &mut Scanner) -> Option<Flat> {
    let mut flat = Flat::default();
    let mut nesting = Nesting::default();
    let mut width = None;
    scanner.list(|scanner| {
        let before = flat.values.len();
        // A number and its comma are seldom less than four bytes.
        flat.values.reserve(width.unwrap_or(scanner.left() / 4));
        scanner.numbers(&mut flat.values, &mut nesting, 1)?;
        let found = flat.values.len() - before;
        flat.rows += 1;
        (*width.get_or_insert(found) == found).then_some(())
    })?;
    // What stood behind the rows was no row.
    if flat.values.capacity() / 8 > flat.values.len() {
        flat.values.shrink_to_fit();
    }
    flat.shape = nesting.shape();
    (!nesting.is_uneven()).then_some(flat)
}

pub(in crate::api) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes that values may still take which are not read straight into numbers.
    brief: usize,
}

impl<'a> Scanner<'a> {
    /// `brief` is what all values read by [`Self::brief`] may take together.
    pub fn new(bytes: &'a [u8], brief: usize) -> Self {
        Self {
            bytes,
            at: 0,
            brief,
        }
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

    /// Whatever stands here, by its type, if it is brief: values of any type take many times their bytes.
    pub fn brief<T: DeserializeOwned>(&mut self) -> Option<T> {
        // Of most bodies there is no more left than may be read so.
        if self.left() > self.brief {
            let at = self.at;
            let _: IgnoredAny = self.value()?;
            self.brief = self.brief.checked_sub(self.at - at)?;
            self.at = at;
        }
        self.value()
    }

    /// The same as a type with objects in it, each read from an object.
    pub fn typed<T: DeserializeOwned>(&mut self) -> Option<T> {
        let text: Box<RawValue> = self.brief()?;
        let mut reader = serde_json::Deserializer::from_str(text.get());
        T::deserialize(Strict(&mut reader)).ok()
    }

    /// Whatever stands here, by its type: what an object holds twice is seen.
    fn value<T: DeserializeOwned>(&mut self) -> Option<T> {
        let rest = &self.bytes[self.at..];
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
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

    /// A list of numbers, or of such lists, `depth` lists deep.
    pub fn numbers(
        &mut self,
        values: &mut Vec<f32>,
        nesting: &mut Nesting,
        depth: usize,
    ) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let (before, mut lists) = (values.len(), 0);
        self.list(|scanner| {
            if scanner.peek()? == b'[' {
                lists += 1;
                return scanner.numbers(values, nesting, depth + 1);
            }
            scanner.at = run(scanner.bytes, scanner.at, values)?;
            nesting.number(depth);
            Some(())
        })?;
        let items = if lists > 0 {
            lists
        } else {
            values.len() - before
        };
        nesting.list(depth, items);
        Some(())
    }
}

/// Numbers from `at` on with a comma between each two; where the last of them ends. What is here and below keeps
/// its place in a register: through a `Scanner` each number would wait for the place of the one before to come
/// back from memory.
fn run(bytes: &[u8], mut at: usize, values: &mut Vec<f32>) -> Option<usize> {
    loop {
        while let Some((value, next)) = fraction(bytes, at) {
            values.push(value);
            at = next;
        }
        let (value, end) = number(bytes, at)?;
        values.push(value);
        // As most write it: nothing before the comma, at most a space behind. All else is the caller's.
        let behind = match bytes.get(end..)? {
            [b',', b' ', ..] => end + 2,
            [b',', ..] => end + 1,
            _ => return Some(end),
        };
        match bytes.get(behind)? {
            b'0'..=b'9' | b'-' => at = behind,
            _ => return Some(end),
        }
    }
}

/// A number from 0 to 1, as most are that models read, with a comma and one more number behind, and where that
/// one starts. `number` reads it too, with more checks; none is no verdict.
#[inline]
fn fraction(bytes: &[u8], at: usize) -> Option<(f32, usize)> {
    let window = bytes.get(at..)?.first_chunk::<32>()?;
    let [b'0', b'.', first @ ..] = window else {
        return None;
    };
    let (mut mantissa, mut places) = leading_digits(*first.first_chunk()?);
    for eight in 1..3 {
        if places < 8 * eight {
            break;
        }
        let (digits, count) = leading_digits(*first[8 * eight..].first_chunk()?);
        mantissa = mantissa
            .wrapping_mul(WHOLE_POWERS[count])
            .wrapping_add(digits);
        places += count;
    }
    if places == 0 || places > MOST_DIGITS || first[places] != b',' {
        return None;
    }
    // Two ways rather than a sum: the next number need not wait to learn which it was.
    let next = match first[places + 1] {
        b'0'..=b'9' | b'-' => places + 1,
        b' ' if matches!(first[places + 2], b'0'..=b'9' | b'-') => places + 2,
        _ => return None,
    };
    let value = nearest(mantissa, places)?;
    Some((value, at + 2 + next))
}

/// A number as JSON writes it, and where it ends: the nearest double, then the nearest float, as serde has it.
#[inline]
fn number(bytes: &[u8], start: usize) -> Option<(f32, usize)> {
    let negative = bytes.get(start) == Some(&b'-');
    let whole_start = start + usize::from(negative);
    let (whole, mut at) = few_digits(bytes, whole_start);
    let mut mantissa = whole;
    let mut digits = at - whole_start;
    if digits == 0 || digits > 1 && bytes[whole_start] == b'0' {
        return None;
    }
    // A zero alone; where the whole has wrapped to nothing there are too many digits either way.
    digits -= usize::from(whole == 0);
    let mut places = 0;
    if bytes.get(at) == Some(&b'.') {
        let first = at + 1;
        (mantissa, at) = more_digits(bytes, first, mantissa);
        places = at - first;
        if places == 0 {
            return None;
        }
    }
    let scientific = matches!(bytes.get(at), Some(b'e' | b'E'));
    if !scientific
        && digits + places <= MOST_DIGITS
        && let Some(value) = nearest(mantissa, places)
    {
        return Some((if negative { -value } else { value }, at));
    }
    long_way(bytes, start, at)
}

/// Digits, of which there is mostly one. It wraps where there are too many.
#[inline]
fn few_digits(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let mut mantissa = 0u64;
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (mantissa, at)
}

/// Reads on from `mantissa`, eight bytes at a time without a branch for each. It wraps where there are too many
/// digits.
#[inline]
fn more_digits(bytes: &[u8], mut at: usize, mut mantissa: u64) -> (u64, usize) {
    loop {
        let Some(&eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            // Near the end of the bytes.
            let (last, end) = few_digits(bytes, at);
            let scale = WHOLE_POWERS[end - at];
            return (mantissa.wrapping_mul(scale).wrapping_add(last), end);
        };
        let (digits, count) = leading_digits(eight);
        mantissa = mantissa
            .wrapping_mul(WHOLE_POWERS[count])
            .wrapping_add(digits);
        at += count;
        if count < 8 {
            return (mantissa, at);
        }
    }
}

/// A number of which all but the exponent, which `at` points to if there is one, was read.
#[cold]
fn long_way(bytes: &[u8], start: usize, mut at: usize) -> Option<(f32, usize)> {
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        let signed = matches!(bytes.get(at), Some(b'+' | b'-'));
        let first = at + usize::from(signed);
        (_, at) = few_digits(bytes, first);
        // The standard library stops to count at 65536, serde does not.
        if !(first + 1..first + 5).contains(&at) {
            return None;
        }
    }
    let value: f64 = std::str::from_utf8(&bytes[start..at]).ok()?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "models compute in f32")]
    let value = value as f32;
    value.is_finite().then_some((value, at))
}

/// The digits at the head of `eight`, as a number, and how many there are.
#[inline]
fn leading_digits(eight: [u8; 8]) -> (u64, usize) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let values = u64::from_le_bytes(eight) ^ (EACH * 0x30);
    // The highest bit of each byte that is ten or more.
    let others = (((values & (EACH * 0x7f)) + EACH * (0x80 - 10)) | values) & (EACH * 0x80);
    let count = (others.trailing_zeros() / 8) as usize;
    // To the end of the eight, behind zeros: nothing of what follows the digits is left. Twice, for none at all.
    let aligned = values << (4 * (8 - count)) << (4 * (8 - count));
    // Neighbours become numbers of two digits, then of four, then of eight.
    let twos = (aligned.wrapping_mul(10) + (aligned >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(100) + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    let all = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
    (all, count)
}

/// The float nearest to the double that is nearest to `mantissa` / 10^`places`; none where doubles do not tell.
#[inline]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "models compute in f32; what rounding loses is reckoned with"
)]
fn nearest(mantissa: u64, places: usize) -> Option<f32> {
    /// Bits of a double that a float has not.
    const BEYOND: u64 = (1 << 29) - 1;
    const HALF_WAY: u64 = 1 << 28;
    if mantissa < 1 << 52 {
        // As `as`, but for what the processor's own conversion waits for: the register's last value.
        let exact = f64::from_bits(TWO_TO_52.to_bits() | mantissa) - TWO_TO_52;
        // The quotient of two that are exact is the nearest double itself.
        return Some((exact / POWERS[places]) as f32);
    }
    // From here to 2^53 the check is for nothing. Beyond, mantissa and quotient are rounded: the nearest double is no
    // more than two away. All of these become the same float unless the half between two floats lies among them.
    // (None is so small that floats are sparser.)
    let value = mantissa as f64 / POWERS[places];
    let from_half = (value.to_bits() & BEYOND).abs_diff(HALF_WAY);
    (from_half > 4).then_some(value as f32)
}
