//! The table `job_transitions`: which states a job has been through, and since when.

use std::collections::HashMap;

use sqlx::Row;

use super::Result;
use super::columns::status;
use super::db::{Conn, QueryBuilder};
use crate::jobs::{Status, Transition};

pub(super) async fn append(conn: &mut Conn, job_id: &str, status: Status, at: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO job_transitions (job_id, position, status, at)
         SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3 FROM job_transitions WHERE job_id = $1",
    )
    .bind(job_id)
    .bind(status.as_str())
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The transitions of several jobs, by job, oldest first.
pub(super) async fn of(
    conn: &mut Conn,
    job_ids: &[&str],
) -> Result<HashMap<String, Vec<Transition>>> {
    let mut by_job: HashMap<String, Vec<Transition>> = HashMap::new();
    if job_ids.is_empty() {
        return Ok(by_job);
    }
    let mut query =
        QueryBuilder::new("SELECT job_id, status, at FROM job_transitions WHERE job_id IN (");
    let mut ids = query.separated(", ");
    for id in job_ids {
        ids.push_bind(*id);
    }
    query.push(") ORDER BY job_id, position");
    for row in query.build().fetch_all(conn).await? {
        let transition = Transition {
            status: status(&row)?,
            at: row.try_get("at")?,
        };
        by_job
            .entry(row.try_get("job_id")?)
            .or_default()
            .push(transition);
    }
    Ok(by_job)
}
