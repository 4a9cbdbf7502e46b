//! A column of codes, as it comes: numbers that are the codes themselves, or words that are coded here.
//!
//! Words are coded in their order (by code point, so "False" is 0 and "True" 1), which is known only at the end:
//! until then they wait in a file beside, by the number of their first appearance. The test split keeps to the
//! coding of the training split.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::{Coding, Dtype, ImportError, ImportOptions, Role, Written, invalid};
use super::column::quoted;
use super::sink::{ColumnSink, Waiting, checked, place};

/// Of one word, and of all: with what JSON adds, they fit the manifest of a model.
const MOST_OF_A_WORD: usize = 200;
const MOST_BYTES: usize = 1 << 19;
const MOST_WORDS: usize = 1 << 15;

/// The column under way.
pub(super) struct Codes {
    role: Role,
    sink: ColumnSink,
    words: Words,
    /// How the training split is coded, where this is another.
    coding: Option<Coding>,
    /// The first value as it came, and whether it is a word.
    first: Option<(String, bool)>,
    waiting: Option<Waiting>,
    beside: PathBuf,
}

impl Codes {
    pub(super) fn create(
        role: Role,
        out: &Path,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let mut words = Words::default();
        if let Some(Coding::Words(names)) = &options.coding {
            for name in names {
                words.add(name);
            }
        }
        let mut beside = out.as_os_str().to_owned();
        beside.push(".words");
        Ok(Self {
            role,
            sink: ColumnSink::create(out, role, Dtype::I64, options.max_bytes)?,
            words,
            coding: options.coding.clone(),
            first: None,
            waiting: None,
            beside: beside.into(),
        })
    }

    /// What a cell stands for, or what is wrong with it in a few words; `number` is the cell as one, and all there
    /// is of a number that comes from an array.
    pub(super) fn code(&mut self, cell: &[u8], number: Option<f64>) -> Result<f64, String> {
        let shown = || match number {
            Some(number) if cell.is_empty() => number.to_string(),
            _ => quoted(cell),
        };
        let is_word = number.is_none();
        if let Some((first, first_is_word)) = &self.first
            && *first_is_word != is_word
        {
            let (kind, other) = if is_word {
                ("word", "number")
            } else {
                ("number", "word")
            };
            return Err(format!(
                "{} is a {kind}, but {first} before it is a {other}: {} are all numbers or all words",
                shown(),
                self.role.name()
            ));
        }
        let code = match (&self.coding, number) {
            (None | Some(Coding::Numbers), Some(number)) => checked(self.role, number)?,
            (Some(Coding::Numbers), None) => {
                return Err(format!(
                    "{} is a word, but those of 'train' are numbers",
                    shown()
                ));
            }
            (Some(Coding::Words(_)), _) => f64::from(self.words.known(cell).ok_or_else(|| {
                format!("{} is none of the {} of 'train'", shown(), self.role.name())
            })?),
            (None, None) => f64::from(self.word(cell)?),
        };
        if self.first.is_none() {
            self.first = Some((shown(), is_word));
        }
        Ok(code)
    }

    /// The number of a word among those that came.
    fn word(&mut self, cell: &[u8]) -> Result<u16, String> {
        let one = self.role.definition().one;
        let word = std::str::from_utf8(cell.trim_ascii())
            .map_err(|_| format!("the {one} is not text in UTF-8"))?;
        if let Some(code) = self.words.known(cell) {
            return Ok(code);
        }
        if word.is_empty() {
            return Err(format!("the cell is empty; every row has its {one}"));
        }
        if word.len() > MOST_OF_A_WORD {
            return Err(format!(
                "the {one} {} is longer than {MOST_OF_A_WORD} bytes",
                quoted(cell)
            ));
        }
        if self.words.bytes + word.len() > MOST_BYTES || self.words.codes.len() >= MOST_WORDS {
            return Err(format!(
                "there are more than {MOST_WORDS} different words, or {MOST_BYTES} bytes of them, which is more than \
                 {} are for",
                self.role.name()
            ));
        }
        Ok(self.words.add(word))
    }

    /// Adds the code of a cell.
    pub(super) fn push(&mut self, code: f64) -> Result<(), ImportError> {
        if !self.are_words() {
            return self.sink.push(code);
        }
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            none => none.insert(Waiting::create(&self.beside)?),
        };
        waiting.push(code)
    }

    /// Whether words came.
    pub(super) fn are_words(&self) -> bool {
        matches!(self.first, Some((_, true)))
    }

    /// Whether this word came.
    pub(super) fn knows(&self, cell: &[u8]) -> bool {
        self.words.known(cell).is_some()
    }

    /// Ends the column. `before`: a word that turned out to stand before all others.
    pub(super) fn finish(mut self, before: Option<&[u8]>) -> Result<Written, ImportError> {
        let before = before.map(|cell| self.code(cell, None)).transpose();
        let before = before.map_err(invalid)?;
        if !self.are_words() {
            return self.sink.finish(&[]);
        }
        let names = match &self.coding {
            Some(Coding::Words(names)) => names.clone(),
            _ => self.words.sorted(),
        };
        let ranks = self.words.ranks(&names);
        let rank = |code: f64| ranks.get(place(code)).copied().unwrap_or(code);
        let mut sink = self.sink;
        if let Some(code) = before {
            sink.push(rank(code))?;
        }
        if let Some(mut waiting) = self.waiting {
            waiting.each(|code| sink.push(rank(code)))?;
        }
        let mut written = sink.finish(&[])?;
        written.column.names = names;
        Ok(written)
    }
}

/// The words so far, each with the number of its first appearance.
#[derive(Default)]
struct Words {
    codes: HashMap<Box<str>, u16>,
    bytes: usize,
}

impl Words {
    fn known(&self, cell: &[u8]) -> Option<u16> {
        let word = std::str::from_utf8(cell.trim_ascii()).ok()?;
        self.codes.get(word).copied()
    }

    fn add(&mut self, word: &str) -> u16 {
        let code = u16::try_from(self.codes.len()).unwrap_or(u16::MAX);
        self.bytes += word.len();
        *self.codes.entry(word.into()).or_insert(code)
    }

    fn sorted(&self) -> Vec<String> {
        let mut names: Vec<String> = self.codes.keys().map(|word| word.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The place among the names of each word, by the number of its first appearance.
    fn ranks(&self, names: &[String]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.codes.len()];
        for (rank, name) in (0u32..).zip(names) {
            let code = self.codes.get(name.as_str());
            if let Some(place) = code.and_then(|&code| ranks.get_mut(usize::from(code))) {
                *place = f64::from(rank);
            }
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::super::super::Header;
    use super::super::super::reader::ColumnFile;
    use super::*;

    fn options(coding: Option<Coding>) -> ImportOptions {
        ImportOptions {
            shape: None,
            columns: BTreeMap::new(),
            header: Header::Auto,
            delimiter: None,
            coding,
            max_bytes: 1 << 20,
        }
    }

    /// Codes and names, or what is wrong with the first bad cell.
    fn coded(
        cells: &[&str],
        before: Option<&str>,
        coding: Option<Coding>,
    ) -> Result<(Vec<i64>, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("labels.npy");
        let mut codes = Codes::create(Role::Labels, &out, &options(coding)).unwrap();
        for cell in cells {
            let code = codes.code(cell.as_bytes(), cell.trim().parse().ok())?;
            codes.push(code).unwrap();
        }
        let written = codes
            .finish(before.map(str::as_bytes))
            .map_err(|e| e.to_string())?;
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "no words are left waiting");
        let file = ColumnFile::open_as(&out, &written.column).unwrap();
        Ok((file.values::<i64>().unwrap().to_vec(), written.column.names))
    }

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn words_are_coded_in_their_order() {
        let irises = ["virginica", " setosa", "versicolor", "setosa "];
        let (codes, words) = coded(&irises, None, None).unwrap();
        assert_eq!(
            (codes, words),
            (
                vec![2, 0, 1, 0],
                names(&["setosa", "versicolor", "virginica"])
            )
        );
        let (codes, words) = coded(&["yes", "no"], Some("no"), None).unwrap();
        assert_eq!((codes, words), (vec![0, 1, 0], names(&["no", "yes"])));
        let (codes, words) = coded(&["True", "False"], None, None).unwrap();
        assert_eq!((codes, words), (vec![1, 0], names(&["False", "True"])));
        let (codes, words) = coded(&["3", " 0", "2.0"], None, None).unwrap();
        assert_eq!((codes, words), (vec![3, 0, 2], names(&[])));
    }

    #[test]
    fn another_split_keeps_to_the_coding() {
        let coding = || Some(Coding::Words(names(&["a", "b", "c"])));
        let (codes, words) = coded(&["c", "b"], Some("b"), coding()).unwrap();
        assert_eq!((codes, words), (vec![1, 2, 1], names(&["a", "b", "c"])));
        for (cells, coding, said) in [
            (
                ["c", "d"],
                coding(),
                "\"d\" is none of the labels of 'train'",
            ),
            (["1", "c"], coding(), "\"1\" is none"),
            (
                ["a", "b"],
                Some(Coding::Numbers),
                "\"a\" is a word, but those of 'train' are numbers",
            ),
            (
                ["1", "b"],
                None,
                "\"b\" is a word, but \"1\" before it is a number",
            ),
            (
                ["b", "1"],
                None,
                "\"1\" is a number, but \"b\" before it is a word",
            ),
            (["b", " "], None, "the cell is empty"),
            (["0", "1.5"], None, "the label is 1.5"),
        ] {
            let refused = coded(&cells, None, coding).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        assert!(
            coded(&["c"], Some("d"), coding())
                .unwrap_err()
                .contains("\"d\" is none")
        );
    }

    #[test]
    fn words_are_bounded() {
        let long = "w".repeat(201);
        assert!(
            coded(&[&long], None, None)
                .unwrap_err()
                .contains("longer than 200")
        );
        let many: Vec<String> = (0..3000).map(|n| format!("{n:x>190}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(
            coded(&many, None, None)
                .unwrap_err()
                .contains("different words")
        );
    }
}
