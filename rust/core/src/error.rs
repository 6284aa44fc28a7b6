//! What can go wrong, as one opaque error.
//!
//! A limit that is hit or a cancelled search is *not* an error: it gives an incomplete
//! [`Exploration`](crate::Exploration) with its reason. An error means that the question itself was wrong.
//!
//! Invariant: a message says what, where, the given value and what is allowed, on one line, and reads well after
//! `error: `. Rejected: one public enum variant for each message; callers only need the [`ErrorKind`], and a
//! public variant could never change again.

use thiserror::Error as ThisError;

/// A question that the engine cannot answer, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    schedule: Option<String>,
}

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text of the Program is not a valid Program.
    Program,
    /// The initial state does not fit the Program, or is too large for the space.
    Initial,
    /// The Program says about itself that it is wrong: a rule with a trap is enabled in a reachable state, or a
    /// reachable terminal state has no outcome. The error carries the schedule to the state.
    Trap,
    /// A schedule cannot be read or does not fit the Program.
    Schedule,
    /// An option of the search is out of range.
    Options,
}

impl Error {
    pub(crate) fn program(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Program, message)
    }

    pub(crate) fn initial(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Initial, message)
    }

    pub(crate) fn schedule(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Schedule, message)
    }

    pub(crate) fn options(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Options, message)
    }

    pub(crate) fn trap(message: impl Into<String>, schedule: String) -> Self {
        Self { schedule: Some(schedule), ..Self::new(ErrorKind::Trap, message) }
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), schedule: None }
    }

    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// For [`ErrorKind::Trap`]: the schedule that leads to the state.
    #[must_use]
    pub fn schedule_to_state(&self) -> Option<&str> {
        self.schedule.as_deref()
    }
}
