//! The Python dict in the header of an NPY file.
//!
//! A parser of exactly what `numpy` writes: three keys, each once, and nothing
//! else. It runs on at most 64 KiB, and nothing is ever evaluated.

use super::super::import::element::{Element, Kind, Layout, Text};
use super::super::{ImportError, invalid};
use super::AnyHeader;

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`.
pub(super) fn parse_dict(dict: &str) -> Result<AnyHeader, ImportError> {
    let mut at = Cursor { rest: dict };
    let (mut descr, mut fortran, mut dims) = (None, None, None);
    at.expect("{")?;
    while !at.accept("}") {
        let key = at.string()?;
        at.expect(":")?;
        let repeated = match key {
            "descr" => descr.replace(at.descr()?).is_some(),
            "fortran_order" => fortran.replace(at.boolean()?).is_some(),
            "shape" => dims.replace(at.tuple()?).is_some(),
            _ => return Err(at.broken("'descr', 'fortran_order' or 'shape'")),
        };
        if repeated {
            return Err(invalid(format!("the NPY header has the key '{key}' twice")));
        }
        if !at.accept(",") {
            at.expect("}")?;
            break;
        }
    }
    if !at.rest.trim().is_empty() {
        return Err(at.broken("the end"));
    }
    let (Some(descr), Some(fortran), Some(dims)) = (descr, fortran, dims) else {
        return Err(invalid(
            "the NPY header lacks one of 'descr', 'fortran_order' and 'shape'",
        ));
    };
    let kind = kind_of(descr)?;
    if fortran {
        return Err(invalid(
            "the array is stored in Fortran order (by columns); \
             save numpy.ascontiguousarray(x) instead",
        ));
    }
    Ok(AnyHeader { kind, dims })
}

/// A place in the dict; every method skips the white space before a token.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        if let Some(after) = rest.strip_prefix(token) {
            self.rest = after;
            return true;
        }
        false
    }

    fn expect(&mut self, token: &str) -> Result<(), ImportError> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(self.broken(&format!("`{token}`")))
        }
    }

    fn broken(&self, wanted: &str) -> ImportError {
        let found: String = self.rest.trim_start().chars().take(24).collect();
        invalid(format!(
            "the NPY header is malformed: expected {wanted} at {found:?}"
        ))
    }

    fn string(&mut self) -> Result<&'a str, ImportError> {
        for quote in ['\'', '"'] {
            if let Some(after) = self.rest.trim_start().strip_prefix(quote)
                && let Some((text, rest)) = after.split_once(quote)
            {
                self.rest = rest;
                return Ok(text);
            }
        }
        Err(self.broken("a quoted string"))
    }

    fn descr(&mut self) -> Result<&'a str, ImportError> {
        if self.rest.trim_start().starts_with('[') {
            return Err(invalid(
                "the array holds records with named fields; save a plain array of numbers",
            ));
        }
        self.string()
    }

    fn boolean(&mut self) -> Result<bool, ImportError> {
        if self.accept("False") {
            return Ok(false);
        }
        if self.accept("True") {
            Ok(true)
        } else {
            Err(self.broken("True or False"))
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, ImportError> {
        self.expect("(")?;
        let mut dims = Vec::new();
        while !self.accept(")") {
            dims.push(self.number()?);
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(dims)
    }

    fn number(&mut self) -> Result<u64, ImportError> {
        let rest = self.rest.trim_start();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let value = number.parse().map_err(|_| self.broken("a dimension"))?;
        self.rest = after;
        Ok(value)
    }
}

/// Characters of one value of text that are read.
const MOST_TEXT: usize = 4096;

/// The byte order of a type, and the rest of its name.
fn parts(descr: &str) -> (char, &str) {
    match descr.chars().next() {
        Some(c @ ('<' | '>' | '|' | '=')) => (c, descr.get(1..).unwrap_or("")),
        _ => ('=', descr),
    }
}

fn kind_of(descr: &str) -> Result<Kind, ImportError> {
    let (order, kind) = parts(descr);
    let big_endian = order == '>';
    let text = kind.strip_prefix('U').map(|length| (true, length));
    let text = text.or_else(|| kind.strip_prefix('S').map(|length| (false, length)));
    if let Some((wide, length)) = text {
        let length = length
            .parse()
            .ok()
            .filter(|length| (1..=MOST_TEXT).contains(length));
        let length = length.ok_or_else(|| {
            let shown: String = descr.chars().take(24).collect();
            invalid(format!(
                "strings of 1 to {MOST_TEXT} characters are read, and the array's type is {shown:?}"
            ))
        })?;
        return Ok(Kind::Text(Text {
            wide,
            length,
            big_endian,
        }));
    }
    let element = match kind {
        "b1" => Element::Bool,
        "u1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return Err(refused_type(descr)),
    };
    Ok(Kind::Number(Layout {
        element,
        big_endian,
    }))
}

fn refused_type(descr: &str) -> ImportError {
    let what = match parts(descr).1.chars().next() {
        Some('O') => "Python objects (a pickle), which are never loaded",
        Some('c') => "complex numbers",
        Some('a') => "strings",
        Some('V') => "raw records",
        Some('M' | 'm') => "dates or durations",
        _ => "values of a type that is not read",
    };
    let shown: String = descr.chars().take(24).collect();
    invalid(format!(
        "the array holds {what} (dtype {shown:?}); \
         integers, floats up to 64 bits and booleans are read"
    ))
}
