//! The store's tests: each on a file of its own, with the time handed in.

mod checkpoints;
mod datasets;
mod ends;
mod events;
mod health;
mod imports;
mod leases;
mod metrics;
mod models;
mod moves;
mod queue;
mod scale;
mod webhooks;

use std::collections::BTreeMap;

use serde_json::{Map, json};
use tempfile::TempDir;

use super::{CheckpointReport, Dataset, NewVersion, Split, Splits, Store};
use crate::data::{Column, Dtype, FileForm, Role};
use crate::document::Warning;
use crate::jobs::{Job, JobPlan, Lease, LeasePolicy, Status, dataset_id};

pub(super) const POLICY: LeasePolicy = LeasePolicy {
    lease_ms: 1000,
    max_deaths: 3,
    on_cpu: 100,
    per_gpu: 1,
};
pub(super) const ROOM: i64 = 100;

/// A store in a folder that goes with it.
pub(super) struct Fixture {
    pub store: Store,
    pub dataset: Dataset,
    folder: TempDir,
}

impl Fixture {
    pub async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("latentd.db"))
            .await
            .expect("opens");
        let dataset = dataset("digits");
        store.insert_dataset(&dataset, None).await.expect("inserts");
        Self {
            store,
            dataset,
            folder,
        }
    }

    /// The same file, as another process opens it.
    pub async fn another(&self) -> Store {
        Store::open(&self.folder.path().join("latentd.db"))
            .await
            .expect("opens again")
    }

    pub fn new_job(&self, name: &str) -> JobPlan {
        JobPlan {
            name: name.to_owned(),
            kind: "rbm".to_owned(),
            device_slot: "cpu".to_owned(),
            dataset_id: self.dataset.id.clone(),
            dataset_name: self.dataset.name.clone(),
            model: json!({ "kind": "rbm", "hidden": 16 }),
            training: json!({ "epochs": 2 }),
            metadata: json!({}),
            ..JobPlan::default()
        }
    }

    pub async fn queued(&self, name: &str) -> Job {
        let admitted = self
            .store
            .insert_job(&self.new_job(name), None, None, ROOM, 1)
            .await;
        admitted.expect("admitted").job
    }

    /// Queues a job and claims it at time 10.
    pub async fn running(&self, name: &str) -> (Job, Lease) {
        let job = self.queued(name).await;
        let (claimed, lease) = self.claim("w1", 10).await.expect("a job to claim");
        assert_eq!(claimed.id, job.id);
        (claimed, lease)
    }

    pub async fn claim(&self, owner: &str, now: i64) -> Option<(Job, Lease)> {
        self.store.claim(owner, POLICY, now).await.expect("claims")
    }

    pub async fn job(&self, id: &str) -> Job {
        self.store.job(id).await.expect("the job")
    }

    /// The states a job has been through.
    pub async fn path(&self, id: &str) -> Vec<Status> {
        self.job(id)
            .await
            .transitions
            .iter()
            .map(|transition| transition.status)
            .collect()
    }
}

pub(super) fn dataset(name: &str) -> Dataset {
    Dataset {
        id: dataset_id(),
        name: name.to_owned(),
        kind: "dense".to_owned(),
        columns: vec![
            Column {
                role: Role::Rows,
                dtype: Dtype::F32,
                shape: vec![1, 8, 8],
                range: Some([0.0, 1.0]),
                classes: None,
                names: Vec::new(),
            },
            Column {
                role: Role::Labels,
                dtype: Dtype::I64,
                shape: Vec::new(),
                range: None,
                classes: Some(2),
                names: vec!["no".to_owned(), "yes".to_owned()],
            },
        ],
        splits: Splits {
            train: Split {
                rows: 1437,
                columns: vec![Role::Rows, Role::Labels],
            },
            test: None,
        },
        sha256: "d0".to_owned(),
        bytes: 100,
        created_at: 1,
        files: BTreeMap::from([(
            "train".to_owned(),
            FileForm {
                format: "csv".to_owned(),
                header: Some(true),
                delimiter: Some(','),
            },
        )]),
        warnings: vec![Warning::new("unused_array", "/train", "\"w\": left out")],
    }
}

pub(super) fn version(sha256: &str) -> NewVersion {
    NewVersion {
        spec: json!({ "kind": "rbm", "hidden": 16 }),
        input_shape: vec![1, 8, 8],
        code_shape: Some(vec![16]),
        parameters: 1104,
        capabilities: vec!["encode".to_owned()],
        metrics: Map::new(),
        data: json!({ "range": [0.0, 1.0] }),
        sha256: sha256.to_owned(),
        bytes: 4416,
        provenance: Map::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn checkpoint(step: i64, sha256: &str, best: bool) -> CheckpointReport {
    CheckpointReport {
        epoch: step / 10,
        step,
        bytes: 10,
        sha256: sha256.to_owned(),
        metrics: Map::new(),
        best,
        position: json!({ "step": step }),
    }
}
