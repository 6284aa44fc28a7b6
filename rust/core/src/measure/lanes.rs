//! A few numbers for each state, which one pass over the layers computes together.
//!
//! A pass reads a row of the graph once for all of its numbers, so more numbers a pass mean fewer passes. How many there are
//! depends on the memory that is left; the numbers themselves do not.

use crate::limits::Reason;
use crate::store::account::MemoryAccount;
use crate::store::memory::Cells;
use crate::store::states::StateId;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// The most numbers for each state: what a cache line holds.
pub(super) const MOST_LANES: usize = 8;

/// `width` numbers for each state, side by side.
#[derive(Debug)]
pub(super) struct Lanes {
    /// A number is written once, by the thread that handles its state, while its layer is handled. It is read while earlier layers
    /// are, after a barrier, so that relaxed accesses suffice.
    cells: Cells<AtomicU64>,
    width: usize,
}

impl Lanes {
    /// Numbers for so many states: as many for each as are `useful` and fit, but not fewer than `least`.
    pub(super) fn new(states: usize, least: usize, useful: usize, account: &mut MemoryAccount) -> Result<Self, Reason> {
        let fitting = account.left() / (states * size_of::<AtomicU64>()).max(1);
        let width = useful.min(MOST_LANES).min(fitting).max(least);
        Ok(Self { cells: account.cells(states * width)?, width })
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The numbers of a state.
    #[inline]
    pub(super) fn of(&self, state: StateId) -> &[AtomicU64] {
        &self.cells.as_slice()[state.index() * self.width..][..self.width]
    }

    #[inline]
    pub(super) fn get(&self, state: StateId, lane: usize) -> u64 {
        self.of(state)[lane].load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, state: StateId, lane: usize, number: u64) {
        self.of(state)[lane].store(number, Relaxed);
    }
}
