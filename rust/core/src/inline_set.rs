//! The visited set of the unlinked search: the states themselves in one open-addressed table that all threads share.
//!
//! A slot is `W` words. The highest bit of every word of a state is free ([`crate::space::Layout`]) and set once the
//! word is written, so a word tells by itself whether it is there: a thread takes a slot by exchanging its first word,
//! then writes the others, and whoever meets the same first word waits for the others before it compares. No locks, no
//! tags, and nothing but states: `8 W` bytes over the load factor.
//!
//! Slots are found by multiplying the hash with their number, so that the table may have any size.
//!
//! Rejected: shards that are owned by one thread each, as in [`crate::visited`]. They give ids in a fixed order, which
//! nobody needs here, and hand every successor over from one thread to another.
//!
//! Source: the lockless hash table of Laarman, van de Pol and Weber (2010), with the written bit in the data.

use std::hash::{BuildHasher, Hasher};
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use foldhash::quality::FixedState;
use rayon::prelude::*;

use crate::memory::Cells;

/// A word has been written.
const WRITTEN: u64 = 1 << 63;

/// Percent of the slots that may be taken: beyond, linear probing takes many steps.
const FULLEST: usize = 70;

/// Percent of its size to which the table grows.
const GROWTH: usize = 160;

/// States of `W` words.
#[derive(Debug)]
pub(crate) struct InlineSet<const W: usize> {
    cells: Cells,
    slots: usize,
}

/// A hash, for this run only: foldhash promises nothing across versions.
#[inline]
pub(crate) fn hash<const W: usize>(state: &[u64; W]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    let (pairs, odd) = state.as_chunks::<2>();
    for [low, high] in pairs {
        hasher.write_u128(u128::from(*high) << 64 | u128::from(*low));
    }
    if let [last] = odd {
        hasher.write_u64(*last);
    }
    hasher.finish()
}

impl<const W: usize> InlineSet<W> {
    /// Fails when the system refuses the memory.
    pub(crate) fn new(slots: usize) -> std::io::Result<Self> {
        Ok(Self { cells: Cells::zeroed(slots.saturating_mul(W))?, slots })
    }

    /// States that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.slots / 100 * FULLEST + self.slots % 100 * FULLEST / 100
    }

    /// Bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.slots * W * size_of::<u64>()
    }

    /// Slots of the table that takes the place of this one when it is full.
    pub(crate) fn next_slots(&self) -> usize {
        self.slots / 100 * GROWTH + self.slots % 100 * GROWTH / 100
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots as u128) >> 64) as usize
    }

    /// Asks for the memory that a look-up will need.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.cells.prefetch(self.home(hash) * W);
    }

    /// Whether the state is new; it is in the set afterwards. The caller sees to it that there is room.
    #[inline]
    pub(crate) fn insert(&self, state: &[u64; W], hash: u64) -> bool {
        let cells = self.cells.as_slice();
        let first = state[0] | WRITTEN;
        let mut at = self.home(hash);
        loop {
            let slot = &cells[at * W..at * W + W];
            let mut found = slot[0].load(Relaxed);
            if found == 0 {
                match slot[0].compare_exchange(0, first, Relaxed, Relaxed) {
                    Ok(_) => {
                        for (cell, word) in slot.iter().zip(state).skip(1) {
                            cell.store(word | WRITTEN, Relaxed);
                        }
                        return true;
                    }
                    Err(other) => found = other,
                }
            }
            if found == first && slot.iter().zip(state).skip(1).all(|(cell, word)| written(cell) == word | WRITTEN) {
                return false;
            }
            at += 1;
            if at == self.slots {
                at = 0;
            }
        }
    }

    /// Moves all states into a larger table, on all threads of the pool. Nobody may insert meanwhile.
    pub(crate) fn grow(&mut self) -> std::io::Result<()> {
        let larger = Self::new(self.next_slots())?;
        self.cells.as_slice().par_chunks(W << 12).for_each(|slots| {
            for slot in slots.as_chunks::<W>().0 {
                if slot[0].load(Relaxed) != 0 {
                    let state = std::array::from_fn(|at| slot[at].load(Relaxed) & !WRITTEN);
                    larger.insert(&state, hash(&state));
                }
            }
        });
        *self = larger;
        Ok(())
    }
}

/// The word of a slot that has been taken: another thread may be about to write it.
#[inline]
fn written(cell: &AtomicU64) -> u64 {
    loop {
        let word = cell.load(Relaxed);
        if word != 0 {
            return word;
        }
        spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(at: u64) -> [u64; 3] {
        // First words collide on purpose.
        [at % 97, at, at >> 3]
    }

    #[test]
    fn every_state_is_new_once_however_many_threads_insert_it() {
        let set = InlineSet::<3>::new(70_000).unwrap();
        let count = set.capacity() as u64;
        let new: Vec<u64> = std::thread::scope(|scope| {
            let insert = |offset: u64| {
                let set = &set;
                move || {
                    (0..count)
                        .filter(|at| {
                            let state = state((at + offset) % count);
                            set.insert(&state, hash(&state))
                        })
                        .count() as u64
                }
            };
            let threads: Vec<_> = [0, 1, count / 2, 7].map(|offset| scope.spawn(insert(offset))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(new.iter().sum::<u64>(), count);
        assert!((0..count).all(|at| !set.insert(&state(at), hash(&state(at)))));
    }

    #[test]
    fn growing_loses_nothing_and_invents_nothing() {
        let mut set = InlineSet::<3>::new(64).unwrap();
        for at in 0..20_000 {
            if at as usize == set.capacity() {
                set.grow().unwrap();
            }
            assert!(set.insert(&state(at), hash(&state(at))));
        }
        assert!(set.capacity() >= 20_000);
        assert!((0..20_000).all(|at| !set.insert(&state(at), hash(&state(at)))));
        assert!(set.insert(&state(20_001), hash(&state(20_001))));
    }

    #[test]
    fn a_state_of_zeros_is_a_state() {
        let set = InlineSet::<1>::new(8).unwrap();
        assert!(set.insert(&[0], hash(&[0])));
        assert!(!set.insert(&[0], hash(&[0])));
    }
}
