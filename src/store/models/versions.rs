//! The table `model_versions`, and the number of the next version, which the table `models` keeps.

use serde_json::{Map, Value};
use sqlx::types::Json;

use super::{ModelVersion, NewVersion, Published, aliases};
use crate::document::Warning;
use crate::jobs::{ModelRef, Selector};
use crate::store::artifacts::unnamed;
use crate::store::columns::insert;
use crate::store::db::Conn;
use crate::store::{Result, Store, StoreError};

const NEWEST: &str = "SELECT * FROM model_versions WHERE name = $1 ORDER BY version DESC LIMIT 1";
const NUMBERED: &str = "SELECT * FROM model_versions WHERE name = $1 AND version = $2";
const ALIASED: &str = "SELECT v.* FROM model_aliases a
                       JOIN model_versions v ON v.name = a.name AND v.version = a.version
                       WHERE a.name = $1 AND a.alias = $2";

impl Store {
    pub async fn model_version(&self, reference: &ModelRef) -> Result<ModelVersion> {
        let name = &reference.name;
        let query = match &reference.selector {
            Selector::Newest => sqlx::query_as(NEWEST).bind(name),
            Selector::Version(version) => sqlx::query_as(NUMBERED).bind(name).bind(version),
            Selector::Alias(alias) => sqlx::query_as(ALIASED).bind(name).bind(alias),
        };
        let found = query.fetch_optional(self.reader()).await?;
        found.ok_or_else(|| StoreError::no("model", reference))
    }

    /// Publishes a version that no job has trained; answers its number.
    pub async fn import_version(
        &self,
        name: &str,
        kind: &str,
        new: &NewVersion,
        now: i64,
    ) -> Result<i64> {
        let mut tx = self.write().await?;
        let origin = Origin {
            name: name.to_owned(),
            kind: kind.to_owned(),
            job_id: None,
            dataset: None,
        };
        let version = insert(&mut tx, &origin, new, new.provenance.clone(), now).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Name and number of every version, in order of the names, the newest first.
    pub async fn version_numbers(&self) -> Result<Vec<(String, i64)>> {
        let query = "SELECT name, version FROM model_versions ORDER BY name, version DESC";
        Ok(sqlx::query_as(query).fetch_all(self.reader()).await?)
    }

    /// Refused while an alias points at it. Returns orphans.
    pub async fn delete_model_version(&self, name: &str, version: i64) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        if let Some(alias) = aliases::pointing_at(&mut tx, name, version).await? {
            let text = format!("version {version} of model \"{name}\" has the alias \"{alias}\"");
            return Err(StoreError::Conflict(text));
        }
        let dropped: Vec<String> = sqlx::query_scalar(
            "DELETE FROM model_versions WHERE name = $1 AND version = $2 RETURNING sha256",
        )
        .bind(name)
        .bind(version)
        .fetch_all(&mut *tx)
        .await?;
        if dropped.is_empty() {
            return Err(StoreError::no("model", format_args!("{name}:{version}")));
        }
        let orphans = unnamed(&mut tx, dropped).await?;
        tx.commit().await?;
        Ok(orphans)
    }
}

/// Under which name a version is published, and where it comes from.
#[derive(sqlx::FromRow)]
struct Origin {
    name: String,
    kind: String,
    job_id: Option<String>,
    dataset: Option<String>,
}

/// How a version was made, as its job knows it.
#[derive(sqlx::FromRow)]
struct Made {
    training: Value,
    init_from: Option<Value>,
    metadata: Value,
    #[sqlx(json)]
    warnings: Vec<Warning>,
    /// None where the data set is gone.
    dataset_sha256: Option<String>,
}

impl Made {
    fn with(self, new: &NewVersion) -> Map<String, Value> {
        let mut warnings = self.warnings;
        warnings.extend(new.warnings.iter().cloned());
        let own = [
            ("training", self.training),
            ("init_from", self.init_from.into()),
            ("dataset_sha256", self.dataset_sha256.into()),
            ("metadata", self.metadata),
            (
                "warnings",
                serde_json::to_value(warnings).unwrap_or_default(),
            ),
        ];
        let own = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        own.chain(new.provenance.clone()).collect()
    }
}

/// Within the transaction that ends the job.
pub(in crate::store) async fn publish(
    conn: &mut Conn,
    job_id: &str,
    new: &NewVersion,
    now: i64,
) -> Result<Published> {
    let origin: Origin = sqlx::query_as(
        "SELECT name, kind, id AS job_id, dataset_name AS dataset FROM jobs WHERE id = $1",
    )
    .bind(job_id)
    .fetch_one(&mut *conn)
    .await?;
    let made: Made = sqlx::query_as(
        "SELECT training, init_from, metadata, warnings,
            (SELECT sha256 FROM datasets WHERE id = dataset_id) AS dataset_sha256
         FROM jobs WHERE id = $1",
    )
    .bind(job_id)
    .fetch_one(&mut *conn)
    .await?;
    let provenance = made.with(new);
    let version = insert(conn, &origin, new, provenance, now).await?;
    let name = origin.name;
    Ok(Published { name, version })
}

/// Adds the next version under a name; its number.
async fn insert(
    conn: &mut Conn,
    origin: &Origin,
    new: &NewVersion,
    provenance: Map<String, Value>,
    now: i64,
) -> Result<i64> {
    let version = next_version(conn, &origin.name).await?;
    insert!("model_versions" {
        name: &origin.name,
        version: version,
        kind: &origin.kind,
        spec: &new.spec,
        job_id: &origin.job_id,
        dataset: &origin.dataset,
        input_shape: Json(&new.input_shape),
        code_shape: new.code_shape.as_ref().map(Json),
        parameters: new.parameters,
        capabilities: Json(&new.capabilities),
        metrics: Json(&new.metrics),
        data: &new.data,
        sha256: &new.sha256,
        bytes: new.bytes,
        provenance: Json(provenance),
        created_at: now,
    })
    .execute(conn)
    .await?;
    Ok(version)
}

/// Hands out the next version's number: 1, 2, 3, and never one of them again.
async fn next_version(conn: &mut Conn, name: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "INSERT INTO models (name, next_version) VALUES ($1, 2)
         ON CONFLICT (name) DO UPDATE SET next_version = models.next_version + 1
         RETURNING next_version - 1",
    )
    .bind(name)
    .fetch_one(conn)
    .await?)
}

/// Figures of an evaluation, beside those that the version has. Nothing if it was deleted.
pub(in crate::store) async fn add_metrics(
    conn: &mut Conn,
    (name, version): (&str, i64),
    figures: &Map<String, Value>,
) -> Result<()> {
    let found: Option<ModelVersion> = sqlx::query_as(NUMBERED)
        .bind(name)
        .bind(version)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(ModelVersion { mut metrics, .. }) = found else {
        return Ok(());
    };
    metrics.extend(figures.clone());
    sqlx::query("UPDATE model_versions SET metrics = $1 WHERE name = $2 AND version = $3")
        .bind(Json(&metrics))
        .bind(name)
        .bind(version)
        .execute(conn)
        .await?;
    Ok(())
}

/// All versions of a name, newest first.
pub(super) async fn of(conn: &mut Conn, name: &str) -> Result<Vec<ModelVersion>> {
    let query = "SELECT * FROM model_versions WHERE name = $1 ORDER BY version DESC";
    Ok(sqlx::query_as(query).bind(name).fetch_all(conn).await?)
}
