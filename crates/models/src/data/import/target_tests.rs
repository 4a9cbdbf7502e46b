//! Imports of targets: a column of a table, or a file of their own; what is no target is refused by its place.

use super::super::ImportError;
use super::tests::{Bench, array, gzip, idx, npz};

fn floats(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn a_column_of_a_table_beside_labels_or_alone() {
    let mut bench = Bench::new();
    let text = "size;class;price;age\r\n1;3; 249500.75 ;2\r\n\r\n-4.5;0;-1e-3;7\r\n";
    bench.options.target_column = Some("price".to_owned());
    let found = bench.rows(text.as_bytes()).unwrap();
    assert_eq!((found.rows.shape, found.labels), (vec![3], None));
    let targets = found.targets.unwrap();
    assert_eq!(
        (targets.count, targets.min, targets.max),
        (2, -1e-3, 249_500.75)
    );
    assert_eq!(bench.stored_targets(), [249_500.75, -1e-3]);
    assert_eq!(bench.values(), [1.0, 3.0, 2.0, -4.5, 0.0, 7.0]);

    bench.options.label_column = Some("1".to_owned());
    bench.options.target_column = Some("-2".to_owned());
    let found = bench.rows(&gzip(text.as_bytes())).unwrap();
    assert_eq!(found.labels.unwrap().classes, 4);
    assert_eq!(bench.stored_labels(), [3, 0]);
    assert_eq!(bench.stored_targets(), [249_500.75, -1e-3]);
    assert_eq!(bench.values(), [1.0, 2.0, -4.5, 7.0]);
}

#[test]
fn a_file_of_their_own_in_any_format() {
    let bench = Bench::new();
    let values = floats(&[1_700_000_000.25, -2.5]);
    let as_npy = array("<f8", &[2], &values);
    let as_idx = {
        let big: Vec<u8> = [1_700_000_000.25_f64, -2.5]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        idx(0x0e, &[2, 1], &big)
    };
    for bytes in [
        as_npy.clone(),
        gzip(&as_npy),
        as_idx,
        npz(&[("whatever.npy", &as_npy)]),
        npz(&[("x.npy", b"not looked at"), ("targets.npy", &as_npy)]),
        gzip(&npz(&[("y_train.npy", &as_npy), ("z.npy", b"nor this")])),
        b"price\n1700000000.25\n-2.5\n".to_vec(),
        b"1700000000.25\r\n-2.5".to_vec(),
        b"\n\n1700000000.25\n-2.5\n\n\n".to_vec(),
    ] {
        let found = bench.targets(&bytes).unwrap();
        assert_eq!((found.count, found.min), (2, -2.5));
        // To the last digit: an f32 would have lost the quarter.
        assert_eq!(bench.stored_targets(), [1_700_000_000.25, -2.5]);
    }
    let whole = bench.targets(&array("<i4", &[1], &[7, 0, 0, 0])).unwrap();
    assert_eq!((whole.min, whole.max), (7.0, 7.0));
}

#[test]
fn an_archive_has_labels_and_targets_by_name() {
    let bench = Bench::new();
    let x = array("|u1", &[2, 1, 1], &[0, 255]);
    let y = array("|u1", &[2], &[1, 0]);
    let t = array("<f8", &[2], &floats(&[0.5, -0.5]));
    let found = bench
        .rows(&npz(&[
            ("train_targets.npy", &t),
            ("x.npy", &x),
            ("y.npy", &y),
        ]))
        .unwrap();
    assert_eq!(found.labels.unwrap().classes, 2);
    assert_eq!(found.targets.unwrap().max, 0.5);
    assert_eq!(bench.stored_targets(), [0.5, -0.5]);
    let short = array("<f8", &[1], &floats(&[0.5]));
    let refused = bench
        .rows(&npz(&[("x.npy", &x), ("train_targets.npy", &short)]))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("2 rows but 1 targets"), "{refused}");
    // Numbers under a name of labels are pointed the right way.
    let refused = bench
        .rows(&npz(&[("x.npy", &x), ("y.npy", &t)]))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("0.5") && refused.contains("targets"),
        "{refused}"
    );
}

#[test]
fn what_is_no_target_is_refused_by_line_or_row() {
    let bench = Bench::new();
    let refused = |bytes: &[u8]| bench.targets(bytes).unwrap_err().to_string();
    for (bytes, said) in [
        (&b"1\n2\n\n3\n"[..], "line 3 is blank"),
        (b"y\r\n \r\n3\r\n", "line 2 is blank"),
        (b"1\n\"\"\n3\n", "line 2 is blank"),
        (
            b"1\nnan\n",
            "line 2, column 0 (from 0): as a target, NaN is not a finite",
        ),
        (b"1\n-inf\n", "line 2"),
        (b"1\n1e39\n", "too large for a 32-bit float"),
        (
            b"1\ntwo\n",
            "line 2, column 0 (from 0): \"two\" is not a number",
        ),
        (b"price\n1\nn/a\n", "(\"price\"): \"n/a\" is not a number"),
        (
            b"1,2\n3,4\n",
            "a CSV file of targets has one column; this one has 2",
        ),
        (b"price\n", "no rows"),
        (b"\x89PNG\r\n", "PNG"),
        (b"", "empty"),
    ] {
        assert!(refused(bytes).contains(said), "{}", refused(bytes));
    }
    let wrong = array("<f8", &[3], &floats(&[1.0, 2.0, f64::NAN]));
    assert!(refused(&wrong).contains("row 2 (from 0): as a target, NaN"));
    let wrong = array("<f8", &[1], &floats(&[-1e300]));
    assert!(refused(&wrong).contains("-1e300 is too large"));
    let wide = array("<f8", &[1, 2], &floats(&[1.0, 2.0]));
    assert!(refused(&wide).contains("one target for each row; this one is 1 x 2"));
    let claims = array("<f8", &[1 << 40], &floats(&[1.0]));
    assert!(refused(&claims).contains("claims"));
    assert!(refused(&array("<f8", &[2], &floats(&[1.0]))).contains("ends after 8"));
    assert!(refused(&array("|O", &[1], b"\x80\x04N.")).contains("pickle"));
    assert!(refused(&npz(&[("a.npy", b"1"), ("b.npy", b"2")])).contains("the targets"));
}

#[test]
fn a_bad_cell_of_the_target_column_leaves_nothing() {
    let mut bench = Bench::new();
    bench.options.target_column = Some("y".to_owned());
    for (cell, said) in [
        ("", "the cell is empty"),
        ("NaN", "as a target, NaN"),
        ("infinity", "as a target, inf"),
        ("12,5", "3 cells"),
        ("1e400", "as a target, inf"),
        ("high", "\"high\" is not a number"),
    ] {
        let text = format!("x,y\n1,2.5\n3,{cell}\n");
        match bench.rows(text.as_bytes()) {
            Err(ImportError::Invalid(message)) => {
                assert!(message.contains("line 3"), "{message}");
                assert!(message.contains(said), "{message}");
            }
            other => panic!("{cell}: {other:?}"),
        }
    }
    let x = array("|u1", &[1, 1], &[0]);
    for other in [idx(8, &[1, 1], &[0]), x.clone(), npz(&[("x.npy", &x)])] {
        let refused = bench.rows(&other);
        assert!(
            matches!(&refused, Err(ImportError::Option { field: "target_column", detail }) if detail.contains("CSV")),
            "{refused:?}"
        );
    }
}
