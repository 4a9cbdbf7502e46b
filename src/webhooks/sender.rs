//! The task in the service that sends what is due. It keeps nothing that the store does not: one that
//! ends in the middle of a request sends that message again in its next life.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::client::{Answer, Client, Message};
use super::secret::Secret;
use crate::clock::now_ms;
use crate::store::{Attempt, Due, Store, Verdict};

/// Requests to one receiver at a time. There is no bound over all of them beyond this times the number
/// of webhooks: with a shared one, receivers that hang would take the places of those that answer.
const EACH: u32 = 2;
/// Workers are processes of their own and cannot knock, so the table is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is nearly there when the service ends need not be sent twice.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// Between two tries to write down what came of an attempt.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Sender {
    pub store: Store,
    pub client: Client,
    pub backoff: Backoff,
    pub draining: watch::Receiver<bool>,
}

/// Requests under way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<()>,
    /// The message and the webhook of each.
    of: HashMap<Id, (String, String)>,
}

impl Flights {
    fn messages(&self) -> HashSet<&str> {
        self.of.values().map(|(id, _)| id.as_str()).collect()
    }

    fn to(&self, webhook: &str) -> usize {
        self.of.values().filter(|(_, to)| to == webhook).count()
    }

    fn land(&mut self, landed: Result<(Id, ()), JoinError>) {
        let id = landed.map_or_else(|error| error.id(), |(id, ())| id);
        self.of.remove(&id);
    }
}

impl Sender {
    /// Sends until draining.
    pub async fn run(mut self) {
        let mut flights = Flights::default();
        while !*self.draining.borrow() {
            self.start_due(&mut flights).await;
            tokio::select! {
                _ = self.draining.wait_for(|draining| *draining) => break,
                Some(landed) = flights.tasks.join_next_with_id() => flights.land(landed),
                () = sleep(LOOK_EVERY) => {}
            }
        }
        let _ = timeout(LAST_MOMENT, async {
            while flights.tasks.join_next().await.is_some() {}
        })
        .await;
    }

    async fn start_due(&self, flights: &mut Flights) {
        let due = match self.store.due_deliveries(EACH, now_ms()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "what is due to webhooks could not be read");
                return;
            }
        };
        for message in due {
            let room = flights.to(&message.webhook_id) < EACH as usize;
            if !room || flights.messages().contains(message.id.as_str()) {
                continue;
            }
            let names = (message.id.clone(), message.webhook_id.clone());
            let (store, client, backoff) = (self.store.clone(), self.client.clone(), self.backoff);
            let task = flights.tasks.spawn(async move {
                let attempt = attempt(&client, backoff, &message).await;
                record(&store, &message, &attempt).await;
            });
            flights.of.insert(task.id(), names);
        }
    }
}

/// Sends a message once, and says what that means for it.
async fn attempt(client: &Client, backoff: Backoff, due: &Due) -> Attempt {
    let secret = match Secret::new(due.secret.clone()) {
        Ok(secret) => secret,
        Err(error) => {
            return Attempt {
                response_status: None,
                error: Some(format!("secret: {error}")),
                verdict: Verdict::Failed,
            };
        }
    };
    let message = Message {
        url: &due.url,
        id: &due.id,
        timestamp: now_ms() / 1000,
        body: &due.body,
        secret: &secret,
    };
    judge(client.post(message).await, due.tries, backoff)
}

fn judge(answer: Answer, tries: u32, backoff: Backoff) -> Attempt {
    let (response_status, error, asked) = match answer {
        Answer::Status {
            status,
            retry_after,
        } => {
            let error = (!(200..300).contains(&status))
                .then(|| format!("the receiver answered with status {status}"));
            (Some(status), error, retry_after)
        }
        Answer::None(error) => (None, Some(error), None),
    };
    let verdict = match (&error, response_status) {
        (None, _) => Verdict::Delivered,
        (Some(_), Some(410)) => Verdict::Gone,
        (Some(_), _) => match backoff.after(tries, asked, chance()) {
            Some(wait) => Verdict::Retry {
                at: now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
            },
            None => Verdict::Failed,
        },
    };
    Attempt {
        response_status,
        error,
        verdict,
    }
}

/// From 0 to 1. Without a source of chance, what failed together comes again together: no more.
fn chance() -> f64 {
    getrandom::u32().map_or(0.0, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}

/// Writes down what came of an attempt, and holds its place until that is done: what is not written down
/// is still due, and would be sent again at once, for as long as the disk is full.
async fn record(store: &Store, due: &Due, attempt: &Attempt) {
    let outcome = match attempt.verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry { .. } => "retry",
        Verdict::Failed | Verdict::Gone => "failed",
    };
    metrics::counter!("latentd_webhook_deliveries_total", "outcome" => outcome).increment(1);
    tracing::debug!(
        delivery = due.id,
        webhook = due.webhook_id,
        outcome,
        error = attempt.error,
        "webhook"
    );
    while let Err(error) = store.record_attempt(&due.id, attempt, now_ms()).await {
        tracing::warn!(%error, delivery = due.id, "what came of a webhook could not be written down");
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, tries: u32) -> Verdict {
        let answer = Answer::Status {
            status,
            retry_after: None,
        };
        judge(answer, tries, Backoff::default()).verdict
    }

    #[test]
    fn two_hundreds_are_success_gone_is_the_end_and_the_rest_is_tried_again() {
        for status in [200, 202, 204, 299] {
            assert_eq!(verdict(status, 0), Verdict::Delivered, "{status}");
        }
        for status in [199, 301, 400, 404, 429, 500, 503] {
            let again = verdict(status, 0);
            assert!(matches!(again, Verdict::Retry { .. }), "{status}");
            assert_eq!(verdict(status, 8), Verdict::Failed, "{status}");
        }
        assert_eq!(verdict(410, 0), Verdict::Gone);
        let none = judge(Answer::None("no route".to_owned()), 0, Backoff::default());
        assert_eq!(
            (none.response_status, none.error.as_deref()),
            (None, Some("no route"))
        );
        assert!(matches!(none.verdict, Verdict::Retry { .. }));
    }
}
