//! The table `model_aliases`: names for versions, which may be moved.

use std::collections::BTreeMap;

use crate::store::db::Conn;
use crate::store::{Result, Store, StoreError};

impl Store {
    /// Points an alias at a version, wherever it pointed before.
    pub async fn put_alias(&self, name: &str, alias: &str, version: i64, now: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let put = sqlx::query(
            "INSERT INTO model_aliases (name, alias, version)
             SELECT name, $2, version FROM model_versions WHERE name = $1 AND version = $3
             ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version",
        )
        .bind(name)
        .bind(alias)
        .bind(version)
        .execute(&mut *tx)
        .await?;
        if put.rows_affected() != 1 {
            return Err(StoreError::no("model", format_args!("{name}:{version}")));
        }
        note(&mut tx, name, alias, Some(version), now).await?;
        Ok(tx.commit().await?)
    }

    pub async fn delete_alias(&self, name: &str, alias: &str, now: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let deleted = sqlx::query("DELETE FROM model_aliases WHERE name = $1 AND alias = $2")
            .bind(name)
            .bind(alias)
            .execute(&mut *tx)
            .await?;
        if deleted.rows_affected() != 1 {
            return Err(StoreError::no("alias", format_args!("{name}@{alias}")));
        }
        note(&mut tx, name, alias, None, now).await?;
        Ok(tx.commit().await?)
    }

    /// Where an alias pointed, the latest first; what is older than a hundred moves is forgotten.
    pub async fn alias_moves(&self, name: &str, alias: &str) -> Result<Vec<AliasMove>> {
        Ok(sqlx::query_as(
            "SELECT version, at FROM alias_moves WHERE name = $1 AND alias = $2 ORDER BY seq DESC",
        )
        .bind(name)
        .bind(alias)
        .fetch_all(self.reader())
        .await?)
    }
}

/// A turn in an alias's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct AliasMove {
    /// None: it was removed.
    pub version: Option<i64>,
    pub at: i64,
}

/// Moves that are kept of each alias.
const KEPT: i64 = 100;

async fn note(
    conn: &mut Conn,
    name: &str,
    alias: &str,
    version: Option<i64>,
    now: i64,
) -> Result<()> {
    sqlx::query("INSERT INTO alias_moves (name, alias, version, at) VALUES ($1, $2, $3, $4)")
        .bind(name)
        .bind(alias)
        .bind(version)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM alias_moves WHERE name = $1 AND alias = $2 AND seq <=
         (SELECT seq FROM alias_moves WHERE name = $1 AND alias = $2
          ORDER BY seq DESC LIMIT 1 OFFSET $3)",
    )
    .bind(name)
    .bind(alias)
    .bind(KEPT)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn of(conn: &mut Conn, name: &str) -> Result<BTreeMap<String, i64>> {
    let pairs: Vec<(String, i64)> =
        sqlx::query_as("SELECT alias, version FROM model_aliases WHERE name = $1")
            .bind(name)
            .fetch_all(conn)
            .await?;
    Ok(pairs.into_iter().collect())
}

/// An alias that names this version, if there is one.
pub(super) async fn pointing_at(
    conn: &mut Conn,
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
