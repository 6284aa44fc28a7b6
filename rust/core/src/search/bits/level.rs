//! The patterns of one level, and the bits of their states.
//!
//! Invariant: a level is only ever marked while it is the next one. When it becomes the current level, every bit is set
//! ([`Level::check_all_reached`]), and nothing reads the bits any more.

use std::collections::TryReserveError;

use rayon::prelude::*;

use super::row::Bits;
use crate::sync::AtomicU64;

/// A pattern of a level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern<const W: usize> {
    pub(super) representative: [u64; W],
    /// The number of its states.
    pub(super) size: u64,
    /// Where its bits begin in [`Level::bits`].
    first_word: usize,
}

/// A level, as far as it has been found.
#[derive(Debug)]
pub(super) struct Level<const W: usize> {
    pub(super) patterns: Vec<Pattern<W>>,
    /// A row of bits for each pattern, each from a word of its own on.
    bits: Vec<AtomicU64>,
    pub(super) states: u64,
    /// The most patterns, and the most words of bits, that there have been at any time.
    most: (usize, usize),
}

impl<const W: usize> Level<W> {
    pub(super) fn new() -> Self {
        Self { patterns: Vec::new(), bits: Vec::new(), states: 0, most: (0, 0) }
    }

    /// The bits of one of the patterns.
    pub(super) fn bits_of(&self, pattern: &Pattern<W>) -> Bits<'_> {
        let words = pattern.first_word..pattern.first_word + words_for(pattern.size);
        Bits { words: &self.bits[words], len: pattern.size }
    }

    /// Adds a pattern none of whose states has been reached. Fails if the system has no memory.
    pub(super) fn open(&mut self, representative: [u64; W], size: u64) -> Result<(), TryReserveError> {
        let first_word = self.bits.len();
        self.bits.try_reserve(words_for(size))?;
        self.bits.resize_with(first_word + words_for(size), || AtomicU64::new(0));
        self.patterns.push(Pattern { representative, size, first_word });
        self.states += size;
        self.most = (self.most.0.max(self.patterns.len()), self.most.1.max(self.bits.len()));
        Ok(())
    }

    /// Panics unless every state of every pattern has been reached.
    pub(super) fn check_all_reached(&self) {
        self.patterns.par_iter().for_each(|pattern| {
            let reached = self.bits_of(pattern).count();
            assert_eq!(reached, pattern.size, "states that differ in the names of CPUs only differ in their depth");
        });
    }

    /// Forgets all patterns and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.patterns.clear();
        self.bits.clear();
        self.states = 0;
    }

    /// Bytes in use. What has been cleared is kept for the level after the next one; capacity that was never used is not
    /// counted, as it has never been touched.
    pub(super) fn bytes(&self) -> usize {
        self.most.0 * size_of::<Pattern<W>>() + self.most.1 * size_of::<AtomicU64>()
    }
}

fn words_for(size: u64) -> usize {
    size.div_ceil(u64::from(u64::BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_not_reached_is_noticed() {
        let mut level = Level::<1>::new();
        level.open([0], 70).unwrap();
        level.open([1], 3).unwrap();
        level.bits_of(&level.patterns[0]).set_all();
        let unreached = std::panic::catch_unwind(|| level.check_all_reached());
        assert!(unreached.is_err());
        level.bits_of(&level.patterns[1]).set_all();
        level.check_all_reached();
        assert_eq!((level.states, level.bits.len()), (73, 3));
    }

    #[test]
    fn memory_that_was_used_once_stays_counted_and_spare_memory_is_not() {
        let mut level = Level::<1>::new();
        level.open([0], 64 * 1000).unwrap();
        level.open([1], 1).unwrap();
        assert!(level.bits.capacity() >= 2000);
        let bytes = level.bytes();
        assert_eq!(bytes, 1001 * 8 + 2 * size_of::<Pattern<1>>());
        level.clear();
        level.open([1], 1).unwrap();
        assert_eq!(level.bytes(), bytes);
    }
}
