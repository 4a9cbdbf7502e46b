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
