//! A worker's claim on a job.

/// What a worker holds while it works. Every write names all three, so a worker presumed dead
/// cannot write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job_id: String,
    pub owner: String,
    /// The fence: each claim of a job has a larger one than the claim before.
    pub token: i64,
}

/// How long a silent worker is believed, how many may die on one job, and how many a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    pub lease_ms: i64,
    /// Workers lost in a row, with no checkpoint in between, before the job is failed.
    pub max_deaths: i64,
    /// Jobs that run on the CPU at once.
    pub on_cpu: i64,
    /// Jobs that run on one GPU at once.
    pub per_gpu: i64,
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            lease_ms: 30_000,
            max_deaths: 5,
            on_cpu: i64::MAX,
            per_gpu: 1,
        }
    }
}
