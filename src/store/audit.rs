//! The table `audit`: who did what to what, when, and with which result. It is only ever added to, and its oldest rows
//! are dropped.

use super::columns::insert;
use super::page::{Page, rows_for};
use super::{Result, Store};

/// A line of the audit log. It never holds a body or a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    /// Counts up; 0 for one that is not kept yet.
    pub id: i64,
    pub at: i64,
    pub key_id: Option<String>,
    pub key_name: Option<String>,
    pub address: Option<String>,
    pub request_id: String,
    pub operation: String,
    pub object: Option<String>,
    pub status: i64,
    pub code: Option<String>,
}

impl Store {
    pub async fn insert_audit(&self, row: &AuditRow) -> Result<()> {
        insert!("audit" {
            at: row.at,
            key_id: &row.key_id,
            key_name: &row.key_name,
            address: &row.address,
            request_id: &row.request_id,
            operation: &row.operation,
            object: &row.object,
            status: row.status,
            code: &row.code,
        })
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// Newest first; `before` is the id of the last one of the page before.
    pub async fn list_audit(&self, limit: u32, before: Option<i64>) -> Result<Page<AuditRow>> {
        let rows = sqlx::query_as("SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before.unwrap_or(i64::MAX))
            .bind(rows_for(limit))
            .fetch_all(self.reader())
            .await?;
        Ok(Page::of(rows, limit))
    }

    /// Drops what is older than this, and of the rest all but the newest `most` lines.
    pub async fn prune_audit(&self, before: i64, most: i64) -> Result<u64> {
        let old = "DELETE FROM audit WHERE at < $1 OR id <= (SELECT MAX(id) FROM audit) - $2";
        let deleted = sqlx::query(old)
            .bind(before)
            .bind(most)
            .execute(self.writer()?)
            .await?;
        Ok(deleted.rows_affected())
    }
}
