//! Data sets: every format gives the same rows, and what is listed is what was sent.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::fixtures::{
    Arbitrary, assert_close, file, form, gz, idx, npy, npz, png_size, read_npy, rows,
};
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

/// The files of a form, by part.
type Parts = Vec<(&'static str, Vec<u8>)>;

#[tokio::test]
async fn the_embedded_digits_are_as_documented() {
    let service = Service::with_digits(&[]).await;
    let digits = service.get("/v1/datasets/digits").await.ok(200);
    assert_eq!(digits["shape"], json!([1, 8, 8]));
    assert_eq!(digits["range"], json!([0.0, 1.0]));
    assert_eq!(digits["classes"], 10);
    assert_eq!(
        digits["splits"]["train"],
        json!({"rows": 1437, "labels": true, "targets": 0})
    );
    assert_eq!(
        digits["splits"]["test"],
        json!({"rows": 360, "labels": true, "targets": 0})
    );
    let id = digits["id"].as_str().expect("an id");
    assert_eq!(
        service.get(&format!("/v1/datasets/{id}")).await.ok(200),
        digits,
        "by id as by name"
    );
    let preview = service.get("/v1/datasets/digits/preview.png?n=4").await;
    assert_eq!(preview.header("content-type"), "image/png");
    let (width, height) = png_size(&preview.expect(200).body);
    assert!(
        width >= 16 && height >= 16,
        "four pictures: {width}x{height}"
    );
    service
        .post(
            "/v1/datasets",
            &json!({"name": "digits", "builtin": "digits"}),
        )
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn the_same_bytes_as_idx_npy_and_npz_are_the_same_rows() {
    let service = Service::start(&[]).await;
    let pixels = Arbitrary(3).bytes(5 * 12);
    let labels = [0, 1, 2, 1, 0];
    let header = crate::fixtures::npy_header("|u1", "(5, 3, 4)");
    let as_npy = [header, pixels.clone()].concat();
    let as_idx = idx(&[5, 3, 4], &pixels);
    let label_file = idx(&[5], &labels);
    let files: [(&str, Parts); 4] = [
        (
            "idx",
            vec![
                ("train", as_idx.clone()),
                ("train_labels", label_file.clone()),
            ],
        ),
        (
            "idx-gz",
            vec![("train", gz(&as_idx)), ("train_labels", gz(&label_file))],
        ),
        (
            "npy",
            vec![
                ("train", as_npy.clone()),
                ("train_labels", label_file.clone()),
            ],
        ),
        (
            "npz",
            vec![
                ("train", npz(&[("images", as_npy)])),
                ("train_labels", label_file),
            ],
        ),
    ];
    let mut digests = Vec::new();
    for (name, files) in &files {
        let created = upload(&service, form(name, files)).await;
        let dataset = created.ok(201);
        assert_eq!(
            created.header("location"),
            format!("/v1/datasets/{}", dataset["id"].as_str().expect("an id"))
        );
        assert_eq!(
            (&dataset["shape"], &dataset["dtype"], &dataset["classes"]),
            (&json!([1, 3, 4]), &json!("u8"), &json!(3))
        );
        let found = service
            .get(&format!("/v1/datasets/{name}/rows?limit=5"))
            .await
            .ok(200);
        let wanted: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
        assert_close(&rows(&found["rows"]).concat(), &wanted, 1e-7);
        assert_eq!(found["labels"], json!(labels));
        digests.push(dataset["sha256"].clone());
    }
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
}

#[tokio::test]
async fn csv_with_names_and_a_label_column() {
    let service = Service::start(&[]).await;
    let form = form(
        "table",
        &[("train", b"a,b,digit,c\n1,2.5,7,-3\n4,5,8,6\n".to_vec())],
    )
    .text("label_column", "digit");
    let dataset = upload(&service, form).await.ok(201);
    assert_eq!(dataset["shape"], json!([3]));
    assert_eq!(dataset["range"], json!([-3.0, 6.0]));
    let found = service.get("/v1/datasets/table/rows").await.ok(200);
    assert_eq!(found["rows"], json!([[1.0, 2.5, -3.0], [4.0, 5.0, 6.0]]));
    assert_eq!(found["labels"], json!([7, 8]));
}

#[tokio::test]
async fn rows_come_as_npy_too_and_by_offset() {
    let service = Service::start(&[]).await;
    let values: Vec<f32> = (0u8..24).map(|v| f32::from(v) / 4.0).collect();
    let upload_form = file(
        form("floats", &[("train", npy(&[6, 4], &values))]),
        "test",
        npy(&[1, 4], &values[..4]),
    );
    upload(&service, upload_form.text("shape", "1,2,2"))
        .await
        .ok(201);
    let request = service.request(Method::GET, "/v1/datasets/floats/rows?offset=4&limit=100");
    let answer = service
        .send(request.header("accept", "application/x-npy"))
        .await;
    assert_eq!(
        read_npy(&answer.expect(200).body),
        (vec![2, 1, 2, 2], values[16..].to_vec())
    );
    let test = service
        .get("/v1/datasets/floats/rows?split=test")
        .await
        .ok(200);
    assert_eq!(test["rows"], json!([[0.0, 0.25, 0.5, 0.75]]));
    assert_eq!(test["labels"], Value::Null);
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_deleting_leaves_nothing() {
    let service = Service::start(&[]).await;
    for name in ["a", "b", "c"] {
        service
            .post("/v1/datasets", &json!({"name": name, "builtin": "digits"}))
            .await
            .ok(201);
    }
    let first = service.get("/v1/datasets?limit=2").await.ok(200);
    assert_eq!(
        (&first["object"], &first["has_more"]),
        (&json!("list"), &json!(true))
    );
    let names = |page: &Value| {
        page["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|d| d["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["c", "b"]);
    let after = first["last_id"].as_str().expect("an id");
    let second = service
        .get(&format!("/v1/datasets?limit=2&after={after}"))
        .await
        .ok(200);
    assert_eq!(
        (names(&second), &second["has_more"]),
        (vec![json!("a")], &json!(false))
    );
    for name in ["a", "b", "c"] {
        service
            .delete(&format!("/v1/datasets/{name}"))
            .await
            .expect(204);
    }
    service
        .get("/v1/datasets/a")
        .await
        .problem(404, "not_found");
    service
        .delete("/v1/datasets/a")
        .await
        .problem(404, "not_found");
    assert_eq!(service.dataset_files(), [""; 0]);
}

/// Uploads have their own limit; that of other requests is not theirs.
#[tokio::test]
async fn an_upload_may_be_larger_than_other_bodies() {
    let service = Service::start(&["--max-body-mib", "1"]).await;
    let pixels = Arbitrary(4).bytes(3000 * 1024);
    let dataset = upload(
        &service,
        form("large", &[("train", idx(&[3000, 32, 32], &pixels))]),
    )
    .await
    .ok(201);
    assert_eq!(dataset["splits"]["train"]["rows"], 3000);
}
