//! Model versions that leave one service and come into another, and graphs for other runtimes.

use std::io::{Cursor, Read, Write};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::reply::Reply;
use crate::service::Service;
use crate::training::{digits_job, small_autoencoder, small_rbm};

/// A bundle taken apart.
#[derive(Clone)]
pub struct Bundle {
    pub bytes: Vec<u8>,
    pub manifest: Value,
    pub weights: Vec<u8>,
}

impl Bundle {
    pub async fn of(service: &Service, model: &str, version: i64) -> Self {
        let path = format!("/v1/models/{model}/versions/{version}/export");
        let reply = service.get(&path).await;
        let bytes = reply.expect(200).body.clone();
        assert_eq!(reply.header("content-type"), "application/zip");
        assert_eq!(
            reply.header("content-disposition"),
            format!("attachment; filename=\"{model}-{version}.zip\"")
        );
        assert_eq!(reply.header("content-length"), bytes.len().to_string());
        let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).expect("a ZIP archive");
        let mut member = |name: &str| {
            let mut member = archive.by_name(name).expect("the member");
            assert_eq!(member.compression(), zip::CompressionMethod::Stored);
            let mut content = Vec::new();
            member.read_to_end(&mut content).expect("whole");
            content
        };
        Self {
            manifest: serde_json::from_slice(&member("manifest.json")).expect("JSON"),
            weights: member("model.safetensors"),
            bytes: bytes.clone(),
        }
    }
}

/// A form of these files.
pub fn form(parts: &[(&str, Vec<u8>)]) -> Form {
    parts.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part(
            (*name).to_owned(),
            Part::bytes(bytes.clone()).file_name("file"),
        )
    })
}

pub fn apart(manifest: &Value, weights: &[u8]) -> Form {
    let manifest = manifest.to_string().into_bytes();
    form(&[("manifest", manifest), ("weights", weights.to_vec())])
}

pub fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        archive.start_file(*name, options).expect("a member");
        archive.write_all(bytes).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

impl Service {
    pub async fn import(&self, form: Form) -> Reply {
        self.send(self.request(Method::POST, "/v1/models").multipart(form))
            .await
    }
}

/// What two versions of the same weights have in common.
fn shared(version: &Value) -> Value {
    let fields = [
        "kind",
        "spec",
        "input_shape",
        "code_shape",
        "parameters",
        "capabilities",
        "metrics",
        "bytes",
        "sha256",
    ];
    fields
        .into_iter()
        .map(|field| (field.to_owned(), version[field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The bytes that a version answers to a few verbs.
async fn answers(service: &Service, model: &str, version: &Value) -> Vec<(String, Vec<u8>)> {
    let row: Vec<f64> = (0..64).map(|i| f64::from(i % 7) / 6.0).collect();
    let mut answers = Vec::new();
    for verb in version["capabilities"].as_array().expect("a list") {
        let verb = verb.as_str().expect("a verb");
        let mut body = match verb {
            "generate" => json!({"n": 3, "seed": 5, "labels": [1, 2, 3]}),
            "score" | "inpaint" => json!({"inputs": [row], "seed": 5, "labels": [1]}),
            "encode" | "reconstruct" | "denoise" => json!({"inputs": [row], "labels": [1]}),
            "predict" => json!({"inputs": [row]}),
            _ => continue,
        };
        if verb == "inpaint" {
            body["mask"] = json!(vec![1; 64]);
        }
        if version["spec"]["conditional"] != true {
            body.as_object_mut().expect("an object").remove("labels");
        }
        let path = format!("/v1/models/{model}/{verb}");
        let reply = service.post_for(&path, &body, "application/x-npy").await;
        answers.push((verb.to_owned(), reply.expect(200).body.clone()));
    }
    assert!(answers.len() > 2, "{version}");
    answers
}

#[tokio::test]
async fn a_version_answers_the_same_wherever_it_is_taken() {
    let service = Service::with_digits(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = Service::with_digits_on(&["--workers", "0"], folder.path()).await;
    let conditional = digits_job(
        "vae",
        &json!({"kind": "vae", "hidden": [32], "latent": 4, "conditional": true,
            "kl_schedule": {"kind": "cyclic", "cycles": 2}}),
        &json!({"epochs": 2}),
    );
    let stack = digits_job(
        "dbn",
        &json!({"kind": "dbn", "hidden": [24, 16]}),
        &json!({"epochs": 1}),
    );
    for job in [
        small_rbm("rbm"),
        small_autoencoder("ae"),
        conditional,
        stack,
    ] {
        service.train(&job).await;
        let name = job["name"].as_str().expect("a name");
        let there = service
            .get(&format!("/v1/models/{name}/versions/1"))
            .await
            .ok(200);
        let bundle = Bundle::of(&service, name, 1).await;
        assert_eq!(bundle.manifest["sha256"], there["sha256"]);
        let reply = elsewhere
            .import(form(&[("bundle", bundle.bytes.clone())]))
            .await;
        let here = reply.ok(201);
        let path = format!("/v1/models/{name}/versions/1");
        assert_eq!(reply.header("location"), path);
        assert_eq!(elsewhere.get(&path).await.ok(200), here);
        assert_eq!(shared(&here), shared(&there));
        assert_eq!(
            (&here["job"], &here["dataset"]),
            (&Value::Null, &Value::Null)
        );
        let content = elsewhere.get(&format!("{path}/content")).await;
        assert!(content.expect(200).body == bundle.weights, "{name}");
        let (ours, theirs) = (
            answers(&elsewhere, name, &here).await,
            answers(&service, name, &there).await,
        );
        assert!(ours == theirs, "{name}");

        // Again, by its parts and under another name; and out and in once more.
        let other = format!("{name}-again");
        let parts = apart(&bundle.manifest, &bundle.weights).text("name", other.clone());
        let again = service.import(parts).await.ok(201);
        assert_eq!(
            (&again["name"], &again["version"]),
            (&json!(other), &json!(1))
        );
        let once_more = Bundle::of(&service, &other, 1).await;
        assert!(once_more.weights == bundle.weights, "{name}");
        let second = service.import(form(&[("bundle", once_more.bytes)])).await;
        assert_eq!(second.ok(201)["version"], 2);
        service
            .delete(&format!("/v1/models/{name}"))
            .await
            .expect(204);
        let kept = answers(&service, &other, &again).await;
        assert!(kept == theirs, "{name}");
    }
}

#[tokio::test]
async fn an_imported_version_is_like_any_other() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_autoencoder("ae")).await;
    let bundle = Bundle::of(&service, "ae", 1).await;
    // Weights that another program has written, without our note.
    let tensors = safetensors::SafeTensors::deserialize(&bundle.weights).expect("safetensors");
    let plain = safetensors::serialize(tensors.iter(), None).expect("memory");
    let mut manifest = bundle.manifest.clone();
    manifest["sha256"] = json!(sha256(&plain));
    manifest["name"] = json!("plain");
    for field in [
        "version",
        "input_shape",
        "code_shape",
        "parameters",
        "created_at",
        "metrics",
    ] {
        manifest.as_object_mut().expect("an object").remove(field);
    }
    let imported = service.import(apart(&manifest, &plain)).await.ok(201);
    assert_eq!(imported["metrics"], json!({}));
    let ours = answers(&service, "plain", &imported).await;
    assert!(ours == answers(&service, "ae", &imported).await);
    // A bundle that was packed anew, compressed.
    let text = manifest.to_string();
    let packed = zipped(&[
        ("model.safetensors", &plain),
        ("manifest.json", text.as_bytes()),
    ]);
    let again = service.import(form(&[("bundle", packed)])).await.ok(201);
    assert_eq!(
        (&again["name"], &again["version"]),
        (&json!("plain"), &json!(2))
    );

    service
        .send(
            service
                .request(Method::PUT, "/v1/models/plain/aliases/best")
                .json(&json!({"version": 1})),
        )
        .await
        .expect(200);
    let metrics = json!([{"kind": "reconstruction"}]);
    let unknown = json!({"model": "plain@best", "metrics": metrics});
    service
        .post("/v1/evaluations", &unknown)
        .await
        .invalid("/dataset");
    let known = json!({"model": "plain@best", "dataset": "digits", "metrics": metrics});
    let job = service.post("/v1/evaluations", &known).await.ok(202);
    service.succeeded(job["id"].as_str().expect("an id")).await;
    let measured = service.get("/v1/models/plain/versions/1").await.ok(200);
    assert!(measured["metrics"]["test/mse"].is_number(), "{measured}");
    let mut further = small_autoencoder("further");
    further["init_from"] = json!("plain:1");
    let job = service.train(&further).await;
    assert_eq!(job["result"]["init_from"]["fresh"], json!([]), "{job}");
    service.restart_and_find("plain").await;
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Service {
    /// Starts the service again, and sees that a model is still there and answers.
    async fn restart_and_find(mut self, name: &str) {
        let mut before = self.get(&format!("/v1/models/{name}")).await.ok(200);
        for version in before["versions"].as_array_mut().expect("a list") {
            version["loaded"] = false.into();
        }
        self.kill();
        self.restart().await;
        let after = self.get(&format!("/v1/models/{name}")).await.ok(200);
        assert_eq!(after, before);
        answers(&self, name, &after["versions"][0]).await;
    }
}

#[tokio::test]
async fn verbs_that_draw_nothing_leave_as_graphs() {
    let service = Service::with_digits(&[]).await;
    service.train(&small_rbm("rbm")).await;
    let path = "/v1/models/rbm/versions/1/onnx";
    for verb in ["encode", "decode", "reconstruct"] {
        let reply = service.get(&format!("{path}?verb={verb}")).await;
        let file = &reply.expect(200).body;
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(
            reply.header("content-disposition"),
            format!("attachment; filename=\"rbm-1-{verb}.onnx\"")
        );
        // The version of the format comes first.
        assert_eq!(file[..2], [8, 8], "{verb}");
        let holds = |text: &str| file.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(
            holds("latentd") && holds("weights") && holds("batch"),
            "{verb}"
        );
        let again = service.get(&format!("{path}?verb={verb}")).await;
        assert!(again.body == *file, "{verb}: other bytes");
    }
    for verb in ["generate", "denoise", "score", "predict", "fly", ""] {
        let reply = service.get(&format!("{path}?verb={verb}")).await;
        reply.problem(422, "unsupported_operation");
        reply.says("encode, decode, reconstruct");
    }
    service.get(path).await.problem(422, "invalid");
    let unknown = format!("{path}?verb=encode&layer=0");
    service.get(&unknown).await.problem(422, "invalid");
    for missing in ["rbm/versions/7", "rbm/versions/x", "none/versions/1"] {
        for what in ["onnx?verb=encode", "export"] {
            let path = format!("/v1/models/{missing}/{what}");
            service.get(&path).await.problem(404, "not_found");
        }
    }
}
