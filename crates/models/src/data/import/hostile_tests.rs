//! Imports of broken and hostile files: each is refused, quickly, with a
//! message that says why, and leaves nothing behind (`Bench` checks that).

use std::time::{Duration, Instant};

use super::super::ImportError;
use super::tests::{Bench, array, gzip, idx, npz};

/// The refusal of rows as `Invalid`, which must contain `what`.
fn invalid(bytes: &[u8], what: &str) {
    match Bench::new().rows(bytes) {
        Err(ImportError::Invalid(message)) => {
            assert!(message.contains(what), "{message:?} lacks {what:?}");
        }
        other => panic!("not Invalid: {other:?}"),
    }
}

fn unsupported(bytes: &[u8], what: &str) {
    match Bench::new().rows(bytes) {
        Err(ImportError::Unsupported(message)) => {
            assert!(message.contains(what), "{message:?} lacks {what:?}");
        }
        other => panic!("not Unsupported: {other:?}"),
    }
}

#[test]
fn idx_that_does_not_match_its_header() {
    let whole = idx(8, &[2, 2, 2], &[1; 8]);
    invalid(
        &whole[..whole.len() - 3],
        "8 bytes of values, but the file ends after 5",
    );
    invalid(&gzip(&whole[..whole.len() - 3]), "ends after 5");
    invalid(&[&whole[..], &[0]].concat(), "goes on after the 8 bytes");
    for end in 4..16 {
        invalid(&whole[..end], "within its IDX header");
    }
    invalid(&idx(8, &[0, 2, 2], &[]), "no values");
    invalid(&idx(8, &[4], &[1; 4]), "labels");
    invalid(&idx(8, &[1, 1, 1, 1, 1], &[1]), "5 dimensions");
}

#[test]
fn idx_that_claims_too_much() {
    let huge = idx(8, &[u32::MAX, 28, 28], &[0; 100]);
    invalid(&huge, "4294967295 x 28 x 28 values, 3367254359280 bytes");
    invalid(&gzip(&huge), "3367254359280 bytes");
    invalid(&idx(8, &[1, u32::MAX, u32::MAX], &[0]), "4294967295");
    invalid(&idx(8, &[u32::MAX, u32::MAX, u32::MAX, 1], &[0]), "64 bits");
    // 2^40 rows, in the format that can say so.
    let huge = array("|u1", &[1 << 40, 784], &[0; 100]);
    invalid(&huge, "1099511627776 x 784 values, 862017116176384 bytes");
    // What the file may well hold but the limit does not is a matter of size.
    let large = gzip(&idx(8, &[20_000, 1000], &vec![0; 20_000_000]));
    assert!(matches!(
        Bench::new().rows(&large),
        Err(ImportError::TooLarge { limit: 10_000_000 })
    ));
    // Bytes that grow to floats count as what they become.
    let grows = idx(9, &[3000, 1000], &vec![0; 3_000_000]);
    assert!(matches!(
        Bench::new().rows(&grows),
        Err(ImportError::TooLarge { .. })
    ));
}

#[test]
fn npy_with_bad_values_or_layout() {
    let floats = |values: &[f64]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    invalid(
        &array("<f8", &[2, 2], &floats(&[0.0, 1.0, 2.0, f64::NAN])),
        "row 1, column 1",
    );
    invalid(
        &array("<f8", &[1, 2], &floats(&[0.0, f64::INFINITY])),
        "column 1 (both from 0): inf",
    );
    invalid(
        &array("<f8", &[1, 1], &floats(&[1e39])),
        "too large for a 32-bit float",
    );
    invalid(&array("|O", &[1, 1], b"\x80\x04cos\nsystem\n"), "pickle");
    invalid(&array("<U5", &[1, 1], &[0; 20]), "strings");
    invalid(&array("<f8", &[3], &floats(&[1.0; 3])), "labels");
    invalid(&array("|u1", &[2, 4, 4, 3], &[0; 96]), "moveaxis");
    let fortran = array("<f4", &[1, 1], &[0; 4]);
    let fortran = String::from_utf8_lossy(&fortran[10..]).replace("False", "True ");
    let fortran = [&b"\x93NUMPY\x01\0\xb6\0"[..], fortran.as_bytes()].concat();
    invalid(&fortran, "ascontiguousarray");
    invalid(b"\x93NUMPY\x01\0\xff\xff{", "cut short");
    invalid(b"\x93NUMPY\x07\0\xff\xff{", "version 7.0");
}

#[test]
fn a_small_file_that_unpacks_to_a_vast_one() {
    // A gzip file may have many members: a mebibyte 1024 times is a gibibyte.
    let bomb = |byte: u8| gzip(&vec![byte; 1 << 20]).repeat(1024);
    let (text, zeros) = (bomb(b'1'), bomb(0));
    let rows = [gzip(&array("|u1", &[1 << 20, 1 << 10], &[])), zeros.clone()].concat();
    let start = Instant::now();
    assert!(matches!(
        Bench::new().rows(&text),
        Err(ImportError::TooLarge { .. })
    ));
    assert!(matches!(
        Bench::new().rows(&rows),
        Err(ImportError::TooLarge { .. })
    ));
    unsupported(&zeros, "IDX, NPY, NPZ and CSV");
    let member = npz(&[
        ("a.npy", b"x"),
        ("x.npy", &array("|u1", &[9, 1 << 20], &vec![0; 9 << 20])),
    ]);
    let bench = Bench::new();
    assert!(bench.rows(&member).is_ok());
    let member = npz(&[("a.npy", b"x"), ("x.npy", &vec![0; 4 << 20])]);
    invalid(&member, "not an NPY array");
    let packed = gzip(&npz(&[("x.npy", &vec![0; 20 << 20])]));
    assert!(matches!(
        bench.rows(&packed),
        Err(ImportError::TooLarge { .. })
    ));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "took {:?}",
        start.elapsed()
    );
}

#[test]
fn gzip_that_breaks_off_or_is_damaged() {
    let body: Vec<u8> = (0..5000u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    let whole = gzip(&idx(8, &[200, 100], &body));
    for end in [
        1,
        2,
        3,
        9,
        12,
        500,
        whole.len() / 2,
        whole.len() - 9,
        whole.len() - 1,
    ] {
        let refused = Bench::new().rows(&whole[..end]);
        let client = matches!(
            refused,
            Err(ImportError::Invalid(_) | ImportError::Unsupported(_))
        );
        assert!(client, "{end}: {refused:?}");
    }
    invalid(&whole[..whole.len() / 2], "breaks off");
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    invalid(&damaged, "damaged");
}

#[test]
fn what_stands_behind_gzip_data_is_zeros_or_refused() {
    let csv = b"1,2\n3,4\n".to_vec();
    let pixels = idx(8, &[2, 1, 2], &[1, 2, 3, 4]);
    let x = array("|u1", &[2, 2], &[1, 2, 3, 4]);
    let archive = npz(&[("x.npy", &x)]);
    for plain in [csv, pixels, x, archive] {
        for zeros in [1, 512, 100_000] {
            let zeros = vec![0; zeros];
            let outside = [gzip(&plain), zeros.clone()].concat();
            let inside = gzip(&outside);
            let both = [inside.clone(), zeros].concat();
            for bytes in [outside, inside, both] {
                assert_eq!(Bench::new().rows(&bytes).unwrap().rows.rows, 2);
            }
        }
        let junk = [gzip(&plain), b"junk!".to_vec()].concat();
        invalid(&junk, "something follows the gzip data");
        invalid(&gzip(&junk), "something follows the gzip data");
        let whole = gzip(&plain);
        invalid(&whole[..whole.len() - 3], "breaks off");
    }
}

#[test]
fn text_that_is_not_utf8_is_told_by_its_line() {
    let late = [&b"a,b\n"[..], &b"1,2\n".repeat(500), b"3,\xe4\n"].concat();
    invalid(
        b"gr\xf6\xdfe,breite\n1,2\n",
        "line 1: the text is not UTF-8",
    );
    invalid(b"a,T \xb0C\n1,2\n", "line 1: the text is not UTF-8");
    invalid(
        &late,
        "line 502, column 1 (from 0) (\"b\"): the text is not UTF-8",
    );
    invalid(&gzip(&late), "save the file as UTF-8");
    // A character that is cut by the separator is none.
    invalid(
        &[&b"1,2\n".repeat(500)[..], b"\xc3,\xa4\n"].concat(),
        "line 501, column 0",
    );
    unsupported(b"\xde\xad\xbe\xef", "in no known format");
    unsupported(
        &[&[0xff; 20][..], &[1, 2, 0]].concat(),
        "in no known format",
    );
    let head = format!("{}\u{e9},b\n1,2\n", "a".repeat(511));
    assert_eq!(Bench::new().rows(head.as_bytes()).unwrap().rows.rows, 1);
}

#[test]
fn npz_that_is_not_understood() {
    let x = array("|u1", &[1, 1], &[0]);
    invalid(
        &npz(&[("foo.npy", &x), ("bar.npy", &x)]),
        "found \"foo\", \"bar\"",
    );
    unsupported(&npz(&[("readme.txt", b"hello")]), "no .npy member");
    unsupported(&npz(&[]), "no .npy member");
    invalid(
        &npz(&[("x.npy", &x), ("y.npy", &array("|u1", &[2], &[0, 0]))]),
        "1 rows but 2 labels",
    );
    let whole = npz(&[("a.npy", &x), ("x.npy", &x)]);
    for end in 4..whole.len() {
        assert!(Bench::new().rows(&whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn zip_with_any_byte_changed_is_no_panic() {
    let x = array("|u1", &[3, 4], &[7; 12]);
    let whole = npz(&[("a.npy", b"1"), ("x.npy", &x)]);
    let bench = Bench::new();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        assert!(
            !matches!(bench.rows(&bytes), Err(ImportError::Io(_))),
            "{at}"
        );
        let _ = std::fs::remove_file(bench.dir.path().join("train.npy"));
    }
    let mut claims = whole.clone();
    let end = claims.len() - 22;
    claims[end + 10..end + 12].copy_from_slice(&[0xff, 0xff]);
    invalid(&claims, "65535 members");
}

#[test]
fn csv_that_is_not_numbers() {
    invalid(
        b"a,b\n1,2\n3,x\n",
        "line 3, column 1 (from 0) (\"b\"): \"x\" is not a number",
    );
    invalid(b"1,2\n3\n", "line 2 has 1 cells, but the first line has 2");
    invalid(b"1,2\n3,\n", "empty");
    invalid(b"1,2\n3,nan\n", "not a finite number");
    invalid(b"1,2\n3,1e60\n", "too large for a 32-bit float");
    invalid(b"a,b\n", "header line and no rows");
    invalid(b"\n\n", "the CSV file is empty");
    invalid(b"once upon a time\nthere was\n", "line 2");
    invalid(
        "1,2\n"
            .repeat(300)
            .as_bytes()
            .iter()
            .copied()
            .chain(*b"3,\xff\n")
            .collect::<Vec<_>>()
            .as_slice(),
        "line 301",
    );
    invalid(b"", "the file is empty");
    invalid(&gzip(b""), "the file is empty");
}

#[test]
fn csv_lines_are_counted_as_editors_do() {
    for text in [
        "a,b\r\n1,2\r\n3,x\r\n",
        "a,b\n\n3,x",
        "a,b\r\n \r\n3,x",
        "1,2\n1,2\n3,x\n",
    ] {
        invalid(text.as_bytes(), "line 3, column 1");
    }
    invalid(b"1,2\r\n3\r\n", "line 2 has 1 cells");
}

#[test]
fn csv_line_without_end() {
    let mut bench = Bench::new();
    bench.options.max_bytes = 1 << 30;
    let bytes = gzip(&vec![b'7'; 1 << 20]).repeat(40);
    let refused = bench.rows(&bytes).unwrap_err().to_string();
    assert!(refused.contains("longer than 16777216"), "{refused}");
}

#[test]
fn options_that_do_not_fit() {
    let mut bench = Bench::new();
    bench.options.label_column = Some("c".to_owned());
    let refused = bench.rows(b"a,b\n1,2\n").unwrap_err();
    assert!(
        matches!(
            &refused,
            ImportError::Option {
                field: "label_column",
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains("\"a\", \"b\""), "{refused}");
    let idx = idx(8, &[1, 1], &[0]);
    assert!(matches!(
        bench.rows(&idx),
        Err(ImportError::Option {
            field: "label_column",
            ..
        })
    ));
    bench.options.label_column = Some("0".to_owned());
    assert!(matches!(
        bench.rows(b"1\n2\n"),
        Err(ImportError::Option { .. })
    ));
    assert!(
        bench
            .rows(b"0.5,2\n")
            .unwrap_err()
            .to_string()
            .contains("whole numbers")
    );
    bench.options.label_column = None;
    bench.options.shape = Some(vec![1, 3, 3]);
    assert!(matches!(
        bench.rows(&idx),
        Err(ImportError::Option { field: "shape", .. })
    ));
}

#[test]
fn labels_that_are_no_labels() {
    let bench = Bench::new();
    let refused = |bytes: &[u8]| bench.labels(bytes).unwrap_err().to_string();
    assert!(refused(&array("<f4", &[2], &[0, 0, 0, 0, 0, 0, 0, 0x3f])).contains("row 1 (from 0)"));
    assert!(refused(&array("|i1", &[1], &[0xff])).contains("-1"));
    assert!(refused(&idx(8, &[1, 2], &[0, 0])).contains("one dimension"));
    assert!(refused(b"70000\n").contains("65535"));
    assert!(refused(b"1,2\n").contains("has 2"));
    assert!(refused(b"\x89PNG\r\n").contains("PNG"));
}
