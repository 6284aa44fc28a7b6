//! The visited set: which states have been found.
//!
//! It is split into shards by hash, and during a merge each shard is owned by one thread: no locks, and the result
//! does not depend on the number of threads. A slot is 8 bytes, 32 bits of the hash and the id; the states themselves lie
//! in the [`Store`]. A match of hashes is always followed by a comparison of the states: the search is
//! exact, never probable.
//!
//! Ids follow the order of first generation over the whole batch, which a shard alone cannot know. A state that is
//! new to a shard therefore gets a *provisional* id, `first_free + ordinal`, where `ordinal` counts the new states of
//! the shard in this batch; [`Shard::settle`] replaces it once the batch is numbered.
//!
//! Slot and state are asked for ahead of a look-up, or it would wait twice for the memory.
//!
//! Rejected: hash compaction (a few bits for each state, and an answer that is wrong with some probability), and one
//! concurrent table (ids, parents and thus traces would depend on the schedule of the threads).

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::store::states::{StateId, Store};
use crate::store::table::Table;

/// How far ahead of their use slots are asked for.
const AHEAD: usize = 16;

/// Bits of a state's hash: those that choose the shard, and those that the shard works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    shard: u32,
    tag: u32,
}

impl Digest {
    /// Nothing visible may depend on the value: foldhash promises nothing across versions.
    #[inline]
    pub(crate) fn of(state: &[u64]) -> Self {
        let mut hasher = FixedState::default().build_hasher();
        let (pairs, odd) = state.as_chunks::<2>();
        for [low, high] in pairs {
            hasher.write_u128(u128::from(*high) << 64 | u128::from(*low));
        }
        if let [last] = odd {
            hasher.write_u64(*last);
        }
        let hash = hasher.finish();
        Self { shard: (hash >> 32) as u32, tag: hash as u32 }
    }

    /// Which of `shards`, a power of two, the state belongs to.
    #[inline]
    pub(crate) fn shard(self, shards: usize) -> usize {
        self.shard as usize & (shards - 1)
    }
}

/// Where the words of a successor are in the current batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) chunk: u32,
    pub(crate) successor: u32,
}

/// A part of the visited set.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    table: Table,
    /// The states that are new in this batch, by ordinal: their hashes and first occurrences.
    new: Vec<(u32, Origin)>,
}

impl Shard {
    /// A slot of a table that is two thirds full, as it is on average.
    pub(crate) const BYTES_PER_STATE: u64 = Table::SLOT_BYTES as u64 * 3 / 2;

    /// The number of states that are new in this batch.
    pub(crate) fn new_states(&self) -> usize {
        self.new.len()
    }

    /// The id of the state; if it is new, a provisional one from `first_free` on.
    ///
    /// `words` gives the words of a successor of this batch.
    #[inline]
    pub(crate) fn find_or_insert<'a>(
        &mut self,
        state: &[u64],
        digest: Digest,
        origin: Origin,
        store: &'a Store,
        first_free: u32,
        words: impl Fn(Origin) -> &'a [u64],
    ) -> u32 {
        let same = |id: u32| {
            state
                == if id < first_free { store.get(StateId(id)) } else { words(self.new[(id - first_free) as usize].1) }
        };
        if let Ok(at) = self.table.find(digest.tag, same) {
            return self.table.id(at);
        }
        let id = first_free + self.new.len() as u32;
        self.table.insert(digest.tag, id);
        self.new.push((digest.tag, origin));
        id
    }

    /// Asks for the slot of a state ahead of its look-up,
    #[inline]
    pub(crate) fn prefetch(&self, digest: Digest) {
        self.table.prefetch(digest.tag);
    }

    /// and then, when the slot has come, for the words of the stored state that it will be compared with.
    #[inline]
    pub(crate) fn prefetch_state(&self, digest: Digest, store: &Store) {
        if let Some(id) = self.table.guess(digest.tag) {
            store.prefetch(StateId(id));
        }
    }

    /// Gives the new states their ids, in the order of their ordinals; without one, a state is forgotten.
    pub(crate) fn settle(&mut self, first_free: u32, ids: &[Option<StateId>]) {
        debug_assert_eq!(ids.len(), self.new.len());
        for (ordinal, ((tag, _), id)) in self.new.iter().zip(ids).enumerate() {
            if let Some((tag, _)) = self.new.get(ordinal + AHEAD) {
                self.table.prefetch(*tag);
            }
            // This may find the slot of another state that was settled to just this number. Slots of equal content are
            // interchangeable: what counts is that one of them changes.
            let provisional = first_free + ordinal as u32;
            let Ok(at) = self.table.find(*tag, |id| id == provisional) else {
                unreachable!("a new state stays in its table until it is settled")
            };
            match id {
                Some(id) => self.table.set_id(at, id.0),
                None => self.table.remove(at),
            }
        }
        self.new.clear();
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.new.capacity() * size_of::<(u32, Origin)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::states::NO_OUTCOME;

    /// Every state has the same hash.
    const COLLIDING: Digest = Digest { shard: 0, tag: 7 };

    struct Batches {
        shard: Shard,
        store: Store,
        batch: Vec<[u64; 1]>,
    }

    impl Batches {
        fn find(&mut self, state: u64) -> u32 {
            self.batch.push([state]);
            let Self { shard, store, batch } = self;
            let origin = Origin { chunk: 0, successor: batch.len() as u32 - 1 };
            let words = |origin: Origin| &batch[origin.successor as usize][..];
            shard.find_or_insert(&[state], COLLIDING, origin, store, store.len() as u32, words)
        }

        /// Ends the batch; its new states got these ids, and are stored in the order of ids.
        fn settle(&mut self, ids: &[Option<u32>], stored: &[u64]) {
            let ids: Vec<_> = ids.iter().map(|id| id.map(StateId)).collect();
            self.shard.settle(self.store.len() as u32, &ids);
            for state in stored {
                self.store.push(&[*state], StateId(0), NO_OUTCOME);
            }
            self.batch.clear();
        }
    }

    #[test]
    fn states_with_equal_hashes_are_kept_apart_within_and_between_batches() {
        let mut batches = Batches { shard: Shard::default(), store: Store::new(1), batch: Vec::new() };
        let found: Vec<u32> = [10, 20, 10, 30, 20].into_iter().map(|state| batches.find(state)).collect();
        assert_eq!(found, [0, 1, 0, 2, 1]);
        // Another shard's states lie between: the ids given equal provisional ids of others.
        batches.settle(&[Some(1), Some(2), Some(4)], &[0, 10, 20, 0, 30]);
        let found: Vec<u32> = [30, 40, 20, 10, 40].into_iter().map(|state| batches.find(state)).collect();
        assert_eq!(found, [4, 5, 2, 1, 5]);
    }

    #[test]
    fn a_state_that_gets_no_id_is_forgotten() {
        let mut batches = Batches { shard: Shard::default(), store: Store::new(1), batch: Vec::new() };
        assert_eq!([batches.find(10), batches.find(20)], [0, 1]);
        batches.settle(&[Some(0), None], &[10]);
        assert_eq!([batches.find(20), batches.find(10)], [1, 0]);
    }

    #[test]
    fn digests_depend_on_every_word() {
        let digests: Vec<Digest> = [&[1, 2, 3][..], &[1, 2, 4], &[1, 3, 3], &[2, 2, 3], &[1, 2]].map(Digest::of).into();
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest));
        }
    }
}
