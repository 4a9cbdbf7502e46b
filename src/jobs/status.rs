//! The states of a job, as clients read them and as the database keeps them.

use super::words::words;
use crate::train::Directive;

words! {
    /// Where a job stands.
    Status {
        Queued = "queued",
        Running = "running",
        Pausing = "pausing",
        Paused = "paused",
        Canceling = "canceling",
        Succeeded = "succeeded",
        Failed = "failed",
        Canceled = "canceled",
    }
}

impl Status {
    /// What the worker of a job in this state is to do; `stop` says that a client wants the job to end early.
    pub const fn directive(self, stop: bool) -> Directive {
        match self {
            Self::Canceling => Directive::Cancel,
            Self::Pausing => Directive::Release,
            _ if stop => Directive::Stop,
            _ => Directive::Continue,
        }
    }

    /// Whether the job has ended: no move leads out of here.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

words! {
    /// What a job does.
    #[derive(Default)]
    Task {
        #[default]
        Train = "train",
        Evaluate = "evaluate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_same_in_json_and_in_sql() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            let json = serde_json::to_value(status).expect("serialises");
            assert_eq!(json, status.as_str());
        }
        for task in [Task::Train, Task::Evaluate] {
            assert_eq!(Task::parse(task.as_str()), Some(task));
            assert_eq!(
                serde_json::to_value(task).expect("serialises"),
                task.as_str()
            );
        }
        assert_eq!(Status::parse("done"), None);
    }
}
