//! A visited set of coded states that holds less than the states: 8 bytes for most models.
//!
//! Of a state, 64 bits are mixed by a function that can be undone, and the place where probing starts is the mixed
//! number scaled to the table. So the place says most of the leading bits, and only the rest is stored, with the number
//! of slots from that place to where the state lies. What is more than 64 bits of a state is stored as it is: first
//! in what is left of the cell, then in `M` words of 32 bits elsewhere.
//!
//! The table has its size from the start and is shared by all threads without a lock: a cell that is empty is taken by
//! one compare-and-swap. Where there are further words, a mark says that they are written, and who finds a cell without
//! it waits for the few instructions until it is there.
//!
//! Rejected: whole states, which take half as much memory again, and the time to zero it; shards with a lock each, which
//! hand every successor over from one thread to another.
//!
//! Source: the lockless hash table of Laarman, van de Pol and Weber (2010); compact hashing by Cleary (1984), with the
//! displacement stored as by Poyias and Raman (2015).

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use foldhash::fast::FixedState;

use crate::memory::Cells;
use crate::space::Packed;

/// Marks of a cell, below everything else.
const TAKEN: u64 = 0b01;
const WRITTEN: u64 = 0b10;
/// Then how far the state lies from its place,
const FAR_SHIFT: u32 = 2;
/// at most. Beyond, it goes elsewhere: with linear probing and at the fullest, hardly a state ever does.
const FARTHEST: u64 = (1 << 12) - 1;
/// Then the state.
const STATE_SHIFT: u32 = 14;

/// Percent of the slots that may be taken: beyond, linear probing takes many steps.
const FULLEST: usize = 86;
/// Slots at least, so that a cell has room for what is left of the mixed bits.
const FEWEST: usize = 1 << STATE_SHIFT;

/// A state, mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mixed {
    /// 64 bits of which the upper are as good as random.
    pub(crate) lead: u64,
    /// The bits above 64.
    rest: u64,
}

impl Mixed {
    /// The same state has the same form, and another state another: every step can be undone.
    #[inline]
    pub(crate) fn new<S: Packed>(state: S) -> Self {
        let rest = state.high();
        let mut lead = state.low() ^ rest.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        lead ^= lead >> 32;
        lead = lead.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lead ^= lead >> 32;
        lead = lead.wrapping_mul(0x94d0_49bb_1331_11eb);
        Self { lead, rest }
    }
}

/// States with `M` words beside the cell.
#[derive(Debug)]
pub(crate) struct CompactSet<const M: usize> {
    cells: Cells<AtomicU64>,
    words: Cells<AtomicU32>,
    slots: usize,
    /// What lies too far from its place.
    far: Mutex<hashbrown::HashSet<(u64, u64), FixedState>>,
}

/// Bits of the place that a cell need not hold.
fn place_bits(slots: usize) -> u32 {
    slots.ilog2()
}

/// Words beside the cell.
pub(crate) fn words(states: usize, bits: u32) -> usize {
    let held = u64::BITS + place_bits(slots_for(states)) - STATE_SHIFT;
    bits.saturating_sub(held).div_ceil(u32::BITS) as usize
}

fn slot_bytes(words: usize) -> usize {
    size_of::<AtomicU64>() + words * size_of::<AtomicU32>()
}

/// Bytes of a table for this many states of so many bits.
pub(crate) fn bytes_for(states: usize, bits: u32) -> usize {
    slots_for(states).saturating_mul(slot_bytes(words(states, bits)))
}

/// The most states that fit in these bytes.
pub(crate) fn states_in(bytes: usize, bits: u32) -> usize {
    let fitting = |words: usize| {
        let slots = (bytes / slot_bytes(words)).saturating_sub(1);
        slots / 100 * FULLEST + slots % 100 * FULLEST / 100
    };
    let fits = |states: &usize| bytes_for(*states, bits) <= bytes;
    (0..=2).map(fitting).find(fits).unwrap_or(0)
}

fn slots_for(states: usize) -> usize {
    let slots = (states / FULLEST * 100).saturating_add((states % FULLEST * 100).div_ceil(FULLEST)).saturating_add(1);
    slots.max(FEWEST)
}

impl<const M: usize> CompactSet<M> {
    /// Room for this many states. Fails when the system refuses the memory.
    pub(crate) fn new(states: usize) -> std::io::Result<Self> {
        let slots = slots_for(states);
        Ok(Self {
            cells: Cells::zeroed(slots)?,
            words: Cells::zeroed(slots.saturating_mul(M))?,
            slots,
            far: Mutex::default(),
        })
    }

    /// Bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.slots * slot_bytes(M)
    }

    /// The place, and what it does not say of the lead.
    #[inline]
    fn place(&self, lead: u64) -> (usize, u64) {
        let product = u128::from(lead) * self.slots as u128;
        // Leads of one place lie `slots` apart here, so the bits below the highest power of two in that can go.
        ((product >> 64) as usize, product as u64 >> place_bits(self.slots))
    }

    /// Asks for the memory that a look-up will need.
    #[inline]
    pub(crate) fn prefetch(&self, mixed: Mixed) {
        let (at, _) = self.place(mixed.lead);
        self.cells.prefetch(at);
        if M > 0 {
            self.words.prefetch(at * M);
        }
    }

    /// Whether the state is new; it is in the set afterwards. The caller sees to it that there is room, and that the
    /// state has no more bits than the set was planned for.
    #[inline]
    pub(crate) fn insert(&self, mixed: Mixed) -> bool {
        let (mut at, left) = self.place(mixed.lead);
        let left_bits = u64::BITS - place_bits(self.slots);
        let mut cell = TAKEN | left << STATE_SHIFT | mixed.rest.unbounded_shl(STATE_SHIFT + left_bits);
        let beside = mixed.rest.unbounded_shr(u64::BITS - STATE_SHIFT - left_bits);
        let words: [u32; M] = std::array::from_fn(|word| (beside >> (32 * word)) as u32);
        let cells = self.cells.as_slice();
        for _ in 0..=FARTHEST {
            let mut found = cells[at].load(Acquire);
            if found == 0 {
                match cells[at].compare_exchange(0, cell, Acquire, Acquire) {
                    Ok(_) => {
                        if M > 0 {
                            let beside = self.words.as_slice()[at * M..].iter();
                            beside.zip(&words).for_each(|(to, word)| to.store(*word, Relaxed));
                            cells[at].store(cell | WRITTEN, Release);
                        }
                        return true;
                    }
                    Err(other) => found = other,
                }
            }
            if found & !WRITTEN == cell {
                if M == 0 {
                    return false;
                }
                wait_until_written(&cells[at], found);
                let beside = self.words.as_slice()[at * M..].iter();
                if beside.zip(&words).all(|(beside, word)| beside.load(Relaxed) == *word) {
                    return false;
                }
            }
            cell += 1 << FAR_SHIFT;
            at += 1;
            if at == self.slots {
                at = 0;
            }
        }
        self.insert_far(mixed)
    }

    /// Cells are never emptied: a state that has found none free will never find one.
    #[cold]
    fn insert_far(&self, mixed: Mixed) -> bool {
        let mut far = self.far.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        far.insert((mixed.lead, mixed.rest))
    }
}

/// Another thread may be about to write what belongs to a cell that it has taken.
#[inline]
fn wait_until_written(cell: &AtomicU64, mut found: u64) {
    while found & WRITTEN == 0 {
        spin_loop();
        found = cell.load(Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(at: u64) -> u128 {
        // The lowest bits collide on purpose, and the highest are in use.
        u128::from(at % 97) | u128::from(at) << 40 | u128::from(at % 89) << 100
    }

    #[test]
    fn every_state_is_new_once_however_many_threads_insert_it() {
        let count = 60_000;
        let set = CompactSet::<2>::new(count as usize).unwrap();
        assert_eq!(words(count as usize, 107), 2);
        let new: Vec<u64> = std::thread::scope(|scope| {
            let insert = |offset: u64| {
                let set = &set;
                move || {
                    let states = (0..count).map(|at| state((at + offset) % count));
                    states.filter(|state| set.insert(Mixed::new(*state))).count() as u64
                }
            };
            let threads: Vec<_> = [0, 1, count / 2, 7].map(|offset| scope.spawn(insert(offset))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(new.iter().sum::<u64>(), count);
        assert!((0..count).all(|at| !set.insert(Mixed::new(state(at)))));
        assert!(set.insert(Mixed::new(state(count))));
    }

    #[test]
    fn states_of_all_bits_are_kept_apart() {
        fn all_bits<S: Packed, const M: usize>(bits: u32) {
            let one = S::from(1);
            let states: Vec<S> = std::iter::once(S::default()).chain((0..bits).map(|bit| one << bit)).collect();
            let pairs = states.iter().skip(1).map(|state| *state | states[bits as usize / 2]);
            let mut states: Vec<S> = states.iter().copied().chain(pairs).collect();
            states.sort_unstable();
            states.dedup();
            assert_eq!(words(states.len(), bits), M);
            let set = CompactSet::<M>::new(states.len()).unwrap();
            assert!(states.iter().all(|state| set.insert(Mixed::new(*state))));
            assert!(states.iter().all(|state| !set.insert(Mixed::new(*state))));
        }
        all_bits::<u64, 0>(u64::MOST_BITS);
        all_bits::<u128, 0>(64);
        all_bits::<u128, 1>(65);
        all_bits::<u128, 1>(96);
        all_bits::<u128, 2>(97);
        all_bits::<u128, 2>(u128::MOST_BITS);
    }

    #[test]
    fn what_a_place_does_not_say_is_kept() {
        // All leads that differ in the bits between place and remainder, at both ends of the scale.
        let set = CompactSet::<0>::new(20_000).unwrap();
        for lead in [0, 1 << 40, u64::MAX - (1 << 14)] {
            let mut seen: Vec<_> = (lead..lead + (1 << 14)).map(|lead| set.place(lead)).collect();
            seen.sort_unstable();
            seen.dedup();
            // Below the power of two at most some neighbours agree in the product's highest bits; none agree in all.
            assert_eq!(seen.len(), 1 << 14);
            assert!(seen.iter().all(|(at, left)| *at < set.slots && left >> (64 - place_bits(set.slots)) == 0));
        }
    }

    #[test]
    fn a_state_too_far_from_its_place_is_found_again() {
        let set = CompactSet::<0>::new(20_000).unwrap();
        let crowd: Vec<Mixed> = (0..FARTHEST + 100).map(|lead| Mixed { lead, rest: 0 }).collect();
        assert!(crowd.iter().all(|mixed| set.place(mixed.lead).0 == 0));
        assert!(crowd.iter().all(|mixed| set.insert(*mixed)));
        assert!(crowd.iter().all(|mixed| !set.insert(*mixed)));
        assert_eq!(set.far.lock().unwrap().len(), 99);
    }

    #[test]
    fn tables_hold_what_was_asked_for() {
        for (states, bits) in [(0, 10), (1, 64), (86, 70), (20_000, 79), (123_456, 90), (50_000_000, 77), (1, 127)] {
            let slots = slots_for(states);
            assert!(slots > states && slots.max(FEWEST) * FULLEST >= states * 100, "{states}");
            assert!(states_in(bytes_for(states, bits), bits) >= states, "{states} {bits}");
            assert!(bytes_for(states_in(1 << 30, bits), bits) <= 1 << 30);
        }
        assert_eq!([words(30_000_000, 63), words(30_000_000, 74), words(30_000_000, 76), words(1, 127)], [0, 0, 1, 2]);
    }
}
