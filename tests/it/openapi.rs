//! The OpenAPI document: one text, whether printed, served or kept in the repository.

use std::process::Command;

use crate::service::Service;

#[tokio::test]
async fn printed_served_and_kept_are_the_same_bytes() {
    let printed = Command::new(env!("CARGO_BIN_EXE_latentd"))
        .arg("openapi")
        .output()
        .expect("the binary runs");
    let kept = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json"))
        .expect("openapi/openapi.json is there");
    let service = Service::start(&[]).await;
    let served = service.get("/openapi.json").await;
    served.expect(200);
    assert!(
        printed.stdout == kept,
        "openapi/openapi.json is out of date: make openapi"
    );
    assert!(served.body == kept, "what is served is another document");
}

/// A part that is not known is refused, and the document says so; names have their pattern there too.
#[test]
fn forms_have_no_parts_but_their_own() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let text = std::fs::read(path).expect("openapi/openapi.json is there");
    let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    for form in ["DatasetUpload", "ModelUpload"] {
        let schema = &document["components"]["schemas"][form];
        assert_eq!(schema["additionalProperties"], false, "{form}: {schema}");
        let name = &schema["properties"]["name"]["pattern"];
        assert_eq!(name, "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", "{form}");
    }
}
