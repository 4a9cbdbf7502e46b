//! The table of legal moves. Every change of a job's status, anywhere, is one lookup here.

use thiserror::Error;

use super::Status;

/// What may be done to a job. `Cancel` is a client's; the others are the workers' and their
/// supervisor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// A worker takes the job: from the queue, or from a worker that was lost.
    Claim,
    /// A worker that is shutting down gives the job back.
    Release,
    /// A client wants the job gone.
    Cancel,
    /// The worker has stopped, as it was told to.
    FinishCancel,
    Succeed,
    Fail,
    /// The worker was lost: its lease ran out, or its process ended.
    Expire,
}

impl Move {
    pub const ALL: [Self; 7] = [
        Self::Claim,
        Self::Release,
        Self::Cancel,
        Self::FinishCancel,
        Self::Succeed,
        Self::Fail,
        Self::Expire,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::FinishCancel => "finish_cancel",
            Self::Succeed => "succeed",
            Self::Fail => "fail",
            Self::Expire => "expire",
        }
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
pub fn apply(from: Status, mv: Move) -> Result<Status, TransitionError> {
    use Status::{Canceled, Canceling, Failed, Paused, Pausing, Queued, Running, Succeeded};
    match (mv, from) {
        (Move::Claim, Queued | Running) | (Move::Expire, Running) => Ok(Running),
        (Move::Release, Running) => Ok(Queued),
        (Move::Cancel, Running | Pausing | Canceling) => Ok(Canceling),
        (Move::Cancel, Queued | Paused)
        | (Move::Release | Move::FinishCancel | Move::Fail | Move::Expire, Canceling) => {
            Ok(Canceled)
        }
        (Move::Succeed, Running) => Ok(Succeeded),
        (Move::Fail, Running) => Ok(Failed),
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
        return "it has ended, and no move is open".to_owned();
    }
    let open: Vec<&str> = open_moves(from).map(Move::as_str).collect();
    format!("open moves are {}", open.join(", "))
}

#[cfg(test)]
mod tests {
    use super::Status::*;
    use super::*;

    /// Every legal move, written out a second time as a list: all other pairs must be refused.
    const LEGAL: [(Status, Move, Status); 15] = [
        (Queued, Move::Claim, Running),
        (Queued, Move::Cancel, Canceled),
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
            "cannot cancel a job that is succeeded: it has ended, and no move is open"
        );
        assert_eq!(
            refusal(Queued, Move::Succeed),
            "cannot succeed a job that is queued: open moves are claim, cancel"
        );
    }
}
