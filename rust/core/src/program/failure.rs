//! A Program that is wrong about itself in a state that can be reached.

use super::{Program, RuleId};
use crate::error::Error;

/// What is wrong in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A rule with a trap is enabled.
    Trap(RuleId),
    /// The state is terminal and has no outcome.
    NoOutcome,
}

impl Failure {
    /// The error; `schedule` leads to the state.
    pub(crate) fn error(self, program: &Program, schedule: String) -> Error {
        let message = match self {
            Self::Trap(rule) => {
                let trap = program.rule(rule).trap.as_deref().unwrap_or_default();
                format!("{}: {trap}; reached by schedule \"{schedule}\"", program.rule_name(rule))
            }
            Self::NoOutcome => {
                format!("Program: a terminal state matches no outcome; reached by schedule \"{schedule}\"")
            }
        };
        Error::trap(message, schedule)
    }
}
