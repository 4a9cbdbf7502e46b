//! The table `model_versions`, and the number of the next version, which the table `models` keeps.

use serde_json::{Map, Value};
use sqlx::Row;

use super::{ModelVersion, NewVersion, Published, aliases};
use crate::jobs::{ModelRef, Selector};
use crate::store::artifacts::unnamed;
use crate::store::columns::{json, json_opt, to_json, to_json_opt};
use crate::store::db::{Conn, DbRow};
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
            Selector::Newest => sqlx::query(NEWEST).bind(name),
            Selector::Version(version) => sqlx::query(NUMBERED).bind(name).bind(version),
            Selector::Alias(alias) => sqlx::query(ALIASED).bind(name).bind(alias),
        };
        let row = query.fetch_optional(self.reader()).await?;
        read(&row.ok_or_else(|| StoreError::no("model", reference))?)
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
        let version = next_version(&mut tx, name).await?;
        sqlx::query(
            "INSERT INTO model_versions (name, version, kind, spec, input_shape, code_shape,
                                         parameters, capabilities, metrics, data, sha256, bytes,
                                         created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(name)
        .bind(version)
        .bind(kind)
        .bind(to_json(&new.spec)?)
        .bind(to_json(&new.input_shape)?)
        .bind(to_json_opt(new.code_shape.as_ref())?)
        .bind(new.parameters)
        .bind(to_json(&new.capabilities)?)
        .bind(to_json(&new.metrics)?)
        .bind(to_json(&new.data)?)
        .bind(&new.sha256)
        .bind(new.bytes)
        .bind(now)
        .execute(&mut *tx)
        .await?;
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

/// Within the transaction that ends the job.
pub(in crate::store) async fn publish(
    conn: &mut Conn,
    job_id: &str,
    new: &NewVersion,
    now: i64,
) -> Result<Published> {
    let name: String = sqlx::query_scalar("SELECT name FROM jobs WHERE id = $1")
        .bind(job_id)
        .fetch_one(&mut *conn)
        .await?;
    let version = next_version(conn, &name).await?;
    sqlx::query(
        "INSERT INTO model_versions (name, version, kind, spec, job_id, dataset, input_shape,
                                     code_shape, parameters, capabilities, metrics, data,
                                     sha256, bytes, created_at)
         SELECT name, $2, kind, $3, id, dataset_name, $4, $5, $6, $7, $8, $9, $10, $11, $12
         FROM jobs WHERE id = $1",
    )
    .bind(job_id)
    .bind(version)
    .bind(to_json(&new.spec)?)
    .bind(to_json(&new.input_shape)?)
    .bind(to_json_opt(new.code_shape.as_ref())?)
    .bind(new.parameters)
    .bind(to_json(&new.capabilities)?)
    .bind(to_json(&new.metrics)?)
    .bind(to_json(&new.data)?)
    .bind(&new.sha256)
    .bind(new.bytes)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(Published { name, version })
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
    let row = sqlx::query(NUMBERED)
        .bind(name)
        .bind(version)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let mut metrics: Map<String, Value> = json(&row, "metrics")?;
    metrics.extend(figures.clone());
    sqlx::query("UPDATE model_versions SET metrics = $1 WHERE name = $2 AND version = $3")
        .bind(to_json(&metrics)?)
        .bind(name)
        .bind(version)
        .execute(conn)
        .await?;
    Ok(())
}

/// All versions of a name, newest first.
pub(super) async fn of(conn: &mut Conn, name: &str) -> Result<Vec<ModelVersion>> {
    let rows = sqlx::query("SELECT * FROM model_versions WHERE name = $1 ORDER BY version DESC")
        .bind(name)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &DbRow) -> Result<ModelVersion> {
    Ok(ModelVersion {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        kind: row.try_get("kind")?,
        spec: json(row, "spec")?,
        job_id: row.try_get("job_id")?,
        dataset: row.try_get("dataset")?,
        input_shape: json(row, "input_shape")?,
        code_shape: json_opt(row, "code_shape")?,
        parameters: row.try_get("parameters")?,
        capabilities: json(row, "capabilities")?,
        metrics: json(row, "metrics")?,
        data: json(row, "data")?,
        sha256: row.try_get("sha256")?,
        bytes: row.try_get("bytes")?,
        created_at: row.try_get("created_at")?,
    })
}
