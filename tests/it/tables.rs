//! CSV files as people have them: headers of numbers, other separators, labels in words.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::json;

use crate::fixtures::{file, form, idx};
use crate::reply::Reply;
use crate::service::Service;

async fn upload(service: &Service, form: Form) -> Reply {
    let request = service.request(Method::POST, "/v1/datasets");
    service.send(request.multipart(form)).await
}

fn table(name: &str, text: &str) -> Form {
    form(name, &[("train", text.as_bytes().to_vec())])
}

#[tokio::test]
async fn a_header_of_numbers_is_one_if_the_client_says_so() {
    let service = Service::start(&[]).await;
    let text = "0,1,2,3\n0.5,0.25,0.75,1\n0.75,0.5,0.25,0\n0.25,0.75,0.5,1\n";
    let guessed = upload(&service, table("guessed", text)).await.ok(201);
    assert_eq!(guessed["splits"]["train"]["rows"], 4);
    assert_eq!(guessed["files"]["train"]["header"], false);
    assert_eq!(guessed["warnings"][0]["code"], "doubtful_header");
    let other = text.replace("0.75,1", "0.5,1").into_bytes();
    let said = file(table("said", text), "test", other);
    let said = said.text("header", "yes").text("label_column", "3");
    let said = file(said, "train_targets", b"7\n1\n2\n3\n".to_vec());
    let said = upload(&service, said).await.ok(201);
    assert_eq!(said["splits"]["train"]["rows"], 3);
    assert_eq!(said["splits"]["test"]["rows"], 3);
    assert_eq!(
        (&said["range"], &said["classes"]),
        (&json!([0.25, 0.75]), &json!(2))
    );
    assert_eq!(said["target_range"], json!([1.0, 3.0]));
    for part in ["train", "test", "train_targets"] {
        assert_eq!(said["files"][part]["header"], true, "{said}");
    }
    assert_eq!(said["warnings"], json!([]));
    let again = service.get("/v1/datasets/said").await.ok(200);
    assert_eq!(again, said);

    let years = "2020,2021,2022\n1,0,3\n4,1,6\n";
    let named = table("years", years)
        .text("header", "yes")
        .text("label_column", "2021");
    upload(&service, named).await.ok(201);
    let found = service.get("/v1/datasets/years/rows").await.ok(200);
    assert_eq!(
        (&found["rows"], &found["labels"]),
        (&json!([[1.0, 3.0], [4.0, 6.0]]), &json!([0, 1]))
    );

    let odd = table("odd", text).text("header", "maybe");
    upload(&service, odd).await.invalid("/header");
    let pixels = || form("pixels", &[("train", idx(&[2, 2, 2], &[1; 8]))]);
    let refused = upload(&service, pixels().text("header", "yes")).await;
    refused.invalid("/header");
    let plain = upload(&service, pixels().text("header", "auto"))
        .await
        .ok(201);
    assert_eq!(
        plain["files"],
        json!({"train": {"format": "idx", "header": null, "delimiter": null}})
    );
    let one_more = file(
        table("more", "1,2\n3,4\n"),
        "train_labels",
        b"0\n0\n1\n".to_vec(),
    );
    upload(&service, one_more).await.says("'header' with 'yes'");
}

#[tokio::test]
async fn what_separates_cells_is_told_from_all_lines_or_by_the_client() {
    let service = Service::start(&[]).await;
    let decimal = upload(&service, table("decimal", "1,5;2,5\n3,5;4,5\n"))
        .await
        .ok(201);
    let told = json!({"format": "csv", "header": false, "delimiter": ";"});
    assert_eq!(decimal["files"]["train"], told);
    let found = service.get("/v1/datasets/decimal/rows").await.ok(200);
    assert_eq!(found["rows"], json!([[1.5, 2.5], [3.5, 4.5]]));
    let semicolons = "\"height, cm\";\"weight, kg\"\n170;60\n180;80\n";
    let added = upload(&service, table("semi", semicolons)).await.ok(201);
    assert_eq!(added["range"], json!([60.0, 180.0]));
    let named = table("named", "1|2,5\n3|4\n").text("delimiter", "|");
    let named = upload(&service, named).await.ok(201);
    assert_eq!(
        (&named["range"], &named["files"]["train"]["delimiter"]),
        (&json!([1.0, 4.0]), &json!("|"))
    );
    let tabs = table("tabs", "1\t2\n").text("delimiter", "\\t");
    upload(&service, tabs).await.ok(201);
    for wrong in ["", "5", ";;", ".", "\"", "\u{a7}", "comma"] {
        let asked = table("wrong", "1,2\n").text("delimiter", wrong);
        upload(&service, asked).await.invalid("/delimiter");
    }
    let pixels = form("pixels", &[("train", idx(&[2, 2, 2], &[1; 8]))]);
    let pixels = pixels.text("delimiter", ";").text("header", "no");
    let refused = upload(&service, pixels).await;
    refused.invalid("/header");
    refused.invalid("/delimiter");
}

#[tokio::test]
async fn all_faults_of_an_upload_come_at_once() {
    let service = Service::start(&[]).await;
    let upload_form = file(
        table("many", "a,b\n1,x\n2,3\n4\n"),
        "train_labels",
        b"0\n1\n1.5\n".to_vec(),
    );
    let upload_form = file(upload_form, "test", b"a,b\ny,1\n".to_vec());
    let upload_form = file(upload_form, "test_targets", Vec::new()).text("shape", "0");
    let problem = upload(&service, upload_form).await.problem(422, "invalid");
    let errors = problem["errors"].as_array().expect("errors");
    let found: Vec<(&str, &str)> = errors
        .iter()
        .map(|e| {
            (
                e["pointer"].as_str().expect("a pointer"),
                e["detail"].as_str().expect("a text"),
            )
        })
        .collect();
    for (pointer, said) in [
        ("/shape", "above 0"),
        ("/train", "line 2, column 1"),
        ("/train", "line 4 has 1 cells"),
        (
            "/train_labels",
            "line 3, column 0 (from 0): the label is 1.5",
        ),
        ("/test", "line 2, column 0"),
        ("/test_targets", "empty"),
    ] {
        let mut told = found
            .iter()
            .filter(|(at, detail)| *at == pointer && detail.contains(said));
        assert!(told.next().is_some(), "no {pointer}: {said} in {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
    let rows = "x,x,x\n".repeat(9);
    let text = format!("a,b,c\n{rows}");
    let many = file(table("many", &text), "test", text.clone().into_bytes());
    let many = file(many, "train_labels", b"1\n2.5\nx\ny\nz\n".to_vec());
    let problem = upload(&service, many).await.problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(20));
    let nothing = Form::new().text("shape", "2");
    let nothing = upload(&service, file(nothing, "test_labels", b"1\n".to_vec())).await;
    for pointer in ["/name", "/train", "/test_labels"] {
        nothing.invalid(pointer);
    }
    assert_eq!(service.dataset_files(), [""; 0]);
}

#[tokio::test]
async fn what_may_not_be_meant_is_told_of() {
    let service = Service::start(&[]).await;
    let rows: String = (1..40)
        .map(|n| format!("{n},5,{},{}\n", 0.001 * f64::from(n % 7), n % 3))
        .collect();
    let added = upload(
        &service,
        table("odd", &format!("size,one,small,class\n{rows}")),
    )
    .await
    .ok(201);
    let codes = |added: &serde_json::Value| -> Vec<String> {
        let warnings = added["warnings"].as_array().expect("warnings");
        let code =
            |warning: &serde_json::Value| warning["code"].as_str().expect("a code").to_owned();
        warnings.iter().map(code).collect()
    };
    assert_eq!(
        codes(&added),
        ["constant_columns", "scales_differ", "label_among_features"]
    );
    assert!(
        added["warnings"]
            .as_array()
            .expect("warnings")
            .iter()
            .all(|w| w["pointer"] == "/train")
    );
    let named = table(
        "named",
        &format!("size,two,large,class\n{}", rows.replace(",5,", ",6,")),
    );
    let named = upload(&service, named.text("label_column", "class"))
        .await
        .ok(201);
    assert!(
        !codes(&named).contains(&"label_among_features".to_owned()),
        "{named}"
    );
    let ratings = "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n2,32,3.0,1260759179\n";
    let added = upload(&service, table("ratings", ratings)).await.ok(201);
    assert!(
        codes(&added).contains(&"looks_like_ratings".to_owned()),
        "{added}"
    );
    let with_test = |name: &str, test: &str| {
        file(
            table(name, "a,b\n1,2\n2,1\n"),
            "test",
            test.as_bytes().to_vec(),
        )
    };
    let turned = upload(&service, with_test("turned", "b,a\n1,2\n")).await;
    turned.invalid("/test");
    turned.says("another order");
    let other = upload(&service, with_test("other", "a,c\n1,2\n"))
        .await
        .ok(201);
    assert_eq!(codes(&other), ["names_differ"]);
    let labels = table("missing", "a,b,kind\n1,2,NA\n2,1,cat\n").text("label_column", "kind");
    let labels = upload(&service, labels).await.ok(201);
    assert_eq!(codes(&labels), ["missing_as_class"]);
}
