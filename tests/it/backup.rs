//! Backups of a service that runs, and what is made of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::service::{PATIENCE, Service, until};
use crate::training::{digits_job, small_rbm};

/// Runs `latentd backup` or `restore`; what it says, and whether it went well.
async fn latentd(verb: &str, folder: &Path, data_dir: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latentd"));
    command
        .arg(verb)
        .arg(folder)
        .arg("--data-dir")
        .arg(data_dir);
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let ended = ended.expect("it ends").expect("it runs");
    let told = [ended.stdout, ended.stderr].concat();
    (
        ended.status.success(),
        String::from_utf8(told).expect("text"),
    )
}

async fn answers(service: &Service) -> Vec<Value> {
    let rows = json!({"rows": {"dataset": "digits", "split": "test", "offset": 3, "limit": 2}});
    vec![
        service.post("/v1/models/a/encode", &rows).await.ok(200)["outputs"].clone(),
        service.get("/v1/models/a").await.ok(200)["aliases"].clone(),
        service.get("/v1/datasets/digits").await.ok(200),
        service
            .get("/v1/datasets/digits/rows?split=train&offset=5&limit=3")
            .await
            .ok(200),
    ]
}

/// With a job beside it whose checkpoints come and go many times a second.
#[tokio::test]
async fn a_backup_of_a_running_service_is_restored_whole() {
    let service = Service::with_digits(&["--workers", "1"]).await;
    service.train(&small_rbm("a")).await;
    let alias = json!({"version": 1});
    service
        .put("/v1/models/a/aliases/best", &alias)
        .await
        .ok(200);
    let busy = |epochs: u32| {
        let model = json!({"kind": "rbm", "hidden": 32});
        digits_job(
            "b",
            &model,
            &json!({"epochs": epochs, "seed": 3, "batch_size": 64}),
        )
    };
    let id = service.queue(&busy(2000)).await;
    service.running(&id).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (backup, restored) = (folder.path().join("backup"), folder.path().join("restored"));
    let (well, told) = latentd("backup", &backup, &service.data_dir()).await;
    assert!(well, "{told}");
    assert_eq!(
        service.job(&id).await["status"],
        "running",
        "it is not disturbed"
    );
    let wanted = answers(&service).await;
    drop(service);

    // A backup is never written over, and what is damaged is not restored.
    let (well, told) = latentd("backup", &backup, &restored).await;
    assert!(!well && told.contains("is there already"), "{told}");
    let spoilt = folder.path().join("spoilt");
    let (well, told) = latentd("restore", &backup, &restored).await;
    assert!(well, "{told}");
    let (well, told) = latentd("restore", &backup, &restored).await;
    assert!(!well && told.contains("is there already"), "{told}");
    let weights = fs::read_dir(backup.join("artifacts")).expect("a folder");
    for entry in weights.flatten() {
        for file in fs::read_dir(entry.path()).expect("a folder").flatten() {
            fs::remove_file(file.path()).expect("a name of its own");
            fs::write(file.path(), b"damaged").expect("a file");
        }
    }
    let (well, told) = latentd("restore", &backup, &spoilt).await;
    assert!(!well && told.contains("has digest"), "{told}");
    assert!(
        !spoilt.join("latentd.db").exists(),
        "it is no data directory"
    );

    let service = Service::start_on(&["--workers", "1"], &restored).await;
    assert_eq!(answers(&service).await, wanted);
    // The job goes on where the backup found it.
    until("the job to go on", || async {
        let job = service.job(&id).await;
        (job["progress"]["epoch"].as_i64() > Some(2)).then_some(())
    })
    .await;
    assert_eq!(service.job(&id).await["status"], "running");
}
