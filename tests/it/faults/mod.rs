//! Faults at seeded random moments, with the real binary: after each, no job is lost or succeeds twice, no
//! event is lost or told twice, the database is whole, no file is left over, and the weights are those of
//! a run left alone, to the last bit.
//!
//! `make test-faults` runs LATENTD_FAULT_ROUNDS rounds (200 when not set) from LATENTD_FAULT_SEED; with the
//! other tests a few are run.

mod clock;
mod jobs;
mod strike;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use reqwest::Method;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};

use self::clock::Clock;
use self::strike::Fault;
use crate::fixtures::Arbitrary;
use crate::service::{Service, until};

/// One round of each fault.
const ROUNDS_WITH_THE_OTHER_TESTS: u64 = Fault::ALL.len() as u64;
/// Two workers, so that one may take what the other stands still on; fencing, not killing, is tried.
const FLAGS: [&str; 4] = ["--workers", "2", "--grace-seconds", "60"];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_strikes_nothing_is_lost_and_the_weights_are_the_same() {
    let rounds = number("LATENTD_FAULT_ROUNDS").unwrap_or(ROUNDS_WITH_THE_OTHER_TESTS);
    let seed = number("LATENTD_FAULT_SEED").unwrap_or(1);
    let tools = tempfile::tempdir().expect("a folder");
    let clock = Clock::build(tools.path());
    let environment = clock.as_ref().map(Clock::environment).unwrap_or_default();
    let mut harness = Harness {
        service: Service::with_digits_in(&FLAGS, &environment).await,
        clock,
        moments: Arbitrary(seed),
        alone: BTreeMap::new(),
    };
    let jobs = jobs::all();
    let mut struck = BTreeMap::new();
    for round in 0..rounds {
        // Every fault in turn, families at random: a short run has them all.
        let fault = Fault::ALL[usize::try_from(round).expect("few") % Fault::ALL.len()];
        let (name, job) =
            &jobs[usize::try_from(harness.moments.below(jobs.len() as u64)).expect("few")];
        let began = Instant::now();
        let outcome = harness.round(fault, name, job).await;
        *struck.entry((fault.name(), outcome)).or_insert(0) += 1;
        println!(
            "round {round}: {}, {name}: {outcome} ({:.1} s)",
            fault.name(),
            began.elapsed().as_secs_f64()
        );
    }
    println!("{rounds} rounds from seed {seed}: {struck:?}");
}

struct Harness {
    service: Service,
    clock: Option<Clock>,
    moments: Arbitrary,
    /// Digests of the weights of undisturbed runs.
    alone: BTreeMap<&'static str, String>,
}

impl Harness {
    async fn round(&mut self, fault: Fault, name: &'static str, job: &Value) -> &'static str {
        if !self.alone.contains_key(name) {
            let done = self.service.train(job).await;
            let weights = self.service.weights(&done).await;
            self.alone.insert(name, weights);
        }
        if fault == Fault::FullDisk {
            return self.on_a_small_disk(name, job).await;
        }
        let versions = self.versions(name).await;
        let id = self.service.queue(job).await;
        let seen = self.some_events(&id).await;
        self.moment().await;
        let struck = self.strike(fault, &id).await;
        let done = self.service.succeeded(&id).await;
        self.recover(fault);
        assert_eq!(
            self.service.weights(&done).await,
            self.alone[name],
            "{name}: other weights than undisturbed"
        );
        assert_eq!(
            self.versions(name).await,
            versions + 1,
            "{name}: one success, one version"
        );
        self.check_events(&id, &seen).await;
        self.check_database().await;
        self.check_files().await;
        if struck {
            "survived"
        } else {
            "over before it struck"
        }
    }

    /// Some time after the job has begun to learn: anywhere between two steps or within one.
    async fn moment(&mut self) {
        let wait = Duration::from_millis(self.moments.below(1500));
        tokio::time::sleep(wait).await;
    }

    /// The ids of what a watcher has seen before the fault.
    async fn some_events(&self, id: &str) -> Vec<i64> {
        until("the job to begin", || async {
            let events = self.service.all_events(id).await;
            let begun = events.iter().any(|event| event["kind"] == "phase");
            begun.then(|| {
                events
                    .iter()
                    .filter_map(|event| event["id"].as_i64())
                    .collect()
            })
        })
        .await
    }

    async fn versions(&self, name: &str) -> usize {
        let reply = self.service.get(&format!("/v1/models/{name}")).await;
        match reply.status {
            404 => 0,
            _ => reply.ok(200)["versions"].as_array().expect("a list").len(),
        }
    }

    /// A watcher that comes back with the last id it saw gets what it missed, each event once.
    async fn check_events(&self, id: &str, seen: &[i64]) {
        let all = self.service.all_events(id).await;
        let ids: Vec<i64> = all
            .iter()
            .filter_map(|event| event["id"].as_i64())
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "an event twice");
        assert_eq!(
            seen,
            &ids[..seen.len()],
            "what was told before is told again"
        );
        let last = seen.last().expect("some were seen");
        let request = self
            .service
            .request(Method::GET, &format!("/v1/jobs/{id}/events"))
            .header("accept", "text/event-stream")
            .header("last-event-id", last.to_string());
        let stream = String::from_utf8(self.service.send(request).await.body).expect("text");
        let missed: Vec<i64> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
            .collect();
        assert_eq!(
            missed,
            ids[seen.len()..],
            "the stream tells what was missed"
        );
        let ends = all.iter().filter(|event| event["kind"] == "end").count();
        assert_eq!(
            (ends, &all[all.len() - 1]["kind"]),
            (1, &Value::from("end"))
        );
    }

    async fn check_database(&self) {
        let mut database = open(&self.service.data_dir()).await;
        let found = sqlx::query("PRAGMA integrity_check")
            .fetch_one(&mut database)
            .await;
        let found: String = found.expect("an answer").get(0);
        assert_eq!(found, "ok");
    }

    /// After a sweep the folder holds what rows name, and nothing else.
    async fn check_files(&mut self) {
        let artifacts = self.service.data_dir().join("artifacts");
        // A sweep spares what is young: it may be about to be named.
        for path in files(&artifacts) {
            let old = SystemTime::now() - Duration::from_secs(7 * 24 * 3600);
            if let Ok(file) = File::options().append(true).open(&path) {
                file.set_modified(old).expect("its time can be set");
            }
        }
        self.service.terminate();
        self.service.ended(Duration::from_secs(60)).await;
        self.service.restart().await;
        let mut database = open(&self.service.data_dir()).await;
        let named = "SELECT sha256 FROM checkpoints UNION SELECT sha256 FROM model_versions UNION SELECT sha256 FROM \
            samples";
        let named: HashSet<String> = sqlx::query_scalar(named)
            .fetch_all(&mut database)
            .await
            .expect("an answer")
            .into_iter()
            .collect();
        let there: HashSet<String> = files(&artifacts)
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        assert_eq!(
            there.difference(&named).count(),
            0,
            "files that nothing names: {there:?}"
        );
        assert_eq!(
            named.difference(&there).count(),
            0,
            "rows without their file: {named:?}"
        );
    }
}

async fn open(data_dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(data_dir.join("latentd.db"))
        .busy_timeout(Duration::from_secs(30));
    options.connect().await.expect("the database")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
