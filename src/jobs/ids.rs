//! Identifiers: a prefix that says of what, and a version 7 UUID, so that later ids sort after
//! earlier ones.

use uuid::Uuid;

/// A fresh job id, `job_…`.
pub fn job_id() -> String {
    format!("job_{}", Uuid::now_v7().simple())
}

/// A fresh dataset id, `ds_…`. Its folder is written under this id before the row that names it.
pub fn dataset_id() -> String {
    format!("ds_{}", Uuid::now_v7().simple())
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
}
