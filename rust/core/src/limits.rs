//! The resources that a search may use, and why it stopped early.
//!
//! A limit that is hit is an answer and not an error: the exploration is incomplete, names the limit, and keeps all that was
//! found.

use std::fmt;
use std::time::{Duration, Instant};

use crate::progress::Monitor;

/// Resources of a search; by default there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// States stored; never exceeded.
    pub max_states: Option<u64>,
    /// Levels below the initial state: states at this depth are expanded, but no successor is stored.
    pub max_depth: Option<u32>,
    /// Bytes held; compared once for each batch of states, and before each measure allocates memory.
    pub max_memory: Option<u64>,
    /// Time of search and measures together; compared once for each batch of states.
    pub timeout: Option<Duration>,
}

/// Why an exploration is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The search stored as many states as it may.
    MaxStates(u64),
    /// The search reached the depth at which nothing more is stored.
    MaxDepth(u32),
    /// The search held more bytes than it may.
    MaxMemory(u64),
    /// The search took as much time as it may.
    Timeout(Duration),
    /// The monitor's owner asked the search to stop.
    Interrupted,
    /// The search is complete, but a figure that is computed from it does not fit in memory.
    LeftOut {
        /// The name of the first figure that was left out.
        figure: &'static str,
        /// The limit on memory; none if the system refused the memory.
        limit: Option<u64>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxStates(states) => write!(formatter, "max-states {states}"),
            Self::MaxDepth(depth) => write!(formatter, "max-depth {depth}"),
            Self::MaxMemory(bytes) => write!(formatter, "max-memory {bytes} bytes"),
            Self::Timeout(time) => write!(formatter, "timeout {} s", time.as_secs_f64()),
            Self::Interrupted => write!(formatter, "interrupted"),
            Self::LeftOut { figure, limit: Some(bytes) } => {
                write!(formatter, "max-memory {bytes} bytes, no room for {figure}")
            }
            Self::LeftOut { figure, limit: None } => write!(formatter, "no memory for {figure}"),
        }
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

    /// Fails once the search has to stop.
    pub(crate) fn check(&self) -> Result<(), Reason> {
        self.interruption().map_or(Ok(()), Err)
    }

    /// Why the search has to stop, if it has to. Both reasons are permanent: neither a request nor passed time goes away.
    pub(crate) fn interruption(&self) -> Option<Reason> {
        if self.monitor.is_cancelled() {
            return Some(Reason::Interrupted);
        }
        self.timeout.filter(|timeout| self.elapsed() >= *timeout).map(Reason::Timeout)
    }
}
