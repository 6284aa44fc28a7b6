//! How many transitions to each state come from sources that are on no layer yet: *open* ones.
//!
//! The counters only rise until they are complete, and only fall after that, with a barrier between the two. Each step is one
//! atomic operation, so none is lost, and of the threads that close the transitions to a state exactly one takes its counter to zero:
//! all operations on one counter have an order, whatever the ordering of others. Nothing else is read for the sake of a counter, so
//! every access is relaxed.

use crate::store::states::StateId;
use crate::sync::{AtomicU32, Ordering::Relaxed};

/// A counter for each state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<'c>(pub(crate) &'c [AtomicU32]);

impl Open<'_> {
    /// Counts a transition to a state.
    #[inline]
    pub(crate) fn add(self, target: StateId) {
        self.0[target.index()].fetch_add(1, Relaxed);
    }

    /// Whether no transition to a state is open.
    #[inline]
    pub(crate) fn has_none(self, state: StateId) -> bool {
        self.0[state.index()].load(Relaxed) == 0
    }

    /// Closes a transition to a state; whether it was the last.
    #[inline]
    pub(crate) fn close(self, target: StateId) -> bool {
        self.0[target.index()].fetch_sub(1, Relaxed) == 1
    }
}
