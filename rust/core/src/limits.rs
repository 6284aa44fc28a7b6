//! What a search may use, and why it stopped early.
//!
//! Hitting a limit is an answer, not an error: the exploration is incomplete, says why, and keeps all it has seen.

use std::fmt;
use std::time::{Duration, Instant};

use crate::progress::Monitor;

/// Resources of a search; the default is without limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// States stored; never exceeded.
    pub max_states: Option<u64>,
    /// Levels below the initial state; states at this depth are expanded, but nothing new is stored.
    pub max_depth: Option<u32>,
    /// Bytes held; looked at once for each batch.
    pub max_memory: Option<u64>,
    /// Time of the search and the measures; looked at once for each batch.
    pub timeout: Option<Duration>,
}

/// Why an exploration is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The limit on states was hit.
    MaxStates(u64),
    /// The limit on depth was hit.
    MaxDepth(u32),
    /// The limit on memory was hit.
    MaxMemory(u64),
    /// Time was up.
    Timeout(Duration),
    /// Someone asked the search to stop.
    Interrupted,
    /// The search is complete, but there was no room for a measure of it.
    NoRoom {
        /// The first that was left out.
        measure: Measure,
        /// The limit on memory; none if the system had no more.
        limit: Option<u64>,
    },
}

/// What can be left out of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// All measures.
    All,
    /// What must stay possible.
    Responses,
    /// The probability of each outcome.
    Probabilities,
    /// The interleavings of each outcome.
    Interleavings,
    /// What runs cost.
    Prices,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxStates(states) => write!(formatter, "max-states {states}"),
            Self::MaxDepth(depth) => write!(formatter, "max-depth {depth}"),
            Self::MaxMemory(bytes) => write!(formatter, "max-memory {bytes} bytes"),
            Self::Timeout(time) => write!(formatter, "timeout {} s", time.as_secs_f64()),
            Self::Interrupted => write!(formatter, "interrupted"),
            Self::NoRoom { measure, limit: Some(bytes) } => {
                write!(formatter, "max-memory {bytes} bytes, no room for {measure}")
            }
            Self::NoRoom { measure, limit: None } => write!(formatter, "no memory for {measure}"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "measures",
            Self::Responses => "responses",
            Self::Probabilities => "probabilities",
            Self::Interleavings => "interleavings",
            Self::Prices => "prices",
        })
    }
}

/// The clock of one search, and the request to stop it.
#[derive(Debug)]
pub(crate) struct Watch<'m> {
    pub(crate) monitor: &'m Monitor,
    started: Instant,
    timeout: Option<Duration>,
}

impl<'m> Watch<'m> {
    pub(crate) fn start(monitor: &'m Monitor, limits: &Limits) -> Self {
        Self { monitor, started: Instant::now(), timeout: limits.timeout }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Fails if someone asked to stop, or time is up.
    pub(crate) fn check(&self) -> Result<(), Reason> {
        self.interruption().map_or(Ok(()), Err)
    }

    /// Whether someone asked to stop, or time is up; then that stays so.
    pub(crate) fn interruption(&self) -> Option<Reason> {
        if self.monitor.is_cancelled() {
            return Some(Reason::Interrupted);
        }
        self.timeout.filter(|timeout| self.elapsed() >= *timeout).map(Reason::Timeout)
    }
}
