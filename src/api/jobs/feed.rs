//! What happens to a job, read from the log once for all who follow it live: a thousand streams that each looked
//! for themselves would keep everyone else from the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::time::sleep;

use crate::store::{Event, EventKind, Store};

const LOOK_EVERY: Duration = Duration::from_millis(100);
const BATCH: u32 = 200;
/// Batches that a follower may be behind; further back, the log itself has them.
const BEHIND: usize = 64;
/// Quiet looks after which the job itself is looked at: it may be gone, with all it had to tell.
const QUIET: u32 = 50;

/// Events that follow one another, and what came before them.
#[derive(Debug)]
pub struct Batch {
    /// The last event before these: who has not read it yet has missed something.
    pub after: i64,
    pub events: Vec<Event>,
}

impl Batch {
    pub fn has_end(&self) -> bool {
        self.events.iter().any(|event| event.kind == EventKind::End)
    }
}

type Feed = Sender<Arc<Batch>>;

/// A handle.
#[derive(Clone)]
pub struct Feeds {
    store: Store,
    by_job: Arc<Mutex<HashMap<String, Feed>>>,
}

impl Feeds {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            by_job: Arc::default(),
        }
    }

    /// What happens to the job from some moment on, which the first batch of a new feed names. Who reads the log
    /// to its end after this call misses nothing. Closed after the `end`, and when the job is gone.
    pub fn follow(&self, job: &str) -> Receiver<Arc<Batch>> {
        let mut by_job = self.lock();
        if let Some(feed) = by_job.get(job) {
            return feed.subscribe();
        }
        let (feed, follower) = channel(BEHIND);
        by_job.insert(job.to_owned(), feed.clone());
        let (feeds, job) = (self.clone(), job.to_owned());
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the job, or when nobody follows it any more"
        )]
        tokio::spawn(async move {
            feeds.tell(&job, &feed).await;
            feeds.close(&job, &feed);
        });
        follower
    }

    /// Tells of the job until there is nothing more to tell, or nobody to tell it to.
    async fn tell(&self, job: &str, feed: &Feed) {
        let Ok(mut after) = self.store.last_event(job).await else {
            return;
        };
        let send = |batch| drop(feed.send(Arc::new(batch)));
        let events = Vec::new();
        send(Batch { after, events });
        let mut quiet = 0;
        while !self.is_left(job, feed) {
            sleep(LOOK_EVERY).await;
            let Ok(page) = self.store.events(job, after, BATCH).await else {
                return;
            };
            let Some(last) = page.events.last().map(|event| event.id) else {
                quiet += 1;
                if quiet % QUIET == 0 && self.is_over(job).await {
                    return;
                }
                continue;
            };
            let batch = Batch {
                after: page.gap.unwrap_or(after),
                events: page.events,
            };
            (after, quiet) = (last, 0);
            let ended = batch.has_end();
            send(batch);
            if ended {
                return;
            }
        }
    }

    async fn is_over(&self, job: &str) -> bool {
        let job = self.store.job(job).await;
        job.map_or(true, |job| job.status.is_terminal())
    }

    /// If nobody follows it, it is closed at once: whoever comes then starts another.
    fn is_left(&self, job: &str, feed: &Feed) -> bool {
        let mut by_job = self.lock();
        let left = feed.receiver_count() == 0;
        if left {
            remove(&mut by_job, job, feed);
        }
        left
    }

    fn close(&self, job: &str, feed: &Feed) {
        remove(&mut self.lock(), job, feed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Feed>> {
        self.by_job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not another feed of the same job.
fn remove(by_job: &mut HashMap<String, Feed>, job: &str, feed: &Feed) {
    if by_job
        .get(job)
        .is_some_and(|known| known.same_channel(feed))
    {
        by_job.remove(job);
    }
}
