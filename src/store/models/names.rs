//! The table `models`: one row per name ever published, which remembers the next version's number.
//! A name whose versions are all deleted is no longer listed, yet its numbers are not used again.

use super::{Model, aliases, versions};
use crate::store::artifacts::unnamed;
use crate::store::db::Conn;
use crate::store::page::{Page, rows_for};
use crate::store::{Result, Store, StoreError};

impl Store {
    pub async fn model(&self, name: &str) -> Result<Model> {
        let mut tx = self.read().await?;
        let model = load(&mut tx, name.to_owned()).await?;
        if model.versions.is_empty() {
            Err(no_model(name))
        } else {
            Ok(model)
        }
    }

    /// Newest name first; `after` is the last name of the page before.
    pub async fn list_models(&self, limit: u32, after: Option<&str>) -> Result<Page<Model>> {
        let mut tx = self.read().await?;
        let before = match after {
            None => i64::MAX,
            Some(name) => seq(&mut tx, name).await?,
        };
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM models
             WHERE seq < $1 AND EXISTS (SELECT 1 FROM model_versions v WHERE v.name = models.name)
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(before)
        .bind(rows_for(limit))
        .fetch_all(&mut *tx)
        .await?;
        let names = Page::of(names, limit);
        let mut items = Vec::with_capacity(names.items.len());
        for name in names.items {
            items.push(load(&mut tx, name).await?);
        }
        Ok(Page {
            items,
            has_more: names.has_more,
        })
    }

    /// Removes all versions and aliases of a name. Returns orphans.
    pub async fn delete_model(&self, name: &str) -> Result<Vec<String>> {
        let mut tx = self.write().await?;
        for table in ["alias_moves", "model_aliases"] {
            let delete = format!("DELETE FROM {table} WHERE name = $1");
            sqlx::query(sqlx::AssertSqlSafe(delete))
                .bind(name)
                .execute(&mut *tx)
                .await?;
        }
        let dropped: Vec<String> =
            sqlx::query_scalar("DELETE FROM model_versions WHERE name = $1 RETURNING sha256")
                .bind(name)
                .fetch_all(&mut *tx)
                .await?;
        if dropped.is_empty() {
            return Err(no_model(name));
        }
        let orphans = unnamed(&mut tx, dropped).await?;
        tx.commit().await?;
        Ok(orphans)
    }
}

async fn load(conn: &mut Conn, name: String) -> Result<Model> {
    let versions = versions::of(conn, &name).await?;
    let aliases = aliases::of(conn, &name).await?;
    Ok(Model {
        name,
        aliases,
        versions,
    })
}

async fn seq(conn: &mut Conn, name: &str) -> Result<i64> {
    let seq = sqlx::query_scalar("SELECT seq FROM models WHERE name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await?;
    seq.ok_or_else(|| no_model(name))
}

fn no_model(name: &str) -> StoreError {
    StoreError::no("model", name)
}
