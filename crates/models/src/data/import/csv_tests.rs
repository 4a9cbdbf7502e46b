//! Imports of CSV files: what line 1 is, and what separates the cells.

use super::super::{Coding, Header, ImportError, Imported, Role};
use super::tests::{Bench, array, gzip, npz};

/// Three rows of six values as a data frame without names writes them: under a line that counts the columns.
const NUMBERED: &[u8] = b"0,1,2,3,4,5\n.1,.2,.3,.4,.5,2\n.1,.2,.3,.4,.5,0\n.1,.2,.3,.4,.5,1\n";

fn with(header: Header) -> Bench {
    let mut bench = Bench::new();
    bench.options.header = header;
    bench
}

#[test]
fn the_client_says_whether_line_1_is_a_header() {
    for (header, rows, is_header, told) in [
        (Header::Auto, 4, false, 1),
        (Header::Yes, 3, true, 0),
        (Header::No, 4, false, 0),
    ] {
        let imported = with(header).imported(NUMBERED).unwrap();
        assert_eq!(imported.rows, rows);
        assert_eq!(imported.reading.form.header, Some(is_header));
        let warnings = imported.reading.warnings.iter();
        let doubtful = warnings.filter(|warning| warning.code == "doubtful_header");
        assert_eq!(doubtful.count(), told, "{header:?}");
    }
    // No row is lost to a guess.
    for rows in [
        "0,1\n1,0\n",
        "2020,2021\n1,2\n",
        "0,1,3\n2,2,2\n",
        "1\n2\n3\n",
    ] {
        let imported = Bench::new().imported(rows.as_bytes()).unwrap();
        assert_eq!(imported.rows, rows.lines().count() as u64);
        assert_eq!(imported.reading.warnings, []);
    }
    let quoted = with(Header::Yes).imported(b"\"0\",\"1\"\n5,6\n").unwrap();
    assert_eq!(quoted.rows, 1);
    let refused = with(Header::No).imported(b"a,b\n1,2\n").unwrap_err();
    assert!(
        refused.to_string().contains("line 1, column 0"),
        "{refused}"
    );
    let refused = with(Header::Yes).imported(b"1,2\n").unwrap_err();
    assert!(refused.to_string().contains("no rows"), "{refused}");
}

#[test]
fn under_a_header_columns_named_by_numbers_have_names() {
    let mut bench = with(Header::Yes);
    bench.options.label_column = Some("2021".to_owned());
    let text = b"2020,2021,2022\n1,0,3\n4,1,6\n";
    let found = bench.rows(text).unwrap();
    assert_eq!((found.rows.rows, found.labels.unwrap().classes), (2, 2));
    assert_eq!(bench.values(), [1.0, 3.0, 4.0, 6.0]);
    bench.options.header = Header::Auto;
    assert!(
        bench
            .rows(text)
            .unwrap_err()
            .to_string()
            .contains("no column")
    );
}

#[test]
fn a_file_of_one_column_has_a_header_too() {
    for (header, count) in [(Header::Yes, 2), (Header::No, 3), (Header::Auto, 3)] {
        let bench = with(header);
        assert_eq!(bench.labels(b"0\n5\n3\n").unwrap().count, count);
        assert_eq!(bench.targets(b"0\n5.5\n3\n").unwrap().count, count);
    }
    let imported = Bench::new().imported(b"1,2\n3,4\n").unwrap();
    assert_eq!(
        imported.column(Role::Rows).map(|c| c.shape.clone()),
        Some(vec![2])
    );
}

#[test]
fn a_comma_in_line_1_decides_nothing() {
    for (text, values, delimiter) in [
        (
            "\"height, cm\";\"weight, kg\"\n170;60\n",
            vec![170.0, 60.0],
            ';',
        ),
        ("1,5;2,5\n3,5;4,5\n", vec![1.5, 2.5, 3.5, 4.5], ';'),
        ("1,5\t2,5", vec![1.5, 2.5], '\t'),
        ("a;b\n1,5;-2,5e1\n", vec![1.5, -25.0], ';'),
        ("\"a;b\",c\n1,2\n", vec![1.0, 2.0], ','),
        ("a;b,c,d\n1,2,3\n", vec![1.0, 2.0, 3.0], ','),
    ] {
        let bench = Bench::new();
        let imported = bench.imported(text.as_bytes()).unwrap();
        assert_eq!(bench.values(), values, "{text}");
        assert_eq!(imported.reading.form.delimiter, Some(delimiter), "{text}");
    }
}

#[test]
fn the_client_names_the_delimiter() {
    let mut bench = Bench::new();
    for (delimiter, text) in [
        (b'|', "1|2,5\n"),
        (b' ', "1 2,5\n"),
        (b';', "1;2,5\n"),
        (b'\t', "1\t2,5"),
    ] {
        bench.options.delimiter = Some(delimiter);
        bench.imported(text.as_bytes()).unwrap();
        assert_eq!(bench.values(), [1.0, 2.5], "{text}");
    }
    bench.options.delimiter = Some(b';');
    assert_eq!(bench.targets(b"1,5\n2,5\n").unwrap().max, 2.5);
    let refused = Bench::new().targets(b"1,5\n2,5\n").unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("decimal commas"), "{refused}");
}

#[test]
fn decimal_points_and_commas_are_not_mixed() {
    for (text, said) in [
        (
            "1.5;2\n1,234;2\n",
            "line 2, column 0 (from 0): the number has a decimal comma, but line 1",
        ),
        (
            "a;b\n1,5;2\n3;1.234\n",
            "line 3, column 1 (from 0) (\"b\"): the number has a decimal point",
        ),
        ("1;2\n1.234,5;2\n", "\"1.234,5\" is not a number"),
        ("1;2\n1,234,567;2\n", "\"1,234,567\" is not a number"),
    ] {
        let refused = Bench::new().rows(text.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    assert!(Bench::new().rows(b"1.5,2\n3,4.5\n").is_ok());
}

const IRISES: &str = "5.1,3.5,setosa\n6.1,2.9,versicolor\n4.9,3.0,setosa\n";

#[test]
fn words_stand_in_the_label_column() {
    let headed = format!("length,width,species\n{IRISES}");
    for (text, column, header, is_header) in [
        (headed.as_str(), "species", Header::Auto, true),
        (&headed, "-1", Header::Auto, true),
        (&headed, "species", Header::Yes, true),
        (IRISES, "2", Header::Auto, false),
        (IRISES, "-1", Header::No, false),
    ] {
        let mut bench = with(header);
        bench.options.label_column = Some(column.to_owned());
        let imported = bench.imported(text.as_bytes()).unwrap();
        assert_eq!(imported.rows, 3, "{column}");
        assert_eq!(imported.reading.form.header, Some(is_header));
        let labels = imported.column(Role::Labels).unwrap();
        assert_eq!(labels.names, ["setosa", "versicolor"]);
        assert_eq!(labels.classes, Some(2));
        assert_eq!(bench.stored_labels(), [0, 1, 0]);
        assert_eq!(bench.values(), [5.1, 3.5, 6.1, 2.9, 4.9, 3.0]);
    }
    let mut bench = Bench::new();
    bench.options.label_column = Some("2".to_owned());
    bench.options.coding = Some(Coding::Words(vec!["setosa".to_owned()]));
    let refused = bench.rows(IRISES.as_bytes()).unwrap_err().to_string();
    assert!(
        refused.contains("line 2, column 2 (from 0): \"versicolor\" is none of the labels"),
        "{refused}"
    );
}

#[test]
fn no_word_of_a_label_file_is_lost_for_a_header() {
    for (text, rows, header, codes) in [
        ("no\nyes\nno\n", 3, Header::Auto, vec![0, 1, 0]),
        ("no\nyes\nno\n", 2, Header::Auto, vec![1, 0]),
        ("answer\nyes\nno\n", 2, Header::Auto, vec![1, 0]),
        ("no\nyes\n", 1, Header::Yes, vec![0]),
        ("no\nyes\n", 1, Header::No, vec![0, 1]),
        ("yes\n", 1, Header::Auto, vec![0]),
        ("True\nFalse\n", 2, Header::Auto, vec![1, 0]),
        ("class\n3\n1\n", 3, Header::Auto, vec![3, 1]),
    ] {
        let mut bench = with(header);
        bench.options.rows = rows;
        bench.column(Role::Labels, text.as_bytes()).unwrap();
        assert_eq!(bench.stored_labels(), codes, "{text:?} for {rows}");
    }
    let bench = Bench::new();
    assert!(
        bench
            .labels(b"only\n")
            .unwrap_err()
            .to_string()
            .contains("no rows")
    );
    assert!(
        bench
            .labels(b"1\nyes\n")
            .unwrap_err()
            .to_string()
            .contains("\"yes\" is a word")
    );
    assert!(bench.targets(b"1\nyes\n").is_err());
}

/// An array of strings of four characters, as either type of text has them.
fn strings(words: &[&str], descr: &str) -> Vec<u8> {
    let unit = |c: Option<char>| u32::from(c.unwrap_or('\0'));
    let mut body = Vec::new();
    for word in words {
        for at in 0..4 {
            let unit = unit(word.chars().nth(at));
            match &descr[..2] {
                "<U" => body.extend(unit.to_le_bytes()),
                ">U" => body.extend(unit.to_be_bytes()),
                _ => body.push(u8::try_from(unit).unwrap()),
            }
        }
    }
    array(descr, &[words.len() as u64], &body)
}

#[test]
fn arrays_of_strings_are_labels() {
    let x = array("|u1", &[3, 1, 1], &[0, 1, 2]);
    for descr in ["<U4", ">U4", "|S4"] {
        let bench = Bench::new();
        let words = strings(&["yes", "no", "yes"], descr);
        let column = bench.column(Role::Labels, &words).unwrap().column;
        assert_eq!(column.names, ["no", "yes"], "{descr}");
        assert_eq!(bench.stored_labels(), [1, 0, 1]);
        let bench = Bench::new();
        let archive = npz(&[("x.npy", &x), ("y.npy", &words)]);
        let imported = bench.imported(&archive).unwrap();
        assert_eq!(imported.column(Role::Labels).unwrap().names, ["no", "yes"]);
        // Numbers that are written as text are the numbers.
        let bench = Bench::new();
        bench.labels(&strings(&["10", "9", "0"], descr)).unwrap();
        assert_eq!(bench.stored_labels(), [10, 9, 0]);
        assert!(
            bench
                .rows(&strings(&["a"], descr))
                .unwrap_err()
                .to_string()
                .contains("strings")
        );
    }
    let bench = Bench::new();
    assert!(
        bench
            .targets(&strings(&["1"], "<U4"))
            .unwrap_err()
            .to_string()
            .contains("strings")
    );
    let claims = array("<U1000000000", &[1], &[0; 40]);
    assert!(
        bench
            .labels(&claims)
            .unwrap_err()
            .to_string()
            .contains("1 to 4096")
    );
    let broken = array("<U1", &[1], &[0xff; 4]);
    assert!(
        bench
            .labels(&broken)
            .unwrap_err()
            .to_string()
            .contains("no text")
    );
}

/// The faults of a refused import, one a line.
fn faults(result: Result<Imported, ImportError>) -> Vec<String> {
    match result {
        Err(ImportError::Faults(found)) => found,
        other => panic!("not several faults: {other:?}"),
    }
}

#[test]
fn the_first_faults_are_told_all_at_once() {
    let text = "a,b,c\n1,x,3\n4,5\n7,,nan\n1,2,3\n1,z,1e99\n1,w,1\n1,v,1\n9,9,9,9\n";
    let found = faults(Bench::new().imported(text.as_bytes()));
    let expected = [
        "line 2, column 1 (from 0) (\"b\"): \"x\" is not",
        "line 3 has 2 cells",
        "line 4, column 1 (from 0) (\"b\"): the cell is empty",
        "line 4, column 2 (from 0) (\"c\"): NaN",
        "line 6, column 1 (from 0) (\"b\"): \"z\" is not",
        "line 6, column 2 (from 0) (\"c\"): 1e99 is too large",
        // Enough of column b.
        "line 9 has 4 cells",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    let wide = format!("{}\n{}\n", ["n"; 40].join(","), ["x"; 40].join(","));
    assert_eq!(faults(Bench::new().imported(wide.as_bytes())).len(), 20);
    // One alone is told as ever.
    let one = Bench::new().imported(b"a,b\n1,x\n");
    assert!(matches!(one, Err(ImportError::Invalid(_))), "{one:?}");
    let mut bench = Bench::new();
    bench.options.label_column = Some("b".to_owned());
    let found = faults(bench.imported(b"a,b\nx,1\n2,y\n3,1.5\n"));
    assert_eq!(found.len(), 3, "{found:?}");
    let refused = Bench::new()
        .targets(b"1\n\nx\nnan\n")
        .unwrap_err()
        .to_string();
    for said in ["line 2 is blank", "line 3, ", "line 4, "] {
        assert!(refused.contains(said), "{refused}");
    }
    // Where the file itself breaks off, that is the last.
    let broken = gzip(format!("a,b\n1,x\n{}", "1,2\n".repeat(100_000)).as_bytes());
    let found = faults(Bench::new().imported(&broken[..broken.len() - 9]));
    assert!(
        found[0].contains("\"x\"") && found[1].contains("breaks off"),
        "{found:?}"
    );
}
