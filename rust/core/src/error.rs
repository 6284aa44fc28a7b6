//! The error of a question that the engine cannot answer: opaque, with a kind and a message.
//!
//! A limit that is hit and a cancelled search are *not* errors: both give an incomplete
//! [`Exploration`](crate::Exploration) with its reason. An error means that the question itself is wrong.
//!
//! Invariant: a message names the place, the given value and the allowed ones, on one line, and reads well after `error: `.
//!
//! Rejected: one public enum variant for each message. Callers only need the [`ErrorKind`], and a public variant could never
//! change again.

use thiserror::Error as ThisError;

/// A question that the engine cannot answer, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    schedule: Option<String>,
}

/// The part of the question that an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text of the Program is not a valid Program.
    Program,
    /// The initial state does not fit the Program, or is too large for the space.
    Initial,
    /// The Program contradicts itself in a reachable state: a rule with a trap is enabled there, or the state is terminal and
    /// matches no outcome. The error carries the schedule to the state.
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

    /// The part of the question that is wrong.
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
