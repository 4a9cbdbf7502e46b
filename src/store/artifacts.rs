//! The artifacts that rows name, by digest. The files themselves belong to the module `artifacts`.

use std::collections::HashSet;

use super::db::Conn;
use super::{Result, Store};

impl Store {
    /// The sha256 of every artifact that a row names. A sweep may delete the rest if they are old:
    /// a file that was written a moment ago may be about to be named.
    pub async fn all_artifacts(&self) -> Result<HashSet<String>> {
        let named: Vec<String> = sqlx::query_scalar(
            "SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM model_versions
             UNION SELECT sha256 FROM samples",
        )
        .fetch_all(self.reader())
        .await?;
        Ok(named.into_iter().collect())
    }

    /// Forgets the checkpoints and pictures of these digests, in a copy whose files are not all there.
    pub async fn forget_states(&self, digests: &[String]) -> Result<()> {
        let mut tx = self.write().await?;
        for sha256 in digests {
            for table in [
                "DELETE FROM checkpoints WHERE sha256 = $1",
                "DELETE FROM samples WHERE sha256 = $1",
            ] {
                sqlx::query(table).bind(sha256).execute(&mut *tx).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Whether a row names this artifact now.
    pub async fn is_artifact_named(&self, sha256: &str) -> Result<bool> {
        let mut conn = self.reader().acquire().await?;
        is_named(&mut conn, sha256).await
    }
}

/// Those of `candidates` that no row names, each once.
pub(super) async fn unnamed(conn: &mut Conn, mut candidates: Vec<String>) -> Result<Vec<String>> {
    candidates.sort_unstable();
    candidates.dedup();
    let mut orphans = Vec::new();
    for sha256 in candidates {
        if !is_named(conn, &sha256).await? {
            orphans.push(sha256);
        }
    }
    Ok(orphans)
}

async fn is_named(conn: &mut Conn, sha256: &str) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM checkpoints WHERE sha256 = $1)
             OR EXISTS (SELECT 1 FROM model_versions WHERE sha256 = $1)
             OR EXISTS (SELECT 1 FROM samples WHERE sha256 = $1)",
    )
    .bind(sha256)
    .fetch_one(conn)
    .await?)
}
