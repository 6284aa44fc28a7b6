//! What the limit on memory leaves to the measures.
//!
//! A measure asks before it takes memory. One that does not get it is left out: the answer is incomplete and says which.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::limits::{Measure, Reason};
use crate::store::memory::{Cell, Cells};
use crate::store::states::StateId;

/// Numbers for each state in one pass, if there is room: what a cache line holds.
pub(crate) const MOST_LANES: usize = 8;

/// The memory that is held, and how much it may be.
#[derive(Debug)]
pub(crate) struct Room {
    limit: Option<u64>,
    /// By what stays,
    held: usize,
    /// and the most that it has been together with what comes and goes.
    peak: usize,
    /// What is being measured.
    measure: Measure,
}

impl Room {
    pub(crate) fn new(limit: Option<u64>, held: usize) -> Self {
        Self { limit, held, peak: held, measure: Measure::All }
    }

    /// From here on, room is for this measure.
    pub(crate) fn enter(&mut self, measure: Measure) {
        self.measure = measure;
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    fn left(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.held))
    }

    fn none(&self) -> Reason {
        Reason::NoRoom { measure: self.measure, limit: self.limit }
    }

    /// Memory that is given back before anybody asks again.
    pub(crate) fn borrow(&mut self, bytes: usize) -> Result<(), Reason> {
        if bytes > self.left() {
            return Err(self.none());
        }
        self.peak = self.peak.max(self.held.saturating_add(bytes));
        Ok(())
    }

    /// What is borrowed is kept until it is given back.
    pub(crate) fn keep(&mut self, bytes: usize) {
        self.held += bytes;
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    /// Borrowed cells, zero.
    pub(crate) fn cells<C: Cell>(&mut self, count: usize) -> Result<Cells<C>, Reason> {
        self.borrow(count.saturating_mul(size_of::<C>()))?;
        Cells::zeroed(count).map_err(|_| self.none())
    }

    /// Borrowed lanes for so many states: as many as are useful and fit, but not less than `least`.
    pub(crate) fn lanes(&mut self, states: usize, least: usize, useful: usize) -> Result<Lanes, Reason> {
        let fitting = self.left() / (states * size_of::<AtomicU64>()).max(1);
        let width = useful.min(MOST_LANES).min(fitting).max(least);
        Ok(Lanes { cells: self.cells(states * width)?, width })
    }
}

/// A few numbers for each state.
#[derive(Debug)]
pub(crate) struct Lanes {
    cells: Cells<AtomicU64>,
    width: usize,
}

impl Lanes {
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The numbers of a state.
    #[inline]
    pub(crate) fn of(&self, state: StateId) -> &[AtomicU64] {
        &self.cells.as_slice()[state.index() * self.width..][..self.width]
    }

    #[inline]
    pub(crate) fn get(&self, state: StateId, lane: usize) -> u64 {
        self.of(state)[lane].load(Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, state: StateId, lane: usize, number: u64) {
        self.of(state)[lane].store(number, Relaxed);
    }
}
