//! Imports that lie, break off or blow up: each is refused by name and leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use reqwest::multipart::Form;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use crate::exchange::{Bundle, apart, form, sha256, zipped};
use crate::process::peak_memory;
use crate::service::Service;
use crate::training::digits_job;

/// Every file among the artifacts, and every version.
pub async fn kept(service: &Service) -> (Vec<String>, Value) {
    let mut files = Vec::new();
    let root = service.data_dir().join("artifacts");
    for folder in fs::read_dir(root).expect("the artifacts") {
        let folder = folder.expect("an entry").path();
        files.push(folder.display().to_string());
        let inside = match fs::read_dir(folder) {
            // The service cleared it away after it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            inside => inside.expect("a folder"),
        };
        for file in inside {
            files.push(file.expect("an entry").path().display().to_string());
        }
    }
    files.sort();
    (files, service.get("/v1/models").await.ok(200))
}

/// A trained model's bundle, and a service that has nothing else.
pub async fn given() -> (Service, Bundle) {
    let service = Service::with_digits(&[]).await;
    let model = json!({"kind": "autoencoder", "hidden": [12], "code": 4});
    service
        .train(&digits_job("ae", &model, &json!({"epochs": 1})))
        .await;
    let bundle = Bundle::of(&service, "ae", 1).await;
    (service, bundle)
}

/// A tensor of a file: its type, its shape, its bytes.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

fn tensors(weights: &[u8]) -> BTreeMap<String, Raw> {
    let file = SafeTensors::deserialize(weights).expect("safetensors");
    let raw = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.iter()
        .map(|(name, view)| (name.to_owned(), raw(view)))
        .collect()
}

/// The same manifest beside other tensors.
fn with(bundle: &Bundle, change: impl FnOnce(&mut BTreeMap<String, Raw>)) -> (Value, Vec<u8>) {
    let mut all = tensors(&bundle.weights);
    change(&mut all);
    let views = all.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name.as_str(), view.expect("a tensor"))
    });
    let weights = safetensors::serialize(views, None).expect("memory");
    (digested(bundle, &weights), weights)
}

fn digested(bundle: &Bundle, weights: &[u8]) -> Value {
    let mut manifest = bundle.manifest.clone();
    manifest["sha256"] = json!(sha256(weights));
    manifest
}

/// Refused with this pointer and text, and nothing is kept of it.
pub async fn refused(service: &Service, case: &str, sent: Form, pointer: &str, said: &str) {
    let before = kept(service).await;
    let reply = service.import(sent).await;
    assert_eq!(reply.status, 422, "{case}: {}", reply.text());
    reply.invalid(pointer);
    reply.says(said);
    assert!(kept(service).await == before, "{case}: something was kept");
}

#[tokio::test]
async fn archives_that_are_not_what_they_say() {
    let (service, bundle) = given().await;
    let text = bundle.manifest.to_string().into_bytes();
    let whole = &bundle.bytes;
    let weights = bundle.weights.as_slice();
    let mut cases: Vec<(String, Vec<u8>, &str)> = (0..8)
        .map(|eighth| {
            (
                format!("cut off at {eighth}/8"),
                whole[..whole.len() * eighth / 8].to_vec(),
                "",
            )
        })
        .collect();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    cases.push(("a bit flipped".to_owned(), flipped, "checksum"));
    let named = |members: &[(&str, &[u8])]| zipped(members);
    for (case, bytes, said) in [
        ("no archive", b"hello".to_vec(), "directory is missing"),
        ("nothing", Vec::new(), "directory is missing"),
        ("no members", named(&[]), "holds no manifest.json"),
        (
            "no weights",
            named(&[("manifest.json", &text)]),
            "holds no model.safetensors",
        ),
        (
            "a way out",
            named(&[
                ("manifest.json", &text),
                ("model.safetensors", weights),
                ("../../latentd.db", b"x"),
            ]),
            "../../latentd.db",
        ),
        (
            "a folder in front",
            named(&[("x/manifest.json", &text), ("x/model.safetensors", weights)]),
            "x/manifest.json",
        ),
        (
            "a manifest without end",
            named(&[
                ("manifest.json", &vec![b' '; 2 << 20]),
                ("model.safetensors", weights),
            ]),
            "at most",
        ),
    ] {
        cases.push((case.to_owned(), bytes, said));
    }
    for (case, bytes, said) in cases {
        refused(&service, &case, form(&[("bundle", bytes)]), "/bundle", said).await;
    }
    let broken = named(&[("manifest.json", b"{"), ("model.safetensors", weights)]);
    let sent = form(&[("bundle", broken)]);
    refused(&service, "no JSON", sent, "/manifest", "is not JSON").await;
}

#[tokio::test]
async fn an_archive_that_unpacks_to_vastly_more_is_stopped() {
    let (service, bundle) = given().await;
    let text = bundle.manifest.to_string().into_bytes();
    let zeros = vec![0; 300 << 20];
    let bomb = zipped(&[("manifest.json", &text), ("model.safetensors", &zeros)]);
    assert!(bomb.len() < 1 << 20);
    let (before, memory) = (kept(&service).await, peak_memory(service.pid()));
    let reply = service.import(form(&[("bundle", bomb)])).await;
    reply.problem(413, "too_large");
    assert!(kept(&service).await == before);
    let grown = peak_memory(service.pid()) - memory;
    assert!(grown < 100 << 20, "the service grew by {} MiB", grown >> 20);
}

#[tokio::test]
async fn weights_that_do_not_make_the_model() {
    let (service, bundle) = given().await;
    let bias = "encoder.0.bias";
    let nan = with(&bundle, |all| {
        let bytes = &mut all.get_mut(bias).expect("the bias").2;
        bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let missing = with(&bundle, |all| {
        let bias = all.remove(bias).expect("the bias");
        // As many numbers as before.
        all.insert("encoder.9.bias".to_owned(), bias);
    });
    let extra = with(&bundle, |all| {
        all.insert("more".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    });
    let turned = with(&bundle, |all| {
        all.get_mut("encoder.0.weight")
            .expect("the weights")
            .1
            .reverse();
    });
    let doubles = with(&bundle, |all| {
        let (dtype, _, bytes) = all.get_mut(bias).expect("the bias");
        *dtype = Dtype::F64;
        bytes.extend(vec![0; bytes.len()]);
    });
    let none = with(&bundle, BTreeMap::clear);
    let cut = bundle.weights[..bundle.weights.len() - 4].to_vec();
    let cut = (digested(&bundle, &cut), cut);
    let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    let huge = (digested(&bundle, &huge), huge);
    for (case, (manifest, weights), said) in [
        (
            "nan",
            nan,
            "'encoder.0.bias' holds a number that is not finite, at 1",
        ),
        (
            "a tensor is missing",
            missing,
            "'encoder.0.bias' is missing",
        ),
        ("a tensor too many", extra, "'more'"),
        ("another shape", turned, "has shape [64, 12]"),
        ("another type", doubles, "has type F64"),
        ("no tensors", none, "hold 0 numbers"),
        ("cut off", cut, "follow it"),
        ("a vast header", huge, "its header would have"),
        ("empty", (digested(&bundle, &[]), Vec::new()), "fewer than"),
    ] {
        refused(&service, case, apart(&manifest, &weights), "/weights", said).await;
    }
}

#[tokio::test]
async fn manifests_that_do_not_fit_the_weights() {
    let (service, bundle) = given().await;
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str); 17] = [
        (
            |m| m["sha256"] = json!("0".repeat(64)),
            "/manifest/sha256",
            "is not that of the weights",
        ),
        (
            |m| m["sha256"] = json!("../../x"),
            "/manifest/sha256",
            "64 hexadecimal",
        ),
        (
            |m| m["format_version"] = json!(99),
            "/manifest/format_version",
            "99",
        ),
        (
            |m| m["kind"] = json!("rbm"),
            "/manifest/kind",
            "autoencoder",
        ),
        (
            |m| (m["kind"], m["spec"]) = (json!("gpt"), json!({"kind": "gpt"})),
            "/manifest/spec/kind",
            "gpt",
        ),
        (
            |m| (m["kind"], m["spec"]) = (json!("rbm"), json!({"kind": "rbm", "hidden": 8})),
            "/weights",
            "missing",
        ),
        (
            |m| m["spec"]["hidden"] = json!([0]),
            "/manifest/spec/hidden/0",
            "0",
        ),
        (
            |m| m["spec"]["hidden"] = json!([16_777_216]),
            "/manifest/spec",
            "at most",
        ),
        (
            |m| m["spec"]["hidden"] = json!([10_000]),
            "/weights",
            "numbers",
        ),
        (
            |m| m["spec"]["hidden"] = json!([11]),
            "/weights",
            "has shape",
        ),
        (
            |m| m["spec"]["wings"] = json!(2),
            "/manifest/spec/wings",
            "unknown field",
        ),
        (
            |m| m["data"]["shape"] = json!([3_000_000_000_i64, 3_000_000_000_i64]),
            "/manifest/data/shape",
            "at most",
        ),
        (
            |m| (m["data"]["shape"], m["input_shape"]) = (json!([9]), json!([9])),
            "/weights",
            "has shape",
        ),
        (
            |m| m["code_shape"] = json!([5]),
            "/manifest/code_shape",
            "[4]",
        ),
        (
            |m| m["parameters"] = json!(1),
            "/manifest/parameters",
            "has",
        ),
        (
            |m| m["name"] = json!("../ae"),
            "/manifest/name",
            "is not a name",
        ),
        (|m| *m = json!([1]), "/manifest", ""),
    ];
    for (i, (change, pointer, said)) in cases.into_iter().enumerate() {
        let mut manifest = bundle.manifest.clone();
        change(&mut manifest);
        let sent = apart(&manifest, &bundle.weights);
        refused(&service, &format!("case {i}"), sent, pointer, said).await;
    }
    let deep = "[".repeat(200_000).into_bytes();
    let sent = form(&[("manifest", deep), ("weights", bundle.weights.clone())]);
    refused(&service, "deep", sent, "/manifest", "is not JSON").await;
    let long = vec![b' '; 2 << 20];
    let sent = form(&[("manifest", long), ("weights", bundle.weights.clone())]);
    service.import(sent).await.problem(413, "too_large");
}
