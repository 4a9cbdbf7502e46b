//! Files in the data directory that are not what was stored there: told as such, and never sent.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::reply::Reply;
use crate::service::{PATIENCE, Service};
use crate::training::small_rbm;

fn artifact(service: &Service, sha256: &Value) -> PathBuf {
    let sha256 = sha256.as_str().expect("a digest");
    let folder = service.data_dir().join("artifacts").join(&sha256[..2]);
    folder.join(format!("{sha256}.safetensors"))
}

/// A bad disk, or an editor.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).expect("the file");
    let end = bytes.len();
    for byte in &mut bytes[end - 8..] {
        *byte ^= 0x55;
    }
    fs::write(file, bytes).expect("it can be written");
}

/// Everything that comes from the weights.
async fn all_of_the_weights(service: &Service) -> Vec<Reply> {
    let rows = json!({"rows": {"dataset": "digits", "split": "test", "offset": 0, "limit": 1}});
    vec![
        service.get("/v2/models/a/ready").await,
        service.get("/v2/models/a/versions/1/ready").await,
        service.get("/v1/models/a/versions/1/content").await,
        service.get("/v1/models/a/versions/1/export").await,
        service
            .get("/v1/models/a/versions/1/onnx?verb=encode")
            .await,
        service.post("/v1/models/a/encode", &rows).await,
        service.post("/v1/models/a/load", &json!({})).await,
        service.get("/v2/models/a/ready").await,
    ]
}

#[tokio::test]
async fn damaged_weights_are_told_as_such_and_never_sent() {
    let mut service = Service::with_digits(&["--workers", "1"]).await;
    let done = service.train(&small_rbm("a")).await;
    let version = service.get("/v1/models/a/versions/1").await.ok(200);
    let file = artifact(&service, &version["sha256"]);
    let sound = fs::read(&file).expect("the weights");
    for missing in [false, true] {
        if missing {
            fs::remove_file(&file).expect("it is there");
        } else {
            damage(&file);
        }
        // A model that is in memory answers from there.
        service.terminate();
        service.ended(PATIENCE).await;
        service.restart().await;
        for reply in all_of_the_weights(&service).await {
            reply.problem(500, "damaged");
        }
    }
    fs::write(&file, sound).expect("from a backup");
    for reply in all_of_the_weights(&service).await {
        reply.expect(200);
    }
    assert!(service.log().contains("has digest"), "{}", service.log());

    let id = done["id"].as_str().expect("an id");
    let checkpoints = format!("/v1/jobs/{id}/checkpoints");
    let kept = service.get(&checkpoints).await.ok(200)["data"][0].clone();
    let content = format!("{checkpoints}/{}/content", kept["number"]);
    service.get(&content).await.expect(200);
    damage(&artifact(&service, &kept["sha256"]));
    service.get(&content).await.problem(500, "damaged");

    service.delete("/v1/models/a").await.expect(204);
    for reply in [
        service.get("/v1/models/a/versions/1/content").await,
        service.get("/v2/models/a/ready").await,
    ] {
        reply.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_damaged_data_set_is_told_as_such() {
    let service = Service::with_digits(&["--workers", "0"]).await;
    let rows = "/v1/datasets/digits/rows?split=test&offset=0&limit=4";
    let preview = "/v1/datasets/digits/preview.png?split=test&n=4";
    service.get(rows).await.expect(200);
    let folder = service.data_dir().join("datasets");
    let set = fs::read_dir(folder).expect("a folder").flatten().next();
    let file = set.expect("a data set").path().join("test.npy");
    let sound = fs::read(&file).expect("the rows");
    for damaged in [
        Some(&sound[..sound.len() / 2]),
        Some(b"not rows"),
        Some(b""),
        None,
    ] {
        match damaged {
            Some(bytes) => fs::write(&file, bytes).expect("it can be written"),
            None => fs::remove_file(&file).expect("it is there"),
        }
        for path in [rows, preview] {
            service.get(path).await.problem(500, "damaged");
        }
    }
    fs::write(&file, sound).expect("from a backup");
    service.get(rows).await.expect(200);
}
