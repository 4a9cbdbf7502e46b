//! What a service makes sure of before it serves.

use tokio::process::Command;

use crate::service::{PATIENCE, Service};

/// Two would sweep away each other's uploads.
#[tokio::test]
async fn a_data_directory_has_one_service() {
    let service = Service::start(&["--workers", "0"]).await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_latentd"));
    second
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(service.data_dir())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, second.output()).await;
    let ended = ended.expect("the second ends").expect("the binary runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{told}");
    assert!(
        told.contains("another latentd serves the data directory"),
        "{told}"
    );
    service.get("/readyz").await.expect(200);
}
