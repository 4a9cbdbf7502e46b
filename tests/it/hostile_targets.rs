//! Uploads whose targets are none, or do not fit their rows: each is refused by its field and leaves nothing.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::json;

use crate::fixtures::{file, form, idx, npy, npy_header, npz};
use crate::reply::Reply;
use crate::service::Service;

async fn upload(service: &Service, form: Form) -> Reply {
    service
        .send(
            service
                .request(Method::POST, "/v1/datasets")
                .multipart(form),
        )
        .await
}

#[tokio::test]
async fn what_is_no_target_is_refused_by_its_field_and_leaves_nothing() {
    let service = Service::start(&[]).await;
    let pixels = || {
        form(
            "x",
            &[("train", idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]))],
        )
    };
    let table = |text: &str| form("x", &[("train", text.as_bytes().to_vec())]);
    let targeted = |text: &str, column: &str| table(text).text("target_column", column.to_owned());
    let with = |targets: Vec<u8>| file(pixels(), "train_targets", targets);
    let f64s =
        |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let doubles = |values: &[f64]| {
        let header = npy_header("<f8", &format!("({},)", values.len()));
        [header, f64s(values)].concat()
    };
    let huge = npy_header("<f8", "(1099511627776,)");
    let cases: Vec<(Form, &str, &str)> = vec![
        (
            targeted("a,y\n1,2\n3,nan\n", "y"),
            "/train",
            "line 3, column 1 (from 0) (\"y\"): as a target, NaN",
        ),
        (
            targeted("a,y\n1,2\n3,\n", "y"),
            "/train",
            "line 3, column 1 (from 0) (\"y\"): the cell is empty",
        ),
        (targeted("a,y\n1,-inf\n", "1"), "/train", "line 2"),
        (
            targeted("a,y\n1,cheap\n", "-1"),
            "/train",
            "\"cheap\" is not a number",
        ),
        (targeted("a,y\n1,1e39\n", "y"), "/train", "32-bit"),
        (targeted("a,y\n1,2,3\n", "y"), "/train", "3 cells"),
        (
            targeted("a,y\n1,2\n", "z"),
            "/target_column",
            "no column \"z\"",
        ),
        (targeted("a,y\n1,2\n", "2"), "/target_column", "no column"),
        (targeted("a,y\n1,2\n", "-3"), "/target_column", "no column"),
        (targeted("a,y\n1,2\n", ""), "/target_column", "no column"),
        (targeted("y,y,a\n1,2,3\n", "y"), "/target_column", "twice"),
        (
            targeted("y\n1\n", "y"),
            "/target_column",
            "no values are left",
        ),
        (
            targeted("a,y\n1,2\n", "y").text("label_column", "0"),
            "/target_column",
            "no values are left",
        ),
        (
            targeted("a,b,y\n1,2,3\n", "y").text("label_column", "2"),
            "/target_column",
            "label_column names",
        ),
        (
            targeted("a,y\n1,2\n", "y").text("target_column", "a"),
            "/target_column",
            "two parts",
        ),
        (pixels().text("target_column", "0"), "/target_column", "CSV"),
        (
            pixels().text("target_column", "y".repeat(5000)),
            "/target_column",
            "4096",
        ),
        (
            file(
                targeted("a,y\n1,2\n3,4\n", "y"),
                "test",
                b"a,y\n1,2\n3,n/a\n".to_vec(),
            ),
            "/test",
            "line 3",
        ),
        (
            file(targeted("a,y\n1,2\n", "y"), "test", b"a,b\n1,2\n".to_vec()),
            "/target_column",
            "no column \"y\"",
        ),
        (
            file(
                targeted("a,y\n1,2\n", "y"),
                "train_targets",
                b"1\n".to_vec(),
            ),
            "/train_targets",
            "holds targets already",
        ),
        (
            with(b"1\n2\n3\n".to_vec()),
            "/train_targets",
            "3 targets for 2 rows",
        ),
        (
            with(doubles(&[1.0])),
            "/train_targets",
            "1 targets for 2 rows",
        ),
        (
            with(b"1\n\n2\n".to_vec()),
            "/train_targets",
            "line 2 is blank",
        ),
        (with(b"1,2\n3,4\n".to_vec()), "/train_targets", "one column"),
        (with(b"y\n1\nNA\n".to_vec()), "/train_targets", "line 3"),
        (
            with(doubles(&[1.0, f64::NAN])),
            "/train_targets",
            "row 1 (from 0): as a target, NaN",
        ),
        (
            with(doubles(&[f64::INFINITY, 1.0])),
            "/train_targets",
            "row 0",
        ),
        (with(doubles(&[1.0, -1e300])), "/train_targets", "32-bit"),
        (
            with(npy(&[2, 2], &[0.0; 4])),
            "/train_targets",
            "one target for each row",
        ),
        (
            with([huge, vec![0; 64]].concat()),
            "/train_targets",
            "claims",
        ),
        (
            with(doubles(&[1.0, 2.0])[..80].to_vec()),
            "/train_targets",
            "",
        ),
        (
            with(npz(&[("a", doubles(&[1.0])), ("b", doubles(&[1.0]))])),
            "/train_targets",
            "the targets",
        ),
        (with(b"\x89PNG\r\n\x1a\n".to_vec()), "/train_targets", "PNG"),
        (with(Vec::new()), "/train_targets", "empty"),
        (
            file(pixels(), "test_targets", doubles(&[1.0])),
            "/test_targets",
            "without",
        ),
        (
            file(
                with(doubles(&[1.0, 2.0])),
                "train_targets",
                doubles(&[1.0, 2.0]),
            ),
            "/train_targets",
            "two parts",
        ),
        (
            file(pixels(), "targets", doubles(&[1.0, 2.0])),
            "/targets",
            "train_targets",
        ),
    ];
    for (form, pointer, said) in cases {
        let reply = upload(&service, form).await;
        reply.invalid(pointer);
        reply.says(said);
        let listed = service.get("/v1/datasets").await.ok(200);
        assert_eq!(listed["data"], json!([]), "{said}");
        assert_eq!(service.dataset_files(), [""; 0], "{said}");
    }
}
