//! Uploads that lie, break off or blow up: each is refused by name and leaves nothing behind.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixtures::{file, form, gz, gz_bomb, idx, idx_header, npy, npy_header, npz};
use crate::process::peak_memory;
use crate::reply::Reply;
use crate::service::{Service, until};

async fn upload(service: &Service, form: Form) -> Reply {
    service
        .send(
            service
                .request(Method::POST, "/v1/datasets")
                .multipart(form),
        )
        .await
}

async fn nothing_left(service: &Service, case: &str) {
    let listed = service.get("/v1/datasets").await.ok(200);
    assert_eq!(listed["data"], json!([]), "{case}");
    assert_eq!(service.dataset_files(), [""; 0], "{case}");
}

/// Two rows of 2 by 2 bytes: a file that is accepted.
fn good() -> Vec<u8> {
    idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8])
}

#[tokio::test]
async fn files_that_are_not_what_they_say() {
    let service = Service::start(&[]).await;
    let nan = npy(&[2, 2], &[0.5, 1.0, f32::NAN, 0.0]);
    let infinite = npy(&[1, 2], &[f32::INFINITY, 0.0]);
    let cut = good()[..good().len() - 3].to_vec();
    let mut damaged = gz(&good());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("truncated idx", cut.clone(), "ends after"),
        ("truncated idx, gzipped", gz(&cut), "ends after"),
        (
            "truncated header",
            idx_header(&[2, 2, 2])[..9].to_vec(),
            "header",
        ),
        ("bytes after the end", [good(), vec![0]].concat(), "goes on"),
        (
            "2^40 rows in idx",
            [idx_header(&[1 << 20, 1 << 20, 1]), vec![0; 64]].concat(),
            "claims",
        ),
        (
            "2^40 rows in npy",
            [npy_header("<f4", "(1099511627776, 4)"), vec![0; 64]].concat(),
            "claims",
        ),
        (
            "2^40 rows in npz",
            npz(&[(
                "x",
                [npy_header("<f4", "(1099511627776, 4)"), vec![0; 64]].concat(),
            )]),
            "",
        ),
        (
            "more than 64 bits",
            npy_header("<f4", "(18446744073709551615, 18446744073709551615)"),
            "",
        ),
        ("no rows", idx(&[0, 2, 2], &[]), "no values"),
        ("one dimension", idx(&[4], &[1, 2, 3, 4]), "labels"),
        ("csv with text", b"1,2\n3,four\n".to_vec(), "four"),
        ("csv with an empty cell", b"1,2\n3,\n".to_vec(), "empty"),
        ("csv with a short line", b"1,2\n3\n".to_vec(), "line 2"),
        ("csv with a name only", b"a,b\n".to_vec(), "no rows"),
        ("csv with nan", b"1,2\nnan,3\n".to_vec(), "finite"),
        ("nan in npy", nan.clone(), "row 1, column 0"),
        ("nan in npy, gzipped", gz(&nan), "row 1, column 0"),
        ("nan in npz", npz(&[("x", nan)]), "row 1, column 0"),
        ("infinity in npy", infinite, "finite"),
        (
            "python objects in npy",
            [npy_header("|O", "(1, 2)"), vec![0x80, 4, 0x2e]].concat(),
            "",
        ),
        ("fewer bytes than npy says", npy(&[3, 2], &[0.0; 4]), ""),
        ("an empty file", Vec::new(), "empty"),
        ("an empty file, gzipped", gz(&[]), "empty"),
        ("damaged gzip", damaged, ""),
        ("gzip cut off", gz(&good())[..20].to_vec(), ""),
        ("a picture", b"\x89PNG\r\n\x1a\n and so on".to_vec(), "PNG"),
        ("no known format", vec![7, 0, 1, 2, 3], "format"),
    ];
    for (case, bytes, said) in cases {
        let reply = upload(&service, form("x", &[("train", bytes)])).await;
        assert_eq!(reply.status, 422, "{case}: {}", reply.text());
        reply.invalid("/train");
        reply.says(said);
        nothing_left(&service, case).await;
    }
}

#[tokio::test]
async fn parts_that_do_not_fit_one_another() {
    let service = Service::start(&[]).await;
    let labels = |values: &[u8]| idx(&[u32::try_from(values.len()).expect("few")], values);
    let plain = || form("x", &[("train", good())]);
    let cases: Vec<(Form, &str, &str)> = vec![
        (
            file(plain(), "train_labels", labels(&[1, 2, 3])),
            "/train_labels",
            "3 labels for 2 rows",
        ),
        (
            file(plain(), "train_labels", good()),
            "/train_labels",
            "one dimension",
        ),
        (
            file(plain(), "train_labels", b"1\n1.5\n".to_vec()),
            "/train_labels",
            "1.5",
        ),
        (
            file(plain(), "train_labels", b"1\n-1\n".to_vec()),
            "/train_labels",
            "-1",
        ),
        (
            file(plain(), "test", idx(&[1, 3, 3], &[0; 9])),
            "/test",
            "[1, 3, 3]",
        ),
        (
            file(plain(), "test", npy(&[1, 2, 2], &[0.0; 4])),
            "/test",
            "one type",
        ),
        (
            file(plain(), "test", b"not,numbers\n".to_vec()),
            "/test",
            "",
        ),
        (
            file(plain(), "test_labels", labels(&[1, 2])),
            "/test_labels",
            "without",
        ),
        (plain().text("shape", "1,3,3"), "/shape", ""),
        (plain().text("shape", "0"), "/shape", "above 0"),
        (plain().text("shape", "-4"), "/shape", "above 0"),
        (
            plain().text("shape", "18446744073709551615,2"),
            "/shape",
            "",
        ),
        (
            plain().text("shape", "4294967296,4294967296,4294967296"),
            "/shape",
            "",
        ),
        (plain().text("label_column", "0"), "/label_column", "CSV"),
        (plain().text("kind", "sparse"), "/kind", "sparse"),
        (plain().text("kind", "x".repeat(5000)), "/kind", "4096"),
        (
            form("x", &[("train", b"1,2\n3,4\n".to_vec())]).text("label_column", "5"),
            "/label_column",
            "5",
        ),
        (
            form("x", &[("train", b"1\n2\n".to_vec())]).text("label_column", "0"),
            "/label_column",
            "one column",
        ),
    ];
    for (form, pointer, said) in cases {
        let reply = upload(&service, form).await;
        reply.invalid(pointer);
        reply.says(said);
        nothing_left(&service, said).await;
    }
}

#[tokio::test]
async fn forms_with_parts_missing_doubled_or_unknown() {
    let service = Service::start(&[]).await;
    let train = || form("x", &[("train", good())]);
    let invalid_name = Part::bytes(vec![0xff, 0xfe]);
    let cases: Vec<(Form, &str)> = vec![
        (Form::new().text("name", "x"), "/train"),
        (file(Form::new(), "train", good()), "/name"),
        (train().text("name", "y"), "/name"),
        (file(train(), "train", good()), "/train"),
        (file(file(train(), "test", good()), "test", good()), "/test"),
        (train().text("colour", "red"), "/colour"),
        (file(train(), "validation", good()), "/validation"),
        (form("", &[("train", good())]), "/name"),
        (form("a/b", &[("train", good())]), "/name"),
        (form("../../etc", &[("train", good())]), "/name"),
        (form("größe", &[("train", good())]), "/name"),
        (form(&"n".repeat(101), &[("train", good())]), "/name"),
        (
            file(Form::new().part("name", invalid_name), "train", good()),
            "/name",
        ),
    ];
    for (form, pointer) in cases {
        upload(&service, form).await.invalid(pointer);
        nothing_left(&service, pointer).await;
    }
}

#[tokio::test]
async fn bodies_that_are_no_form() {
    let service = Service::start(&[]).await;
    let path = "/v1/datasets";
    service
        .post_bytes(path, "multipart/form-data", "no boundary")
        .await
        .problem(400, "malformed");
    service
        .post_bytes(path, "multipart/form-data; boundary=x", "nonsense")
        .await
        .problem(400, "malformed");
    let open = "--x\r\ncontent-disposition: form-data; name=\"train\"\r\n\r\nno end";
    service
        .post_bytes(path, "multipart/form-data; boundary=x", open)
        .await
        .problem(400, "malformed");
    let nameless = "--x\r\ncontent-disposition: form-data\r\n\r\n1\r\n--x--\r\n";
    service
        .post_bytes(path, "multipart/form-data; boundary=x", nameless)
        .await
        .problem(422, "invalid");
    service
        .post_bytes(path, "application/octet-stream", good())
        .await
        .problem(415, "unsupported_media_type");
    service
        .post_bytes(path, "application/json", "{\"name\": \"x\"")
        .await
        .problem(400, "malformed");
    service
        .post(path, &json!({"name": "x", "builtin": "faces"}))
        .await
        .invalid("/builtin");
    service
        .post(path, &json!({"name": "x", "builtin": "digits", "rows": 3}))
        .await
        .invalid("/rows");
    service
        .post(path, &json!({"name": "x/y", "builtin": "digits"}))
        .await
        .invalid("/name");
    nothing_left(&service, "no form").await;
}

#[tokio::test]
async fn what_unpacks_to_more_than_the_limit_costs_no_memory() {
    const ZEROS: usize = 300 << 20;
    let service = Service::start(&["--max-unpacked-mib", "16"]).await;
    let rows = u32::try_from(ZEROS / 1024).expect("fits");
    let honest = gz_bomb(&idx_header(&[rows, 32, 32]), ZEROS);
    let before = peak_memory(service.pid());
    assert!(honest.len() < 2 << 20, "small as sent");
    let one_line = gz_bomb(b"1,2\n", ZEROS);
    let array = [
        npy_header("|u1", &format!("({rows}, 32, 32)")),
        vec![0; ZEROS],
    ]
    .concat();
    let archive = npz(&[("x", array)]);
    for (case, bytes) in [
        ("idx", honest),
        ("npz", archive.clone()),
        ("npz, gzipped", gz(&archive)),
    ] {
        let reply = upload(&service, form("x", &[("train", bytes)])).await;
        reply.problem(413, "too_large");
        reply.says("train");
        nothing_left(&service, case).await;
    }
    // The header tells of two rows; the file goes on and on.
    let liar = gz_bomb(&idx_header(&[2, 2, 2]), ZEROS);
    for (case, bytes) in [("more than it says", liar), ("one endless line", one_line)] {
        let reply = upload(&service, form("x", &[("train", bytes)])).await;
        assert!(
            [413, 422].contains(&reply.status),
            "{case}: {}",
            reply.text()
        );
        reply.says("train");
        nothing_left(&service, case).await;
    }
    let grown = peak_memory(service.pid()) - before;
    assert!(grown < 200 << 20, "the service grew by {} MiB", grown >> 20);
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused() {
    let service = Service::start(&["--max-upload-mib", "1"]).await;
    let half = idx(&[600, 32, 32], &vec![0; 600 * 1024]);
    let both = form("x", &[("train", half.clone()), ("test", half)]);
    let reply = upload(&service, both).await;
    reply.problem(413, "too_large");
    reply.says("test");
    nothing_left(&service, "two halves").await;
}

#[tokio::test]
async fn an_upload_broken_off_leaves_nothing() {
    let service = Service::start(&[]).await;
    let address = service.address();
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /v1/datasets HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100000\r\n\
         content-type: multipart/form-data; boundary=x\r\n\r\n\
         --x\r\ncontent-disposition: form-data; name=\"train\"\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.expect("sent");
    connection.write_all(&good()).await.expect("sent");
    until("the upload to begin", || async {
        (!service.dataset_files().is_empty()).then_some(())
    })
    .await;
    drop(connection);
    until("it to be cleared away", || async {
        service.dataset_files().is_empty().then_some(())
    })
    .await;
    nothing_left(&service, "broken off").await;
}

/// A service that was killed during an upload clears up when it starts again.
#[tokio::test]
async fn a_kill_during_an_upload_leaves_nothing() {
    let mut service = Service::start(&[]).await;
    let mut connection = TcpStream::connect(service.address())
        .await
        .expect("a connection");
    let head = "POST /v1/datasets HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\
                content-type: multipart/form-data; boundary=x\r\n\r\n\
                --x\r\ncontent-disposition: form-data; name=\"train\"\r\n\r\n12345";
    connection.write_all(head.as_bytes()).await.expect("sent");
    until("the upload to begin", || async {
        (!service.dataset_files().is_empty()).then_some(())
    })
    .await;
    service.kill();
    let mut rest = Vec::new();
    let _: Result<usize, _> = connection.read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "", "no answer");
    service.restart().await;
    nothing_left(&service, "killed").await;
    let listed: Value = service.get("/v1/jobs").await.ok(200);
    assert_eq!(listed["data"], json!([]));
}
