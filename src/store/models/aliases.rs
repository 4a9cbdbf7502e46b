//! The table `model_aliases`: names for versions, which may be moved.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::versions::no_version;
use crate::store::{Result, Store, StoreError};

impl Store {
    /// Points an alias at a version, wherever it pointed before.
    pub async fn put_alias(&self, name: &str, alias: &str, version: i64) -> Result<()> {
        let put = sqlx::query(
            "INSERT INTO model_aliases (name, alias, version)
             SELECT name, $2, version FROM model_versions WHERE name = $1 AND version = $3
             ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version",
        )
        .bind(name)
        .bind(alias)
        .bind(version)
        .execute(self.writer())
        .await?;
        if put.rows_affected() == 1 {
            Ok(())
        } else {
            Err(no_version(name, version))
        }
    }

    pub async fn delete_alias(&self, name: &str, alias: &str) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM model_aliases WHERE name = $1 AND alias = $2")
            .bind(name)
            .bind(alias)
            .execute(self.writer())
            .await?;
        if deleted.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::no("alias", format_args!("{name}@{alias}")))
        }
    }
}

pub(super) async fn of(conn: &mut SqliteConnection, name: &str) -> Result<BTreeMap<String, i64>> {
    let pairs: Vec<(String, i64)> =
        sqlx::query_as("SELECT alias, version FROM model_aliases WHERE name = $1")
            .bind(name)
            .fetch_all(conn)
            .await?;
    Ok(pairs.into_iter().collect())
}

/// An alias that names this version, if there is one.
pub(super) async fn pointing_at(
    conn: &mut SqliteConnection,
    name: &str,
    version: i64,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar(
        "SELECT alias FROM model_aliases WHERE name = $1 AND version = $2 ORDER BY alias LIMIT 1",
    )
    .bind(name)
    .bind(version)
    .fetch_optional(conn)
    .await?)
}
