//! The channel between a search and its observer: a request to stop in one direction, counters in the other.
//!
//! All of it is relaxed atomics, which the search writes once for each batch. They synchronise nothing, and expanding a state
//! never touches them.
//!
//! Rejected: a callback into the observer. It would run on a thread of the search, and a slow observer would slow the search.

use std::time::Duration;

use crate::sync::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// State shared by a search and its observer.
#[derive(Debug, Default)]
pub struct Monitor {
    cancelled: AtomicBool,
    depth: AtomicU64,
    explored: AtomicU64,
    generated: AtomicU64,
    frontier: AtomicU64,
    memory_bytes: AtomicU64,
    elapsed_micros: AtomicU64,
    state_bits: AtomicU64,
    bytes_per_state: AtomicU64,
    expected_states: AtomicU64,
    /// One more than the index of the figure in [`FIGURES`], or 0.
    figure: AtomicU64,
}

/// What is computed from a complete search, in this order.
const FIGURES: [&str; 4] = ["responses", "probabilities", "interleavings", "prices"];

/// The needs of a search, as known before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Bits of a stored state. In the orbit space this is the initial state's figure, since states differ in size.
    pub state_bits: u64,
    /// Bytes for each stored state, rounded up: its words, its slot in the visited set, and its parent if one is kept. Measures
    /// need 6 bytes more for each transition.
    pub bytes_per_state: u64,
    /// The number of states, if it is known.
    pub expected_states: Option<u64>,
}

/// The counters of a search at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The level that is being expanded.
    pub depth: u64,
    /// States stored.
    pub explored: u64,
    /// Transitions generated between stored states.
    pub generated: u64,
    /// States of this level that are not yet expanded.
    pub frontier: u64,
    /// Bytes held.
    pub memory_bytes: u64,
    /// Time since the search began.
    pub elapsed: Duration,
    /// The needs of the search that is under way.
    pub plan: Plan,
    /// The figure that is being computed from what the search found; none while it searches.
    pub figure: Option<&'static str>,
}

impl Monitor {
    /// Asks the search to stop; it does so within a batch and returns what it has.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// The counters as of the last batch.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            depth: self.depth.load(Relaxed),
            explored: self.explored.load(Relaxed),
            generated: self.generated.load(Relaxed),
            frontier: self.frontier.load(Relaxed),
            memory_bytes: self.memory_bytes.load(Relaxed),
            elapsed: Duration::from_micros(self.elapsed_micros.load(Relaxed)),
            plan: Plan {
                state_bits: self.state_bits.load(Relaxed),
                bytes_per_state: self.bytes_per_state.load(Relaxed),
                expected_states: Some(self.expected_states.load(Relaxed)).filter(|states| *states > 0),
            },
            figure: self.figure.load(Relaxed).checked_sub(1).map(|at| FIGURES[at as usize]),
        }
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.state_bits.store(plan.state_bits, Relaxed);
        self.bytes_per_state.store(plan.bytes_per_state, Relaxed);
        self.expected_states.store(plan.expected_states.unwrap_or(0), Relaxed);
    }

    /// Says which figure is computed from here on.
    pub(crate) fn begin(&self, figure: &str) {
        let at = FIGURES.iter().position(|other| *other == figure);
        debug_assert!(at.is_some(), "{figure} is not in the list");
        self.figure.store(at.map_or(0, |at| at as u64 + 1), Relaxed);
    }

    /// Publishes the counters of a batch; the plan and the figure stay as they were.
    pub(crate) fn report(&self, progress: Progress) {
        self.depth.store(progress.depth, Relaxed);
        self.explored.store(progress.explored, Relaxed);
        self.generated.store(progress.generated, Relaxed);
        self.frontier.store(progress.frontier, Relaxed);
        self.memory_bytes.store(progress.memory_bytes, Relaxed);
        self.elapsed_micros.store(progress.elapsed.as_micros() as u64, Relaxed);
    }
}
