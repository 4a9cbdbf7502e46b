//! Identifiers: a prefix that says of what, and a version 7 UUID, so that later ids sort after
//! earlier ones.

use thiserror::Error;
use uuid::Uuid;

use super::{NameError, check_name};

/// A fresh job id, `job_…`.
pub fn job_id() -> String {
    format!("job_{}", Uuid::now_v7().simple())
}

/// Why a client's text cannot be a job's id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JobIdError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("an id must not begin with \"job_\": such ids are the server's")]
    Reserved,
}

/// Whether a client may name a job so: as any name, but not as the server names jobs.
pub fn check_job_id(text: &str) -> Result<(), JobIdError> {
    check_name(text)?;
    if text.starts_with("job_") {
        return Err(JobIdError::Reserved);
    }
    Ok(())
}

/// A fresh dataset id, `ds_…`. Its folder is written under this id before the row that names it.
pub fn dataset_id() -> String {
    format!("ds_{}", Uuid::now_v7().simple())
}

/// A fresh webhook id, `wh_…`.
pub fn webhook_id() -> String {
    format!("wh_{}", Uuid::now_v7().simple())
}

/// A fresh id of a webhook's delivery, `msg_…`: every attempt to deliver it carries the same.
pub fn delivery_id() -> String {
    format!("msg_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_process_sort_by_age() {
        let ids: Vec<String> = (0..1000).map(|_| dataset_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(job_id().starts_with("job_"));
    }

    #[test]
    fn a_client_names_jobs_as_anything_else_but_not_as_the_server_does() {
        assert_eq!(check_job_id("nightly-2.1"), Ok(()));
        assert_eq!(check_job_id("job_1"), Err(JobIdError::Reserved));
        assert_eq!(check_job_id(&job_id()), Err(JobIdError::Reserved));
        assert!(matches!(check_job_id("a/b"), Err(JobIdError::Name(_))));
    }
}
