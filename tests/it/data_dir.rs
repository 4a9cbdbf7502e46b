//! The data directory under a service that runs: removed, replaced, and put back.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::service::{Service, until};

impl Service {
    async fn is_ready(&self, wanted: u16) {
        until("what /readyz says", || async {
            (self.get("/readyz").await.status == wanted).then_some(())
        })
        .await;
    }
}

/// What is written into a file that no restart will find must not be promised to anyone.
#[tokio::test]
async fn a_data_directory_that_is_not_in_its_place_takes_no_writes() {
    let service = Service::with_digits(&["--workers", "1"]).await;
    let (place, away) = (
        service.data_dir(),
        service.data_dir().with_extension("away"),
    );
    let job = json!({"dataset": "digits", "model": {"kind": "pca"}, "name": "a"});
    service.ended_job(&service.queue(&job).await).await;
    fs::rename(&place, &away).expect("it can be moved");

    for replaced in [false, true] {
        if replaced {
            // As a restore beside the running service would leave it.
            fs::create_dir(&place).expect("a folder");
            fs::copy(away.join("latentd.db"), place.join("latentd.db")).expect("a copy");
        }
        let builtin = json!({"name": "more", "builtin": "digits"});
        let webhook = json!({"url": "https://example.com/", "events": ["job.failed"]});
        for reply in [
            service.post("/v1/jobs", &job).await,
            service.post("/v1/datasets", &builtin).await,
            service.post("/v1/webhooks", &webhook).await,
            service
                .put("/v1/models/a/aliases/b", &json!({"version": 1}))
                .await,
            service.delete("/v1/models/a").await,
            service.delete("/v1/datasets/digits").await,
        ] {
            reply.problem(503, "storage_unavailable");
        }
        service.is_ready(503).await;
        service
            .get("/readyz")
            .await
            .problem(503, "storage_unavailable");
        service.get("/livez").await.expect(200);
        assert_eq!(place.exists(), replaced, "nothing is made anew");
    }
    let errors = |log: &str| log.matches("ERROR").count();
    assert_eq!(errors(&service.log()), 1, "{}", service.log());

    fs::remove_dir_all(&place).expect("it can be removed");
    fs::rename(&away, &place).expect("it can be moved back");
    service.is_ready(200).await;
    let id = service.queue(&job).await;
    assert_eq!(service.ended_job(&id).await["status"], "succeeded");
    let request = service.request(Method::DELETE, "/v1/models/a");
    service.send(request).await.expect(204);
}
