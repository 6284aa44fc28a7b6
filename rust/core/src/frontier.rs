//! The states of one level that are still to be expanded, cut into batches.
//!
//! A level is a range of ids. A batch is as large as its successors fit a cache: large enough to keep all threads busy, small
//! enough to look at limits often. Its size depends on what earlier batches generated and never on the number of
//! threads, so that a search that hits a limit stops at the same state everywhere.

use std::ops::Range;

use crate::store::StateId;

/// States in a batch at most.
const LARGEST_BATCH: usize = 1 << 14;
/// Words that the successors of a batch should take together: about 4 MiB.
const WORDS_PER_BATCH: usize = 1 << 19;

/// What is left of a level.
#[derive(Debug)]
pub(crate) struct Frontier {
    level: Range<u32>,
    batch: usize,
}

impl Frontier {
    /// The level that holds the initial state alone.
    pub(crate) fn new() -> Self {
        Self { level: 0..1, batch: 1 }
    }

    /// Goes on to the next level.
    pub(crate) fn advance(&mut self, level: Range<u32>) {
        self.level = level;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.level.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.level.len()
    }

    /// Takes the next batch off the level.
    pub(crate) fn next_batch(&mut self) -> Range<u32> {
        let end = self.level.start + self.level.len().min(self.batch) as u32;
        let batch = self.level.start..end;
        self.level.start = end;
        batch
    }

    /// Learns from the last batch how large the next may be.
    pub(crate) fn adapt(&mut self, states: usize, words: usize) {
        let fitting = WORDS_PER_BATCH * states / words.max(1);
        // Growing by steps: the states to come may have more successors than the last ones.
        self.batch = fitting.clamp(1, (self.batch * 4).min(LARGEST_BATCH));
    }
}

/// Ids of a batch.
pub(crate) fn ids(batch: Range<u32>) -> impl Iterator<Item = StateId> {
    batch.map(StateId)
}
