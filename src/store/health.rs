//! Whether the database takes writes: tried once a second by a task of its own, so that whoever asks waits for
//! nothing, and a crowd that asks holds nothing up.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::{Result, Store};

const EVERY: Duration = Duration::from_secs(1);
/// A try that is under way for so long counts as failed.
const LATE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    writes: bool,
}

/// What was seen last.
#[derive(Clone, Debug)]
pub struct Health(watch::Receiver<Seen>);

impl Health {
    pub fn takes_writes(&self) -> bool {
        let seen = *self.0.borrow();
        seen.writes && seen.at.elapsed() < EVERY + LATE
    }
}

/// The task that looks.
pub struct Watch {
    store: Store,
    seen: watch::Sender<Seen>,
}

impl Store {
    /// A task that looks after the database, and what it sees: all well, before it has looked.
    pub fn watch(&self) -> (Watch, Health) {
        let (seen, health) = watch::channel(Seen {
            at: Instant::now(),
            writes: true,
        });
        let store = self.clone();
        (Watch { store, seen }, Health(health))
    }

    /// Takes the write lock and gives it back, on the connection that all writes take.
    async fn try_write(&self) -> Result<()> {
        Ok(self.write().await?.rollback().await?)
    }
}

impl Watch {
    /// Looks for as long as the process runs.
    pub async fn run(self) {
        loop {
            let tried = self.store.try_write().await;
            let (before, writes) = (self.seen.borrow().writes, tried.is_ok());
            match tried {
                Err(error) if before => {
                    let file = self.store.path().display();
                    tracing::error!(%error, %file, "the database takes no writes");
                }
                Ok(()) if !before => tracing::info!("the database takes writes again"),
                _ => {}
            }
            let at = Instant::now();
            self.seen.send_replace(Seen { at, writes });
            sleep(EVERY).await;
        }
    }
}
