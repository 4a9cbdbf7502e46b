//! What is seen of the columns of a table while its rows pass: enough to tell what a client may not have meant.
//!
//! Two numbers a column are kept, however many rows there are.

use super::super::Names;
use super::column::quoted;
use crate::document::Warning;

/// Of wider rows nothing is kept.
pub(super) const MOST_COLUMNS: usize = 1 << 20;
/// Columns that one warning names.
const SHOWN: usize = 8;
/// How often the spread of one column may be that of another.
const SCALES: f32 = 1000.0;
/// Rows from which on three columns of whole numbers may be taken for ratings.
const MANY: u64 = 20;

/// The columns of rows that are lists of values; pictures have no columns.
pub(super) struct Survey {
    low: Vec<f32>,
    high: Vec<f32>,
    /// Of the first columns: whether all values are whole, and whether all are multiples of a half.
    whole: [bool; 4],
    halves: [bool; 4],
    rows: u64,
    /// The column of the next value.
    next: usize,
}

impl Survey {
    /// None where rows are pictures, or too wide.
    pub(super) fn of_rows(shape: &[usize]) -> Option<Self> {
        let &[columns] = shape else {
            return None;
        };
        (columns <= MOST_COLUMNS).then(|| Self {
            low: vec![f32::INFINITY; columns],
            high: vec![f32::NEG_INFINITY; columns],
            whole: [true; 4],
            halves: [true; 4],
            rows: 0,
            next: 0,
        })
    }

    /// Values as they follow one another, row by row.
    pub(super) fn see(&mut self, mut values: &[f32]) {
        while !values.is_empty() {
            let left = self.low.len() - self.next;
            let (some, rest) = values.split_at(values.len().min(left));
            let places = self.low.iter_mut().zip(&mut self.high).skip(self.next);
            for (&value, (low, high)) in some.iter().zip(places) {
                *low = low.min(value);
                *high = high.max(value);
            }
            let first = (self.next..).zip(some).take_while(|(at, _)| *at < 4);
            for (at, value) in first {
                self.whole[at] &= value.fract() == 0.0;
                self.halves[at] &= (2.0 * value).fract() == 0.0;
            }
            self.next += some.len();
            if self.next == self.low.len() {
                self.next = 0;
                self.rows += 1;
            }
            values = rest;
        }
    }

    /// What to tell of the columns; `names` are those of a header.
    pub(super) fn warnings(&self, names: &Names, part: &str) -> Vec<Warning> {
        if self.rows < 2 {
            return Vec::new();
        }
        let told = [
            ("constant_columns", self.constant(names)),
            ("scales_differ", self.scales(names)),
            ("looks_like_ratings", self.ratings(names)),
        ];
        let pointer = format!("/{part}");
        told.into_iter()
            .filter_map(|(code, detail)| Some(Warning::new(code, &*pointer, detail?)))
            .collect()
    }

    fn constant(&self, names: &Names) -> Option<String> {
        let spans = self.low.iter().zip(&self.high);
        let constant: Vec<usize> = (0..)
            .zip(spans)
            .filter(|(_, (l, h))| l == h)
            .map(|(at, _)| at)
            .collect();
        let shown: Vec<String> = constant
            .iter()
            .take(SHOWN)
            .map(|&at| called(names, at))
            .collect();
        let more = match constant.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!constant.is_empty()).then(|| {
            format!(
                "{} of {} columns have one value in all rows, of which nothing is learnt: {}{more}",
                constant.len(),
                self.low.len(),
                shown.join(", ")
            )
        })
    }

    fn scales(&self, names: &Names) -> Option<String> {
        let spans = self
            .low
            .iter()
            .zip(&self.high)
            .map(|(low, high)| high - low);
        let spans = || {
            (0..)
                .zip(spans.clone())
                .filter(|(_, span)| *span > 0.0 && span.is_finite())
        };
        let (small, least) = spans().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (large, most) = spans().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let told = |at: usize| {
            format!(
                "{} from {} to {}",
                called(names, at),
                self.low[at],
                self.high[at]
            )
        };
        (most / least >= SCALES).then(|| {
            format!(
                "the columns differ in scale: {}, but {}; most models learn the wide ones alone, so scale them first",
                told(large),
                told(small)
            )
        })
    }

    /// Users, items and ratings, perhaps with the time: by the names, or by the numbers.
    fn ratings(&self, names: &Names) -> Option<String> {
        let columns = self.low.len();
        if !(3..=4).contains(&columns) {
            return None;
        }
        let has = |words: &[&str]| {
            let fits = |name: &[u8]| {
                let name = String::from_utf8_lossy(name).to_lowercase();
                words.iter().any(|word| name.contains(word))
            };
            names.iter().any(fits)
        };
        let items = [
            "item", "movie", "film", "book", "song", "track", "artist", "product",
        ];
        let by_name = has(&["user"]) && has(&items) && has(&["rating", "score", "stars"]);
        let id = |at: usize| self.whole[at] && self.low[at] >= 0.0 && self.high[at] >= 10.0;
        let rating = self.halves[2] && self.low[2] >= 0.0 && self.high[2] <= 10.0;
        // Seconds or milliseconds since 1970.
        let time = columns == 3 || (self.whole[3] && self.low[3] >= 1e8);
        let by_number =
            self.rows >= MANY && id(0) && id(1) && rating && self.low[2] < self.high[2] && time;
        (by_name || by_number).then(|| {
            "the columns look like users, items and ratings; they were taken as rows of numbers, of which nothing is \
             learnt about who likes what"
                .to_owned()
        })
    }
}

fn called(names: &Names, at: usize) -> String {
    let name = names.get(at).map(|name| format!(" ({})", quoted(name)));
    format!("column {at}{}", name.unwrap_or_default())
}

/// Columns among the values of the rows whose names say that they are what is to be predicted.
pub(super) fn labels_among(names: &Names, part: &str) -> Option<Warning> {
    let last = names.len().saturating_sub(1);
    let is = |(at, name): &(usize, &[u8])| match name.to_ascii_lowercase().as_slice() {
        b"label" | b"labels" | b"class" | b"classes" | b"target" | b"targets" | b"species" => true,
        // In the middle it is more likely a coordinate.
        b"y" => *at == 0 || *at == last,
        _ => false,
    };
    let found: Vec<String> = (0..)
        .zip(names.iter())
        .filter(is)
        .take(SHOWN)
        .map(|(at, _)| called(names, at))
        .collect();
    (!found.is_empty() && names.len() > 1).then(|| {
        let detail = format!(
            "{} is among the values of the rows, by its name something to be predicted; name it in 'label_column' or \
             'target_column' if it is",
            found.join(", ")
        );
        Warning::new("label_among_features", format!("/{part}"), detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Names {
        Names::of(words.iter().map(|word| word.as_bytes()))
    }

    fn told(rows: &[&[f32]], called: &[&str]) -> Vec<(String, String)> {
        // However the values come.
        let flat = rows.concat();
        let mut outcomes = [1, 3, 1000].map(|at_once| {
            let mut survey = Survey::of_rows(&[rows[0].len()]).unwrap();
            flat.chunks(at_once).for_each(|chunk| survey.see(chunk));
            let warnings = survey.warnings(&names(called), "train").into_iter();
            warnings.map(|w| (w.code, w.detail)).collect::<Vec<_>>()
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
        std::mem::take(&mut outcomes[0])
    }

    #[test]
    fn columns_of_one_value_and_of_other_scales() {
        let rows: [&[f32]; 3] = [
            &[1.0, 7.0, 0.5, 0.0],
            &[2.0, 7.0, 0.5, 9e3],
            &[1.5, 7.0, 0.5, 100.0],
        ];
        let found = told(&rows, &["a", "b", "c", "d"]);
        assert_eq!(found[0].0, "constant_columns");
        assert!(
            found[0].1.contains("2 of 4") && found[0].1.contains("column 1 (\"b\"), column 2"),
            "{found:?}"
        );
        assert_eq!(found[1].0, "scales_differ");
        assert!(
            found[1].1.contains("(\"d\") from 0 to 9000, but column 0"),
            "{found:?}"
        );
        assert_eq!(told(&[&[1.0, 2.0], &[2.0, 1.0]], &[]), []);
        assert_eq!(told(&[&[1.0, 2.0]], &[]), [], "one row says nothing");
        assert!(Survey::of_rows(&[1, 28, 28]).is_none());
        assert!(Survey::of_rows(&[(1 << 20) + 1]).is_none());
    }

    #[test]
    fn ratings_by_name_or_by_number() {
        let few: [&[f32]; 2] = [&[1.0, 31.0, 2.5], &[2.0, 30.0, 3.0]];
        let code = "looks_like_ratings";
        let has = |found: &[(String, String)]| found.iter().any(|(found, _)| found == code);
        assert!(has(&told(&few, &["userId", "movieId", "rating"])));
        assert!(!has(&told(&few, &["a", "b", "c"])));
        let many: Vec<[f32; 4]> = (0..30u8)
            .map(|n| {
                [
                    f32::from(n % 20),
                    f32::from(n),
                    f32::from(n % 10) / 2.0,
                    1.2e9 + f32::from(n),
                ]
            })
            .collect();
        let rows: Vec<&[f32]> = many.iter().map(|row| &row[..]).collect();
        assert!(has(&told(&rows, &[])));
        let rows: Vec<&[f32]> = many.iter().map(|row| &row[..3]).collect();
        assert!(has(&told(&rows, &[])));
        let other: Vec<[f32; 3]> = many
            .iter()
            .map(|row| [row[0], row[1], row[2] + 0.3])
            .collect();
        let rows: Vec<&[f32]> = other.iter().map(|row| &row[..]).collect();
        assert!(!has(&told(&rows, &[])));
    }

    #[test]
    fn what_is_to_be_predicted_is_told_by_its_name() {
        let told = |words: &[&str]| labels_among(&names(words), "train").map(|w| w.detail);
        assert!(
            told(&["a", "Class", "b"])
                .unwrap()
                .contains("column 1 (\"Class\")")
        );
        for words in [
            ["a", "b", "species"],
            ["target", "a", "b"],
            ["a", "b", " y "],
        ] {
            assert!(told(&words).is_some(), "{words:?}");
        }
        for words in [["x", "y", "z"], ["classy", "a", "b"], ["a", "b", "price"]] {
            assert_eq!(told(&words), None);
        }
        assert_eq!(told(&["y"]), None, "the only column is what the rows are");
    }
}
