//! Many short jobs in a row: memory, file handles and the database stay as they were.
//!
//! LATENTD_SOAK_JOBS says how many (`make test-soak`: 500); with the other tests it is a handful.

use serde_json::json;

use crate::process::{memory, open_files};
use crate::service::Service;
use crate::training::digits_job;

const WITH_THE_OTHER_TESTS: usize = 24;

struct Reading {
    memory: u64,
    files: usize,
    database: u64,
}

#[tokio::test]
async fn many_jobs_leave_nothing_behind() {
    let jobs = std::env::var("LATENTD_SOAK_JOBS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(WITH_THE_OTHER_TESTS);
    let service = Service::with_digits(&["--keep-jobs", "5"]).await;
    let read = || Reading {
        memory: memory(service.pid()),
        files: open_files(service.pid()),
        database: std::fs::metadata(service.data_dir().join("latentd.db")).map_or(0, |m| m.len()),
    };
    let mut readings = Vec::new();
    for i in 0..jobs {
        let model = json!({"kind": "pca", "code": 2 + i % 7});
        let name = format!("soak-{}", i % 3);
        service.train(&digits_job(&name, &model, &json!({}))).await;
        let asked = json!({"rows": {"dataset": "digits", "split": "test", "limit": 8}});
        service
            .post(&format!("/v1/models/{name}/encode"), &asked)
            .await
            .expect(200);
        // Old versions go, as somebody who keeps the newest would have it.
        if i >= 3 {
            let version = i / 3;
            let path = format!("/v1/models/{name}/versions/{version}");
            service.delete(&path).await.expect(204);
        }
        if (i + 1) % (jobs / 8).max(1) == 0 {
            let now = read();
            println!(
                "after {} jobs: {} MiB, {} files, database {} KiB",
                i + 1,
                now.memory >> 20,
                now.files,
                now.database >> 10
            );
            readings.push(now);
        }
    }
    let settled = &readings[readings.len() / 4];
    let last = &readings[readings.len() - 1];
    assert!(last.memory < settled.memory + (24 << 20), "memory grows");
    assert!(last.files <= settled.files + 4, "file handles are lost");
    assert!(
        last.database <= settled.database + (1 << 20),
        "the database grows"
    );
}
