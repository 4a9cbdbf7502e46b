//! The faults, and how each is brought about.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sqlx::Executor;

use super::{FLAGS, Harness, open};
use crate::process::{signal, workers_of};
use crate::service::{Service, until};
use crate::small_disk::SmallDisk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the worker.
    KilledWorker,
    /// The worker stands still past its lease, and then goes on: it may write nothing any more.
    StoppedWorker,
    /// `kill -9` of the service, workers and all.
    KilledService,
    /// The newest checkpoint is cut short or has a bit turned, and the worker is killed.
    DamagedCheckpoint,
    /// Another process keeps the database locked for some seconds.
    BusyDatabase,
    /// The wall clock is set an hour ahead or back.
    MovedClock,
    /// The disk is full for a while.
    FullDisk,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::KilledWorker,
        Self::StoppedWorker,
        Self::KilledService,
        Self::DamagedCheckpoint,
        Self::BusyDatabase,
        Self::MovedClock,
        Self::FullDisk,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KilledWorker => "killed worker",
            Self::StoppedWorker => "stopped worker",
            Self::KilledService => "killed service",
            Self::DamagedCheckpoint => "damaged checkpoint",
            Self::BusyDatabase => "busy database",
            Self::MovedClock => "moved clock",
            Self::FullDisk => "full disk",
        }
    }
}

impl Harness {
    /// Says whether there was anything to strike: a short job may be over.
    pub async fn strike(&mut self, fault: Fault, id: &str) -> bool {
        match fault {
            Fault::KilledWorker => self.service.kill_worker() > 0,
            Fault::StoppedWorker => self.stand_still(id).await,
            Fault::KilledService => {
                self.service.kill();
                self.service.restart().await;
                true
            }
            Fault::DamagedCheckpoint => self.damage(id).await,
            Fault::BusyDatabase => self.lock_the_database().await,
            Fault::MovedClock => self.move_the_clock(id).await,
            Fault::FullDisk => false,
        }
    }

    pub fn recover(&self, fault: Fault) {
        if let (Fault::MovedClock, Some(clock)) = (fault, &self.clock) {
            clock.set(0);
        }
    }

    async fn stand_still(&self, id: &str) -> bool {
        let Some(&worker) = workers_of(self.service.pid()).first() else {
            return false;
        };
        if !signal(worker, "STOP") {
            return false;
        }
        // Until another has the job, or it turns out that this one had nothing left to do.
        let another = until("another worker", || async {
            let job = self.service.job(id).await;
            let over = !job["finished_at"].is_null();
            (over || job["attempt"].as_i64() > Some(1)).then_some(!over)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal(worker, "CONT");
        another
    }

    /// The checkpoint before is used; without one the job starts over.
    async fn damage(&mut self, id: &str) -> bool {
        let path = format!("/v1/jobs/{id}/checkpoints");
        let list = self.service.get(&path).await.ok(200);
        let Some(sha256) = list["data"][0]["sha256"].as_str() else {
            return self.service.kill_worker() > 0;
        };
        // Stopped first: it could write the next checkpoint, or end, in between.
        let workers = workers_of(self.service.pid());
        for &worker in &workers {
            signal(worker, "STOP");
        }
        let running = self.service.job(id).await["finished_at"].is_null();
        if running && let Some(file) = self.artifact(sha256) {
            let length = file.metadata().map_or(0, |about| about.len());
            let at = self.moments.below(length.max(1));
            if self.moments.below(2) == 0 {
                let writable = File::options().write(true).open(&file).expect("the file");
                writable.set_len(at).expect("it can be cut");
            } else {
                turn_a_bit(&file, at);
            }
        }
        for worker in workers {
            signal(worker, "KILL");
        }
        running
    }

    fn artifact(&self, sha256: &str) -> Option<PathBuf> {
        super::files(&self.service.data_dir().join("artifacts"))
            .into_iter()
            .find(|path| path.file_stem().is_some_and(|stem| stem == sha256))
    }

    async fn lock_the_database(&mut self) -> bool {
        let seconds = 1 + self.moments.below(5);
        let mut other = open(&self.service.data_dir()).await;
        other.execute("BEGIN IMMEDIATE").await.expect("the lock");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        // What only reads is answered meanwhile.
        self.service.get("/livez").await.expect(200);
        other.execute("ROLLBACK").await.expect("unlocked");
        true
    }

    async fn move_the_clock(&mut self, id: &str) -> bool {
        let ahead = self.moments.below(2) == 0;
        let Some(clock) = &self.clock else {
            println!("SKIPPED: there is no C compiler to make a clock with");
            return false;
        };
        clock.set(if ahead { 3600 } else { -3600 });
        tokio::time::sleep(Duration::from_millis(self.moments.below(1000))).await;
        // Whatever the clock says, a worker that is gone is missed.
        self.service.kill_worker();
        self.service.job(id).await["finished_at"].is_null()
    }

    /// On a file system of its own. The job waits for room, and goes on.
    pub async fn on_a_small_disk(&mut self, name: &'static str, job: &Value) -> &'static str {
        let Some(disk) = SmallDisk::mount() else {
            println!("SKIPPED: no file system can be mounted here");
            return "skipped";
        };
        let data_dir = disk.path().join("data");
        let service = Service::with_digits_on(&FLAGS, &data_dir).await;
        let id = service.queue(job).await;
        until("the job to begin", || async {
            let begun = !service.job(&id).await["phase"].is_null();
            let over = !service.job(&id).await["finished_at"].is_null();
            (begun || over).then_some(())
        })
        .await;
        self.moment().await;
        let ballast = disk.fill();
        tokio::time::sleep(Duration::from_millis(500 + self.moments.below(3000))).await;
        service.get("/livez").await.expect(200);
        service.job(&id).await;
        fs::remove_file(ballast).expect("room again");
        let job = service.succeeded(&id).await;
        assert_eq!(
            service.weights(&job).await,
            self.alone[name],
            "{name}: other weights than undisturbed"
        );
        drop(service);
        "survived"
    }
}

fn turn_a_bit(path: &Path, at: u64) {
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).expect("its length");
    file.read_exact(&mut byte).expect("a byte");
    byte[0] ^= 1;
    file.seek(SeekFrom::Start(at)).expect("its length");
    file.write_all(&byte).expect("a byte");
}
