//! Labels that are words: coded in an order that is told, kept by the test split, and given back by `predict`.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};

use crate::exchange::Bundle;
use crate::fixtures::{Arbitrary, file, form};
use crate::reply::Reply;
use crate::service::Service;

async fn upload(service: &Service, form: Form) -> Reply {
    let request = service.request(Method::POST, "/v1/datasets");
    service.send(request.multipart(form)).await
}

/// A table of two numbers and a word: which of the two is larger, near enough.
fn flowers(seed: u64, count: usize) -> (String, Vec<&'static str>) {
    let mut arbitrary = Arbitrary(seed);
    let mut words = Vec::new();
    let mut text = "petal,sepal,species\n".to_owned();
    for _ in 0..count {
        let (petal, sepal) = (arbitrary.below(100), arbitrary.below(100));
        let word = if petal > sepal { "virginica" } else { "setosa" };
        text.push_str(&format!(
            "{:.2},{:.2},{word}\n",
            petal as f64 / 100.0,
            sepal as f64 / 100.0
        ));
        words.push(word);
    }
    (text, words)
}

fn table(name: &str, text: &str) -> Form {
    form(name, &[("train", text.as_bytes().to_vec())]).text("label_column", "species")
}

#[tokio::test]
async fn words_go_in_and_words_come_out_here_and_elsewhere() {
    let service = Service::start(&[]).await;
    let (train, words) = flowers(1, 300);
    let (test, truth) = flowers(2, 100);
    let form = file(table("flowers", &train), "test", test.into_bytes());
    let added = upload(&service, form).await.ok(201);
    let names = json!(["setosa", "virginica"]);
    assert_eq!(
        (&added["classes"], &added["label_names"]),
        (&json!(2), &names)
    );
    let code = |word: &&str| u8::from(*word == "virginica");
    let found = service
        .get("/v1/datasets/flowers/rows?limit=300")
        .await
        .ok(200);
    assert_eq!(
        found["labels"],
        json!(words.iter().map(code).collect::<Vec<_>>())
    );

    let job = json!({"name": "kinds", "dataset": "flowers", "model": {"kind": "mlp", "hidden": [16]},
        "training": {"epochs": 40, "batch_size": 20, "learning_rate": 0.02, "seed": 1, "threads": 1, "device": "cpu"}});
    service.train(&job).await;
    let version = service.get("/v1/models/kinds/versions/1").await.ok(200);
    assert_eq!(version["label_names"], names);
    let ask = json!({"rows": {"dataset": "flowers", "split": "test", "limit": 100}});
    let answer = service.post("/v1/models/kinds/predict", &ask).await.ok(200);
    assert_eq!(answer["label_names"], names);
    let labels = answer["labels"].as_array().expect("labels");
    let word =
        |label: &Value| answer["label_names"][label.as_u64().expect("a code") as usize].clone();
    let right = labels
        .iter()
        .zip(&truth)
        .filter(|(label, truth)| word(label) == **truth);
    assert!(right.count() > 85, "{answer}");

    let elsewhere = Service::start(&[]).await;
    let bundle = Bundle::of(&service, "kinds", 1).await;
    assert_eq!(bundle.manifest["data"]["label_names"], names);
    let whole = crate::exchange::form(&[("bundle", bundle.bytes)]);
    let imported = elsewhere.import(whole).await.ok(201);
    assert_eq!(imported["label_names"], names);
    let inputs = json!({"inputs": [[0.9, 0.1], [0.1, 0.9]]});
    let there = elsewhere
        .post("/v1/models/kinds/predict", &inputs)
        .await
        .ok(200);
    let here = service
        .post("/v1/models/kinds/predict", &inputs)
        .await
        .ok(200);
    assert_eq!(there, here);

    // What the words stand for is not what another data set calls so.
    let other = train.replace("virginica", "alba");
    upload(&service, table("other", &other)).await.ok(201);
    let measure = json!({"model": "kinds", "dataset": "other", "split": "train",
        "metrics": [{"kind": "classification"}], "threads": 1});
    service
        .post("/v1/evaluations", &measure)
        .await
        .invalid("/dataset");
    let regress =
        json!({"name": "r", "dataset": "flowers", "model": {"kind": "mlp", "task": "regression"}});
    service.post("/v1/jobs", &regress).await.invalid("/dataset");
}

#[tokio::test]
async fn the_test_split_has_no_words_of_its_own() {
    let service = Service::start(&[]).await;
    let train = || table("t", "a,b,species\n1,2,no\n3,4,yes\n");
    let rows = b"a,b,species\n1,2,yes\n3,4,maybe\n".to_vec();
    let refused = upload(&service, file(train(), "test", rows)).await;
    refused.invalid("/test");
    refused.says(
        "line 3, column 2 (from 0) (\"species\"): \"maybe\" is none of the labels of 'train'",
    );
    let numbers = b"a,b,species\n1,2,0\n3,4,1\n".to_vec();
    upload(&service, file(train(), "test", numbers))
        .await
        .invalid("/test");
    let yes = b"a,b,species\n1,2,yes\n".to_vec();
    let added = upload(&service, file(train(), "test", yes)).await.ok(201);
    let found = service.get("/v1/datasets/t/rows?split=test").await.ok(200);
    assert_eq!(
        (&found["labels"], &added["classes"]),
        (&json!([1]), &json!(2))
    );

    // Files of labels: the first word is one of them where their number says so.
    let rows = |name: &str| {
        form(
            name,
            &[
                ("train", b"1,2\n3,4\n5,6\n".to_vec()),
                ("test", b"1,2\n".to_vec()),
            ],
        )
    };
    let with = |name: &str, train: &str, test: &str| {
        let form = file(rows(name), "train_labels", train.as_bytes().to_vec());
        file(form, "test_labels", test.as_bytes().to_vec())
    };
    let added = upload(&service, with("bare", "cat\ndog\ncat\n", "dog\n"))
        .await
        .ok(201);
    assert_eq!(added["label_names"], json!(["cat", "dog"]));
    assert_eq!(added["files"]["train_labels"]["header"], false);
    let found = service.get("/v1/datasets/bare/rows").await.ok(200);
    assert_eq!(found["labels"], json!([0, 1, 0]));
    let found = service
        .get("/v1/datasets/bare/rows?split=test")
        .await
        .ok(200);
    assert_eq!(found["labels"], json!([1]));
    let added = upload(
        &service,
        with("headed", "pet\ncat\ndog\ncat\n", "pet\ncat\n"),
    )
    .await
    .ok(201);
    assert_eq!(added["label_names"], json!(["cat", "dog"]));
    assert_eq!(added["files"]["train_labels"]["header"], true);
    assert_eq!(added["warnings"], json!([]));
    let added = upload(&service, with("once", "pet\ncat\ndog\n", "cat\n"))
        .await
        .ok(201);
    assert_eq!(added["label_names"], json!(["cat", "dog", "pet"]));
    assert_eq!(added["warnings"][0]["code"], "doubtful_header");
    assert_eq!(added["warnings"][0]["pointer"], "/train_labels");
    let refused = upload(&service, with("odd", "cat\ndog\ncat\n", "cow\n")).await;
    refused.invalid("/test_labels");
    refused.says("\"cow\"");
}
