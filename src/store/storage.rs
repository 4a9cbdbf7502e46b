//! What takes room on the disk, as the rows say: data sets, models and the states of jobs.

use super::{Result, Store};

/// Things of one kind: how many, their bytes, and the largest of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub count: i64,
    pub bytes: i64,
    pub largest: Vec<Used>,
}

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Used {
    pub id: String,
    pub name: String,
    pub bytes: i64,
}

/// A query that names things with their bytes.
const DATASETS: &str = "SELECT id, name, bytes FROM datasets";
const MODELS: &str =
    "SELECT name AS id, name, SUM(bytes) AS bytes FROM model_versions GROUP BY name";
const JOBS: &str = "SELECT j.id, j.name, SUM(f.bytes) AS bytes FROM jobs j
    JOIN (SELECT job_id, bytes FROM checkpoints UNION ALL SELECT job_id, bytes FROM samples) f ON f.job_id = j.id
    GROUP BY j.id, j.name";

impl Store {
    /// Data sets, models, and the checkpoints and pictures of jobs. A file that several name counts for each.
    pub async fn usage(&self, largest: u32) -> Result<[Usage; 3]> {
        let mut found = [const { None }; 3];
        let mut tx = self.read().await?;
        for (usage, query) in found.iter_mut().zip([DATASETS, MODELS, JOBS]) {
            let sum = format!("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM ({query})");
            let (count, bytes) = sqlx::query_as(sqlx::AssertSqlSafe(sum))
                .fetch_one(&mut *tx)
                .await?;
            let list = format!("SELECT * FROM ({query}) ORDER BY bytes DESC, id LIMIT $1");
            let largest = sqlx::query_as(sqlx::AssertSqlSafe(list))
                .bind(i64::from(largest))
                .fetch_all(&mut *tx)
                .await?;
            *usage = Some(Usage {
                count,
                bytes,
                largest,
            });
        }
        Ok(found.map(Option::unwrap_or_default))
    }
}
