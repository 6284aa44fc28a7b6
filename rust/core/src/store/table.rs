//! A hash table of ids. A slot takes 8 bytes: 32 bits of the hash as a *tag*, and the id. The values that ids stand for lie
//! elsewhere, and the caller compares them.
//!
//! Probing is linear, from a *home* that grows with the tag. When the table grows, slots are therefore read and written in
//! ascending order, and nothing is hashed again.
//!
//! Invariant: between the home of a slot's tag and the slot there is no empty slot, so a look-up may stop at the first empty
//! one. At least one slot is empty.
//!
//! Rejected: a table of `hashbrown`. It keeps its control bytes apart from the slots, so that a look-up misses the cache once
//! more, and they cannot be prefetched from outside.

use crate::store::memory;

/// A tag in the high half, an id in the low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    /// No value has the highest id.
    const EMPTY: Self = Self(u64::MAX);

    fn new(tag: u32, id: u32) -> Self {
        Self(u64::from(tag) << u32::BITS | u64::from(id))
    }

    fn tag(self) -> u32 {
        (self.0 >> u32::BITS) as u32
    }

    fn id(self) -> u32 {
        self.0 as u32
    }
}

/// Slots with linear probing.
#[derive(Debug)]
pub(crate) struct Table {
    /// At least one of them is empty.
    slots: Vec<Slot>,
    taken: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { slots: vec![Slot::EMPTY; Self::SMALLEST], taken: 0 }
    }
}

impl Table {
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

    /// Percent of the slots that may be taken. With more, probing takes many steps.
    const FULLEST: usize = 80;
    /// Slots of an empty table.
    const SMALLEST: usize = 16;
    /// Slots of a cache line.
    const NEAR: usize = 8;

    /// The slot where probing for a tag starts. It grows with the tag.
    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> u32::BITS) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// The place of the first id with this tag that is `wanted`, or else, as an error, the vacant place where it would be.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut wanted: impl FnMut(u32) -> bool) -> Result<usize, usize> {
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == Slot::EMPTY {
                return Err(at);
            }
            if slot.tag() == tag && wanted(slot.id()) {
                return Ok(at);
            }
            at = self.next(at);
        }
    }

    /// The id at a place that is taken.
    #[inline]
    pub(crate) fn id(&self, at: usize) -> u32 {
        self.slots[at].id()
    }

    /// Replaces the id at a place that is taken.
    #[inline]
    pub(crate) fn set_id(&mut self, at: usize, id: u32) {
        self.slots[at] = Slot::new(self.slots[at].tag(), id);
    }

    /// Adds an id, whether or not it is there already.
    #[inline]
    pub(crate) fn insert(&mut self, tag: u32, id: u32) {
        if (self.taken + 1) * 100 > self.slots.len() * Self::FULLEST {
            self.grow();
        }
        self.taken += 1;
        self.put(Slot::new(tag, id));
    }

    #[inline]
    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag());
        while self.slots[at] != Slot::EMPTY {
            at = self.next(at);
        }
        self.slots[at] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() / 2 * 3;
        let old = std::mem::replace(&mut self.slots, vec![Slot::EMPTY; size]);
        for slot in old.into_iter().filter(|slot| *slot != Slot::EMPTY) {
            self.put(slot);
        }
    }

    /// Empties a place. Slots after it move up, so that none is cut off from its home by the gap.
    pub(crate) fn remove(&mut self, mut gap: usize) {
        self.taken -= 1;
        let len = self.slots.len();
        let mut at = gap;
        loop {
            at = self.next(at);
            let slot = self.slots[at];
            if slot == Slot::EMPTY {
                break;
            }
            // A slot may move into the gap unless its home lies after the gap.
            let from_home = |place: usize| (place + len - self.home(slot.tag())) % len;
            if from_home(gap) < from_home(at) {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = Slot::EMPTY;
    }

    /// Asks for the home of a tag ahead of a look-up.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        memory::prefetch(&self.slots, self.home(tag));
    }

    /// The id that a look-up will probably ask about first. Looks only at slots that [`prefetch`](Self::prefetch) has brought.
    #[inline]
    pub(crate) fn guess(&self, tag: u32) -> Option<u32> {
        let near = self.slots[self.home(tag)..].iter().take(Self::NEAR);
        near.copied().find(|slot| slot.tag() == tag && *slot != Slot::EMPTY).map(Slot::id)
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_what_is_left_after_any_removals() {
        let tags =
            |round: u32| (0..300_u32).map(move |at| (at.wrapping_mul(0x9e37_79b9) >> (at % 3 * 8), at * 3 + round));
        let mut table = Table::default();
        let mut present = std::collections::BTreeSet::new();
        for (tag, id) in (0..3).flat_map(tags) {
            table.insert(tag, id);
            present.insert((tag, id));
            if id % 2 == 1 {
                let gone = *present.iter().nth(id as usize % present.len()).unwrap();
                table.remove(table.find(gone.0, |id| id == gone.1).unwrap());
                present.remove(&gone);
                assert!(table.find(gone.0, |id| id == gone.1).is_err());
            }
            assert!(present.iter().all(|(tag, id)| table.find(*tag, |other| other == *id).is_ok()));
        }
        assert_eq!((table.taken, present.len()), (450, 450));
        assert!(table.slots.len() < 1000);
    }
}
