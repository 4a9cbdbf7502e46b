//! `GET /v1/storage`: what takes room on the disk, and what is free.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Result;
use super::state::{AppState, blocking};
use crate::artifacts::room;
use crate::store::Usage;

const LARGEST: u32 = 100;

/// Room on the disk, in bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Storage {
    /// Free where the data directory is; null where that cannot be told.
    free_bytes: Option<u64>,
    /// Of what is free, so much is left for the database alone: less than that is a 507 for files.
    left_for_database_bytes: u64,
    /// The database, with its write-ahead log.
    database_bytes: u64,
    datasets: StorageUsage,
    /// All versions of a name together.
    models: StorageUsage,
    /// Checkpoints and pictures.
    jobs: StorageUsage,
}

/// Things of one kind. A file that several name counts for each.
#[derive(Debug, Serialize, ToSchema)]
pub struct StorageUsage {
    count: i64,
    bytes: i64,
    /// The hundred largest, the largest first.
    largest: Vec<StorageUsed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageUsed {
    /// Id of a data set or job, name of a model.
    id: String,
    name: String,
    bytes: i64,
}

impl From<Usage> for StorageUsage {
    fn from(usage: Usage) -> Self {
        let used = |used: crate::store::Used| StorageUsed {
            id: used.id,
            name: used.name,
            bytes: used.bytes,
        };
        Self {
            count: usage.count,
            bytes: usage.bytes,
            largest: usage.largest.into_iter().map(used).collect(),
        }
    }
}

/// Room on the disk
// What data sets, models and jobs take, by name, and what is free.
#[utoipa::path(get, path = "/v1/storage", operation_id = "get_storage",
    responses((status = 200, description = "What takes room, and what is free", body = Storage)))]
pub async fn storage(app: AppState) -> Result<Json<Storage>> {
    let [datasets, models, jobs] = app.store.usage(LARGEST).await?.map(StorageUsage::from);
    let layout = app.layout.clone();
    let measured = blocking(move || {
        let database = layout.database();
        let files = ["db", "db-wal"].map(|end| std::fs::metadata(database.with_extension(end)));
        let bytes = files.into_iter().flatten().map(|about| about.len()).sum();
        (
            room::free(&layout.root),
            room::left_free(&layout.root),
            bytes,
        )
    });
    let (free_bytes, left_for_database_bytes, database_bytes) = measured.await?;
    Ok(Json(Storage {
        free_bytes,
        left_for_database_bytes,
        database_bytes,
        datasets,
        models,
        jobs,
    }))
}
