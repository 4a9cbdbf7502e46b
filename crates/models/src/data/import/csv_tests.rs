//! Imports of CSV files: what line 1 is, and what separates the cells.

use super::super::{Header, Role};
use super::tests::Bench;

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
        assert_eq!(imported.reading.warnings.len(), told, "{header:?}");
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
