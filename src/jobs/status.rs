//! The states of a job, as clients read them and as the database keeps them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::train::Directive;

/// Where a job stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Queued,
    Running,
    Pausing,
    Paused,
    Canceling,
    Succeeded,
    Failed,
    Canceled,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Canceling,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Canceling => "canceling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

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

/// What a job does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    #[default]
    Train,
    Evaluate,
}

impl Task {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Evaluate => "evaluate",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Train, Self::Evaluate]
            .into_iter()
            .find(|task| task.as_str() == text)
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
