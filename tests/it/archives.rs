//! NPZ files that hold more than one part of a data set: which array becomes which column.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::fixtures::{file, form, npy, npy_header, npz};
use crate::reply::Reply;
use crate::service::Service;

async fn upload(service: &Service, form: Form) -> Reply {
    let request = service.request(Method::POST, "/v1/datasets");
    service.send(request.multipart(form)).await
}

/// The warnings of a data set of this code.
fn told<'a>(added: &'a Value, code: &str) -> Vec<&'a Value> {
    let warnings = added["warnings"].as_array().expect("warnings").iter();
    warnings.filter(|warning| warning["code"] == code).collect()
}

/// `count` rows of this value.
fn rows(count: usize, value: f32) -> Vec<u8> {
    npy(&[count, 4], &vec![value; count * 4])
}

fn labels(values: &[u8]) -> Vec<u8> {
    [
        npy_header("|u1", &format!("({},)", values.len())),
        values.to_vec(),
    ]
    .concat()
}

/// Rows of 0 labelled 1 to train on, rows of 0.5 labelled 2 to test on, by these names.
fn both(names: [&str; 4]) -> Vec<u8> {
    let [x_train, y_train, x_test, y_test] = names;
    npz(&[
        (x_train, rows(5, 0.0)),
        (y_train, labels(&[1; 5])),
        (x_test, rows(2, 0.5)),
        (y_test, labels(&[2; 2])),
    ])
}

async fn first_of(service: &Service, name: &str, split: &str) -> Value {
    let path = format!("/v1/datasets/{name}/rows?split={split}&limit=1");
    let found = service.get(&path).await.ok(200);
    json!([found["rows"][0][0], found["labels"]])
}

#[tokio::test]
async fn one_file_for_train_and_test_gives_each_its_own() {
    let service = Service::start(&[]).await;
    for (name, names) in [
        ("keras", ["x_train", "y_train", "x_test", "y_test"]),
        ("upper", ["X_train", "Y_train", "X_test", "Y_test"]),
        ("bare", ["train", "train_labels", "test", "test_labels"]),
        (
            "images",
            ["train_images", "train_labels", "test_images", "test_labels"],
        ),
    ] {
        let archive = both(names);
        let files = [("train", archive.clone()), ("test", archive.clone())];
        let added = upload(&service, form(name, &files)).await.ok(201);
        assert_eq!(added["splits"]["train"]["rows"], 5, "{added}");
        assert_eq!(added["splits"]["test"]["rows"], 2, "{added}");
        assert!(told(&added, "unused_array").is_empty(), "{added}");
        assert_eq!(first_of(&service, name, "train").await, json!([0.0, [1]]));
        assert_eq!(first_of(&service, name, "test").await, json!([0.5, [2]]));

        // As `train` alone it is taken, and what of it was left out is told of, then and later.
        let alone = format!("{name}-alone");
        let added = upload(&service, form(&alone, &files[..1])).await.ok(201);
        assert_eq!(added["splits"]["train"]["rows"], 5);
        let [warning] = told(&added, "unused_array")[..] else {
            panic!("{added}");
        };
        assert_eq!(warning["pointer"], "/train");
        let detail = warning["detail"].as_str().expect("a text");
        assert!(
            detail.contains(names[2]) && detail.contains(names[3]),
            "{detail}"
        );
        let again = service.get(&format!("/v1/datasets/{alone}")).await.ok(200);
        assert_eq!(again["warnings"], added["warnings"]);
        // Beside rows of another file: the labels of the test split, though the counts agree with those of train.
        let beside = [
            ("train", rows(2, 0.0)),
            ("test", rows(2, 1.0)),
            ("test_labels", archive.clone()),
            ("test_targets", archive),
        ];
        let beside = upload(&service, form(&format!("{name}-b"), &beside)).await;
        if name == "keras" || name == "upper" {
            beside.ok(201);
            let found = first_of(&service, &format!("{name}-b"), "test").await;
            assert_eq!(found, json!([1.0, [2]]));
        } else {
            beside.invalid("/test_targets");
        }
    }
}

#[tokio::test]
async fn two_arrays_that_could_be_meant_are_named_and_none_is_guessed() {
    let service = Service::start(&[]).await;
    let train = || form("x", &[("train", rows(2, 0.0))]);
    for (part, archive, names) in [
        (
            "test",
            npz(&[("x", rows(2, 0.0)), ("data", rows(2, 1.0))]),
            ["x", "data"],
        ),
        (
            "test",
            npz(&[
                ("x", rows(2, 0.0)),
                ("y", labels(&[0; 2])),
                ("labels", labels(&[1; 2])),
            ]),
            ["y", "labels"],
        ),
        (
            "train_labels",
            npz(&[
                ("y_train", labels(&[0; 2])),
                ("train_labels", labels(&[1; 2])),
            ]),
            ["y_train", "train_labels"],
        ),
    ] {
        let reply = upload(&service, file(train(), part, archive)).await;
        reply.invalid(&format!("/{part}"));
        for name in names {
            reply.says(&format!("\"{name}\""));
        }
    }
    // An array of the training split is never one of the test split, though it stands alone.
    let archive = npz(&[("x_train", rows(2, 0.0))]);
    let reply = upload(&service, file(train(), "test", archive)).await;
    reply.invalid("/test");
    reply.says("x_train");
}

#[tokio::test]
async fn what_stands_beside_the_rows_is_taken_or_told_of() {
    let service = Service::start(&[]).await;
    let with = |name: &'static str| npz(&[("data", rows(2, 0.0)), (name, labels(&[0, 1]))]);
    for (name, column, count) in [
        ("label", true, 0),
        ("target", true, 0),
        ("sample_weight", false, 1),
    ] {
        let added = upload(&service, form(name, &[("train", with(name))]))
            .await
            .ok(201);
        assert_eq!(added["splits"]["train"]["labels"], column, "{added}");
        assert_eq!(told(&added, "unused_array").len(), count, "{added}");
    }
    let same = [("train", rows(3, 0.5)), ("test", rows(3, 0.5))];
    let added = upload(&service, form("same", &same)).await.ok(201);
    assert_eq!(told(&added, "same_rows")[0]["pointer"], "/test");
}
