//! The table `api_keys`: who may do what.

use sqlx::types::Json;

use super::columns::insert;
use super::db::Conn;
use super::page::{Page, rows_for};
use super::{Result, Store, StoreError};
use crate::keys::{Grant, Key};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    name: String,
    hash: Vec<u8>,
    #[sqlx(json)]
    granted: Grant,
    created_by: Option<String>,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            hash: row.hash,
            grant: row.granted,
            created_by: row.created_by,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl Store {
    /// Names are used once, so that the audit log is clear.
    pub async fn insert_key(&self, key: &Key) -> Result<()> {
        let inserted = insert!("api_keys" {
            id: &key.id,
            name: &key.name,
            hash: &key.hash,
            granted: Json(&key.grant),
            created_by: &key.created_by,
            created_at: key.created_at,
        } "ON CONFLICT (name) DO NOTHING")
        .execute(self.writer()?)
        .await?;
        match inserted.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Conflict(format!(
                "a key named \"{}\" exists",
                key.name
            ))),
        }
    }

    /// All of them: there are few, and every request is held against them.
    pub async fn keys(&self) -> Result<Vec<Key>> {
        let rows: Vec<KeyRow> = sqlx::query_as("SELECT * FROM api_keys ORDER BY id DESC")
            .fetch_all(self.reader())
            .await?;
        Ok(rows.into_iter().map(Key::from).collect())
    }

    /// Newest first; `after` is the id of the last one of the page before, which may be gone by now.
    pub async fn list_keys(&self, limit: u32, after: Option<&str>) -> Result<Page<Key>> {
        let rows: Vec<KeyRow> = sqlx::query_as(
            "SELECT * FROM api_keys WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(after)
        .bind(rows_for(limit))
        .fetch_all(self.reader())
        .await?;
        Ok(Page::of(rows.into_iter().map(Key::from).collect(), limit))
    }

    /// By id or name.
    pub async fn key(&self, reference: &str) -> Result<Key> {
        let row: Option<KeyRow> = sqlx::query_as(
            "SELECT * FROM api_keys WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1",
        )
        .bind(reference)
        .fetch_optional(self.reader())
        .await?;
        row.map(Key::from)
            .ok_or_else(|| StoreError::no("key", reference))
    }

    /// What was made with it stays.
    pub async fn delete_key(&self, id: &str) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM api_keys WHERE id = $1")
            .bind(id)
            .execute(self.writer()?)
            .await?;
        match deleted.rows_affected() {
            0 => Err(StoreError::no("key", id)),
            _ => Ok(()),
        }
    }

    /// Notes when keys were last used: of each its id and the time.
    pub async fn touch_keys(&self, used: &[(String, i64)]) -> Result<()> {
        let mut tx = self.write().await?;
        for (id, at) in used {
            sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
                .bind(id)
                .bind(at)
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Jobs of this key that have not ended.
    pub async fn open_jobs_of_key(&self, id: &str) -> Result<i64> {
        let mut conn = self.reader().acquire().await?;
        open_jobs_of(&mut conn, id).await
    }

    /// Bytes of the data sets that were uploaded with this key.
    pub async fn bytes_of_key(&self, id: &str) -> Result<i64> {
        let mut conn = self.reader().acquire().await?;
        bytes_of(&mut conn, id).await
    }
}

pub(super) async fn open_jobs_of(conn: &mut Conn, id: &str) -> Result<i64> {
    let query = "SELECT COUNT(*) FROM jobs WHERE key_id = $1
        AND status NOT IN ('succeeded', 'failed', 'canceled')";
    let count = sqlx::query_scalar(query).bind(id);
    Ok(count.fetch_one(conn).await?)
}

pub(super) async fn bytes_of(conn: &mut Conn, id: &str) -> Result<i64> {
    let query = "SELECT COALESCE(SUM(bytes), 0) FROM datasets WHERE key_id = $1";
    let sum = sqlx::query_scalar(query).bind(id);
    Ok(sum.fetch_one(conn).await?)
}
