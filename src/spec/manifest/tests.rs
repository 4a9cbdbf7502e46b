//! Manifests with one thing wrong each.

use serde_json::json;

use super::*;
use crate::document::read;

fn good() -> Value {
    json!({
        "format_version": 1, "name": "m", "version": 3, "kind": "vae",
        "spec": {"kind": "vae", "hidden": [8], "latent": 2, "kl_schedule": {"kind": "cyclic", "cycles": 50}},
        "data": {"shape": [1, 4, 4], "range": [0.0, 1.0], "classes": 10, "targets": 0},
        "input_shape": [1, 4, 4], "code_shape": [2], "parameters": 7,
        "sha256": "0".repeat(64), "metrics": {"test/loss": 1.5, "odd": null},
        "created_at": "2026-01-02T03:04:05Z"
    })
}

fn broken(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = good();
    change(&mut value);
    let outcome = read::<Manifest>(&value, "/manifest")
        .map_err(|e| vec![e])
        .and_then(|manifest| manifest.validate(None));
    let errors = outcome.err().unwrap_or_default().into_iter();
    errors.map(|error| error.pointer).collect()
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    assert_eq!(broken(|_| ()), [""; 0]);
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 22] = [
        (
            |m| m["data"]["label_names"] = json!(["a", "b"]),
            "/manifest/data/label_names",
        ),
        (
            |m| m["data"]["label_names"] = json!(vec!["a"; 10]),
            "/manifest/data/label_names",
        ),
        (
            |m| m["data"]["label_names"] = json!("a"),
            "/manifest/data/label_names",
        ),
        (
            |m| m["format_version"] = json!(2),
            "/manifest/format_version",
        ),
        (|m| m["more"] = json!(1), "/manifest/more"),
        (|m| m["name"] = json!("../x"), "/manifest/name"),
        (|m| m["version"] = json!(0), "/manifest/version"),
        (|m| m["kind"] = json!("rbm"), "/manifest/kind"),
        (|m| m["spec"]["kind"] = json!("gpt"), "/manifest/spec/kind"),
        (|m| m["spec"] = json!([]), "/manifest/spec"),
        (
            |m| m["spec"]["hidden"] = json!([0]),
            "/manifest/spec/hidden/0",
        ),
        (|m| m["spec"]["depth"] = json!(3), "/manifest/spec/depth"),
        (
            |m| {
                m["spec"]["channels"] =
                    json!([4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4])
            },
            "/manifest/spec/channels",
        ),
        (
            |m| m["spec"]["hidden"] = json!([1 << 24, 1 << 24]),
            "/manifest/spec",
        ),
        (
            |m| m["data"]["shape"] = json!([1, 4, -4]),
            "/manifest/data/shape",
        ),
        (
            |m| m["data"]["shape"] = json!([1_i64 << 40, 1_i64 << 40]),
            "/manifest/data/shape",
        ),
        (
            |m| m["data"]["range"] = json!([2.0, 1.0]),
            "/manifest/data/range",
        ),
        (
            |m| m["data"]["classes"] = json!(0),
            "/manifest/data/classes",
        ),
        (|m| m["data"]["mean"] = json!(0), "/manifest/data/mean"),
        (|m| m["sha256"] = json!("AB"), "/manifest/sha256"),
        (
            |m| m["metrics"]["a/b"] = json!("x"),
            "/manifest/metrics/a~1b",
        ),
        (
            |m| m["created_at"] = json!("yesterday"),
            "/manifest/created_at",
        ),
    ];
    for (change, pointer) in cases {
        let found = broken(change);
        assert!(found.iter().any(|p| p == pointer), "{pointer}: {found:?}");
    }
}

#[test]
fn a_name_beside_it_goes_first() {
    let manifest = || read::<Manifest>(&good(), "").expect("it is well formed");
    let named = |name: &str| manifest().validate(Some(name.to_owned()));
    assert_eq!(named("other").expect("a name").name, "other");
    assert_eq!(named("a b").expect_err("no name")[0].pointer, "/name");
    let incoming = manifest().validate(None).expect("it is right");
    assert_eq!(incoming.name, "m");
    assert!(incoming.check_claims(Some(&vec![2]), 7).is_ok());
    assert_eq!(
        incoming
            .check_claims(Some(&vec![3]), 8)
            .expect_err("both")
            .len(),
        2
    );
    assert!(incoming.check_numbers(10).is_err());
    assert!(incoming.check_numbers(100_000).is_ok());
}
