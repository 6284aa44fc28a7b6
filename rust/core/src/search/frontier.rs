//! The states of one level that are still to be expanded, cut into batches.
//!
//! A level is a range of ids. A batch is so large that its successors fit a cache: large enough to keep all threads
//! busy, small enough to look at limits often.
//!
//! Invariant: the size of a batch depends on what earlier batches generated, and never on time or on the number of threads.
//! So a search that hits a limit on states or depth stops at the same state everywhere.
//!
//! Rejected: batches of a fixed size. States of some models have hundreds of successors, and these would not fit a cache.

use std::ops::Range;

use crate::store::states::StateId;

/// The most states of a batch.
const LARGEST_BATCH: usize = 1 << 14;
/// The fewest states of a batch if the level has as many, however many successors they have: with fewer there is nothing to
/// share among threads.
const SMALLEST_BATCH: usize = 16;
/// Words that the successors of a batch should take together: about 4 MiB.
const WORDS_PER_BATCH: usize = 1 << 19;

/// The states of a level that are not yet in a batch.
#[derive(Debug)]
pub(crate) struct Frontier {
    level: Range<u32>,
    /// The size of the next batch.
    batch: usize,
    largest_batch: usize,
}

impl Frontier {
    /// The level that holds the initial state alone.
    pub(crate) fn new() -> Self {
        Self::with_batches_up_to(LARGEST_BATCH)
    }

    /// The same with another bound on the size of batches, for tests.
    pub(crate) fn with_batches_up_to(largest_batch: usize) -> Self {
        Self { level: 0..1, batch: 1, largest_batch }
    }

    /// Starts the next level.
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

    /// Chooses the size of the next batch, given that the last one had so many states and its successors so many words.
    pub(crate) fn adapt(&mut self, states: usize, words: usize) {
        let fitting = (WORDS_PER_BATCH * states / words.max(1)).max(SMALLEST_BATCH);
        // It grows by steps, as the next states may have more successors than the last ones.
        self.batch = fitting.min(self.batch.saturating_mul(4)).min(self.largest_batch);
    }
}

/// Ids of a batch.
pub(crate) fn ids(batch: Range<u32>) -> impl Iterator<Item = StateId> {
    batch.map(StateId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_the_level_in_order_and_grow_until_their_successors_fill_a_cache() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.next_batch(), 0..1);
        assert!(frontier.is_empty());
        frontier.advance(1..200_001);
        let (mut next, mut largest) = (1, 0);
        while !frontier.is_empty() {
            let batch = frontier.next_batch();
            assert_eq!(batch.start, next);
            next = batch.end;
            largest = largest.max(batch.len());
            frontier.adapt(batch.len(), batch.len() * 1000);
        }
        assert_eq!(next, 200_001);
        assert_eq!(largest, WORDS_PER_BATCH / 1000);
    }
}
