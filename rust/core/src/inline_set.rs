//! The visited set of the counting search: the states themselves in one open-addressed table that all threads share.
//!
//! A slot is `K` words of 32 bits, and a state has `32 K - 2` bits. The two lowest bits of a slot's first word are
//! marks: the first is set when a thread has taken the slot, the second when all of its words are written. A thread takes a
//! slot by exchanging its first word, and whoever meets the same first word waits for the second mark before it
//! compares the others. No locks, no tags, and nothing but states: `4 K` bytes over the load factor.
//!
//! Slots are found by multiplying the hash with their number, so that the table may have any size: the orbit space has
//! counted the states beforehand, and the table never grows.
//!
//! Rejected: shards that are owned by one thread each, as in [`crate::visited`]. They give ids in a fixed order, which
//! nobody needs here, and hand every successor over from one thread to another.
//!
//! Source: the lockless hash table of Laarman, van de Pol and Weber (2010), with the marks in the data.

use std::hash::{BuildHasher, Hasher};
use std::hint::spin_loop;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use foldhash::quality::FixedState;

use crate::memory::Cells;

/// Marks of a slot.
const TAKEN: u32 = 0b01;
const WRITTEN: u32 = 0b10;
pub(crate) const MARKS: u32 = 2;

/// Percent of the slots that may be taken: beyond, linear probing takes many steps.
const FULLEST: usize = 86;

/// States of at most `32 K - 2` bits.
#[derive(Debug)]
pub(crate) struct InlineSet<const K: usize> {
    cells: Cells<AtomicU32>,
    slots: usize,
}

/// A hash, for this run only: foldhash promises nothing across versions.
#[inline]
pub(crate) fn hash(state: u128) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write_u128(state);
    hasher.finish()
}

/// Bytes of a table for this many states of `words` words.
pub(crate) fn bytes_for(states: usize, words: usize) -> usize {
    slots_for(states).saturating_mul(words * size_of::<AtomicU32>())
}

/// The most states that fit in these bytes.
pub(crate) fn states_in(bytes: usize, words: usize) -> usize {
    let slots = bytes / (words * size_of::<AtomicU32>());
    slots / 100 * FULLEST + slots % 100 * FULLEST / 100
}

fn slots_for(states: usize) -> usize {
    (states / FULLEST * 100).saturating_add((states % FULLEST * 100).div_ceil(FULLEST)).saturating_add(1)
}

impl<const K: usize> InlineSet<K> {
    /// Room for this many states. Fails when the system refuses the memory.
    pub(crate) fn new(states: usize) -> std::io::Result<Self> {
        let slots = slots_for(states);
        Ok(Self { cells: Cells::zeroed(slots.saturating_mul(K))?, slots })
    }

    /// Bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.slots * K * size_of::<AtomicU32>()
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots as u128) >> 64) as usize
    }

    /// Asks for the memory that a look-up will need.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.cells.prefetch(self.home(hash) * K);
    }

    /// Whether the state is new; it is in the set afterwards. The caller sees to it that there is room.
    #[inline]
    pub(crate) fn insert(&self, state: u128, hash: u64) -> bool {
        let cells = self.cells.as_slice();
        let words: [u32; K] = std::array::from_fn(|at| (state << MARKS >> (32 * at)) as u32);
        let mut at = self.home(hash);
        loop {
            let (first, rest) = cells[at * K..at * K + K].split_at(1);
            let first = &first[0];
            let mut found = first.load(Acquire);
            if found == 0 {
                let mark = if K == 1 { TAKEN | WRITTEN } else { TAKEN };
                match first.compare_exchange(0, words[0] | mark, Acquire, Acquire) {
                    Ok(_) => {
                        if K > 1 {
                            rest.iter().zip(&words[1..]).for_each(|(cell, word)| cell.store(*word, Relaxed));
                            first.store(words[0] | TAKEN | WRITTEN, Release);
                        }
                        return true;
                    }
                    Err(other) => found = other,
                }
            }
            if found & !WRITTEN == words[0] | TAKEN {
                wait_until_written(first, found);
                if rest.iter().zip(&words[1..]).all(|(cell, word)| cell.load(Relaxed) == *word) {
                    return false;
                }
            }
            at += 1;
            if at == self.slots {
                at = 0;
            }
        }
    }
}

/// Another thread may be about to write the words of a slot that it has taken.
#[inline]
fn wait_until_written(first: &AtomicU32, mut found: u32) {
    while found & WRITTEN == 0 {
        spin_loop();
        found = first.load(Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(at: u64) -> u128 {
        // Low words collide on purpose.
        u128::from(at % 97) | u128::from(at) << 40
    }

    #[test]
    fn every_state_is_new_once_however_many_threads_insert_it() {
        let count = 60_000;
        let set = InlineSet::<3>::new(count as usize).unwrap();
        let new: Vec<u64> = std::thread::scope(|scope| {
            let insert = |offset: u64| {
                let set = &set;
                move || {
                    let states = (0..count).map(|at| state((at + offset) % count));
                    states.filter(|state| set.insert(*state, hash(*state))).count() as u64
                }
            };
            let threads: Vec<_> = [0, 1, count / 2, 7].map(|offset| scope.spawn(insert(offset))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(new.iter().sum::<u64>(), count);
        assert!((0..count).all(|at| !set.insert(state(at), hash(state(at)))));
        assert!(set.insert(state(count), hash(state(count))));
    }

    #[test]
    fn states_of_all_bits_are_kept_apart() {
        fn all_bits<const K: usize>() {
            let bits = 32 * K as u32 - MARKS;
            let states: Vec<u128> = std::iter::once(0).chain((0..bits).map(|bit| 1 << bit)).collect();
            let set = InlineSet::<K>::new(states.len()).unwrap();
            assert!(states.iter().all(|state| set.insert(*state, hash(*state))));
            assert!(states.iter().all(|state| !set.insert(*state, hash(*state))));
        }
        all_bits::<1>();
        all_bits::<2>();
        all_bits::<3>();
        all_bits::<4>();
    }

    #[test]
    fn tables_hold_what_was_asked_for() {
        for states in [0, 1, 84, 85, 86, 1000, 123_456] {
            let slots = slots_for(states);
            assert!(slots > states && slots * FULLEST >= states * 100, "{states}");
            assert!(states_in(bytes_for(states, 3), 3) >= states);
        }
    }
}
