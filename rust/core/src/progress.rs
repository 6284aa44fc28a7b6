//! How a search and whoever waits for it talk: a request to stop one way, counters the other.
//!
//! Relaxed atomics, written once for each batch: nothing is synchronised by them, and the hot path never touches
//! them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Shared by a search and its observer.
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
}

/// What a search will need, as known before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Bits of a state; in the orbit space of the initial one, since sizes differ.
    pub state_bits: u64,
    /// Bytes that a stored state takes, rounded up: its words, its place in the visited set, its parent if one is kept. The
    /// transitions that measures need come on top, 6 bytes each.
    pub bytes_per_state: u64,
    /// How many states there will be, if that is known.
    pub expected_states: Option<u64>,
}

/// The counters of a search at some moment.
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
    /// Since the search began.
    pub elapsed: Duration,
    /// What the search that is under way will need.
    pub plan: Plan,
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
        }
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.state_bits.store(plan.state_bits, Relaxed);
        self.bytes_per_state.store(plan.bytes_per_state, Relaxed);
        self.expected_states.store(plan.expected_states.unwrap_or(0), Relaxed);
    }

    /// Publishes the counters; the plan stays as it was.
    pub(crate) fn report(&self, progress: Progress) {
        self.depth.store(progress.depth, Relaxed);
        self.explored.store(progress.explored, Relaxed);
        self.generated.store(progress.generated, Relaxed);
        self.frontier.store(progress.frontier, Relaxed);
        self.memory_bytes.store(progress.memory_bytes, Relaxed);
        self.elapsed_micros.store(progress.elapsed.as_micros() as u64, Relaxed);
    }
}
