//! The table of legal moves. Every change of a job's status, anywhere, is one lookup here.

use thiserror::Error;

use super::Status;
use super::words::words;

words! {
    /// What may be done to a job. The first four are a client's; the others are the workers' and their
    /// supervisor's.
    Move {
        /// A client wants the job gone.
        Cancel = "cancel",
        /// A client wants it to keep its place in training and give up the machine.
        Pause = "pause",
        /// A client wants a paused job to go on.
        Resume = "resume",
        /// A client wants it to end now, and what is trained to be published.
        Stop = "stop",
        /// A worker takes the job: from the queue, or from a worker that was lost.
        Claim = "claim",
        /// A worker gives the job back, its checkpoint written: it is shutting down, or was told to.
        Release = "release",
        /// The worker has stopped, as it was told to.
        FinishCancel = "finish_cancel",
        Succeed = "succeed",
        Fail = "fail",
        /// The worker was lost: its lease ran out, or its process ended.
        Expire = "expire",
    }
}

impl Move {
    /// Whether a client may ask for it.
    const fn is_a_clients(self) -> bool {
        matches!(self, Self::Cancel | Self::Pause | Self::Resume | Self::Stop)
    }
}

/// A move that the job's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot {} a job that is {from}: {}", .attempted.as_str(), ways_out(*.from))]
pub struct TransitionError {
    pub from: Status,
    pub attempted: Move,
}

/// Where `mv` leads from `from`.
///
/// Two moves from `canceling` deserve a word. `Succeed` is refused: the client asked for the result
/// to be discarded, so nothing may be published. `Fail` ends as `canceled`: an error on the way out
/// changes nothing for the client.
///
/// A job that is `pausing` and succeeds before its worker has heard of it has succeeded; one whose
/// worker was lost is `paused` at its last checkpoint. `Resume` takes back a pause that has not come
/// about: the worker may have left already, and then another goes on. `Stop` of a job that no worker
/// has sends it to the queue, for a worker to publish its checkpoint.
pub fn apply(from: Status, mv: Move) -> Result<Status, TransitionError> {
    use Status::{Canceled, Canceling, Failed, Paused, Pausing, Queued, Running, Succeeded};
    match (mv, from) {
        (Move::Claim, Queued | Running)
        | (Move::Expire, Running)
        | (Move::Resume, Pausing)
        | (Move::Stop, Running | Pausing) => Ok(Running),
        (Move::Release, Running) | (Move::Resume, Paused) | (Move::Stop, Queued | Paused) => {
            Ok(Queued)
        }
        (Move::Pause, Running | Pausing) => Ok(Pausing),
        (Move::Pause, Queued) | (Move::Release | Move::Expire, Pausing) => Ok(Paused),
        (Move::Cancel, Running | Pausing | Canceling) => Ok(Canceling),
        (Move::Cancel, Queued | Paused)
        | (Move::Release | Move::FinishCancel | Move::Fail | Move::Expire, Canceling) => {
            Ok(Canceled)
        }
        (Move::Succeed, Running | Pausing) => Ok(Succeeded),
        (Move::Fail, Running | Pausing) => Ok(Failed),
        _ => Err(TransitionError {
            from,
            attempted: mv,
        }),
    }
}

/// The moves that `from` allows.
pub fn open_moves(from: Status) -> impl Iterator<Item = Move> {
    Move::ALL
        .into_iter()
        .filter(move |mv| apply(from, *mv).is_ok())
}

fn ways_out(from: Status) -> String {
    if from.is_terminal() {
        return "it has ended; retry makes a new job of it".to_owned();
    }
    let open = open_moves(from).filter(|mv| mv.is_a_clients());
    let open: Vec<&str> = open.map(Move::as_str).collect();
    format!("open moves are {}", open.join(", "))
}

#[cfg(test)]
mod tests {
    use super::Status::*;
    use super::*;

    /// Every legal move, written out a second time as a list: all other pairs must be refused.
    const LEGAL: [(Status, Move, Status); 28] = [
        (Queued, Move::Claim, Running),
        (Queued, Move::Cancel, Canceled),
        (Queued, Move::Pause, Paused),
        (Queued, Move::Stop, Queued),
        (Running, Move::Pause, Pausing),
        (Running, Move::Stop, Running),
        (Pausing, Move::Pause, Pausing),
        (Pausing, Move::Resume, Running),
        (Pausing, Move::Stop, Running),
        (Pausing, Move::Release, Paused),
        (Pausing, Move::Expire, Paused),
        (Pausing, Move::Succeed, Succeeded),
        (Pausing, Move::Fail, Failed),
        (Paused, Move::Resume, Queued),
        (Paused, Move::Stop, Queued),
        (Running, Move::Claim, Running),
        (Running, Move::Release, Queued),
        (Running, Move::Cancel, Canceling),
        (Running, Move::Succeed, Succeeded),
        (Running, Move::Fail, Failed),
        (Running, Move::Expire, Running),
        (Pausing, Move::Cancel, Canceling),
        (Paused, Move::Cancel, Canceled),
        (Canceling, Move::Cancel, Canceling),
        (Canceling, Move::Release, Canceled),
        (Canceling, Move::FinishCancel, Canceled),
        (Canceling, Move::Fail, Canceled),
        (Canceling, Move::Expire, Canceled),
    ];

    #[test]
    fn all_pairs() {
        for from in Status::ALL {
            for mv in Move::ALL {
                let wanted = LEGAL
                    .iter()
                    .find(|(f, m, _)| (*f, *m) == (from, mv))
                    .map(|row| row.2);
                assert_eq!(apply(from, mv).ok(), wanted, "{from} {}", mv.as_str());
            }
        }
    }

    #[test]
    fn nothing_leaves_a_terminal_state_and_cancel_is_open_until_then() {
        for from in Status::ALL {
            assert_eq!(open_moves(from).next().is_none(), from.is_terminal());
            assert_eq!(apply(from, Move::Cancel).is_ok(), !from.is_terminal());
        }
    }

    #[test]
    fn the_refusal_says_where_the_job_stands_and_what_is_open() {
        let refusal = |from, mv| apply(from, mv).expect_err("refused").to_string();
        assert_eq!(
            refusal(Succeeded, Move::Cancel),
            "cannot cancel a job that is succeeded: it has ended; retry makes a new job of it"
        );
        assert_eq!(
            refusal(Queued, Move::Resume),
            "cannot resume a job that is queued: open moves are cancel, pause, stop"
        );
    }
}
