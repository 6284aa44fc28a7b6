//! The visited set: which states have been found.
//!
//! It is split into shards by hash, and during a merge each shard is owned by one thread: no locks, and the result
//! does not depend on the number of threads. A slot is 8 bytes, 32 bits of the hash and the id; the states themselves lie
//! in the [`Store`]. Where the 32 bits are equal, all words of the two states are compared, so two states are never
//! mistaken for one: the search is exact.
//!
//! Ids follow the order of first generation over the whole batch, which a shard alone cannot know. A state that is
//! new to a shard therefore gets a *provisional* id, `first_free + ordinal`, where `ordinal` counts the new states of
//! the shard in this batch; [`Shard::settle`] replaces it once the batch is numbered.
//!
//! A look-up waits for memory twice, for the slot and for the words of the stored state. Both are prefetched.
//!
//! Rejected: hash compaction (a few bits for each state, and an answer that is wrong with some probability), and one
//! concurrent table (ids, parents and thus traces would depend on the schedule of the threads).

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::store::states::{StateId, Store};
use crate::store::table::Table;

/// Slots are prefetched so many look-ups ahead when ids are settled.
const AHEAD: usize = 16;

/// The hash of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Bits that choose the shard.
    shard: u32,
    /// Bits that the shard's table works with.
    tag: u32,
}

impl Digest {
    /// Hashes a state. Nothing visible may depend on the value: foldhash promises nothing across versions.
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

/// A successor of the current batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The chunk that generated it.
    pub(crate) chunk: u32,
    /// Its index among the chunk's successors.
    pub(crate) successor: u32,
}

/// A part of the visited set.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    table: Table,
    /// The states that are new in this batch, by ordinal: the tag and the first occurrence.
    new: Vec<(u32, Origin)>,
}

impl Shard {
    /// Bytes of a state's slot and of its share of the empty ones: a table is two thirds full on average.
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

    /// The id of a stored state, between batches; none if it is not in this shard.
    pub(crate) fn find(&self, state: &[u64], digest: Digest, store: &Store) -> Option<StateId> {
        let at = self.table.find(digest.tag, |id| store.get(StateId(id)) == state);
        at.ok().map(|at| StateId(self.table.id(at)))
    }

    /// Asks for the slot of a state ahead of its look-up.
    #[inline]
    pub(crate) fn prefetch(&self, digest: Digest) {
        self.table.prefetch(digest.tag);
    }

    /// Asks for the words of the stored state that a look-up will compare with. To be called when the slot has come.
    #[inline]
    pub(crate) fn prefetch_state(&self, digest: Digest, store: &Store) {
        if let Some(id) = self.table.guess(digest.tag) {
            store.prefetch(StateId(id));
        }
    }

    /// Gives the new states their ids, by ordinal. A state that gets none is forgotten.
    pub(crate) fn settle(&mut self, first_free: u32, ids: &[Option<StateId>]) {
        debug_assert_eq!(ids.len(), self.new.len());
        for (ordinal, ((tag, _), id)) in self.new.iter().zip(ids).enumerate() {
            if let Some((tag, _)) = self.new.get(ordinal + AHEAD) {
                self.table.prefetch(*tag);
            }
            // This may find the slot of another state, with the same tag, that was settled to just this number. The two slots
            // are equal bit by bit, so it does not matter which of them changes.
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

    /// Words of a state.
    const STRIDE: usize = 3;

    /// States that differ in one word only: the first, the second or the last.
    const STATES: [[u64; STRIDE]; 4] = [[1, 2, 3], [9, 2, 3], [1, 9, 3], [1, 2, 9]];

    struct Batches {
        shard: Shard,
        store: Store,
        batch: Vec<[u64; STRIDE]>,
    }

    impl Batches {
        fn new() -> Self {
            Self { shard: Shard::default(), store: Store::new(STRIDE), batch: Vec::new() }
        }

        fn find(&mut self, state: [u64; STRIDE]) -> u32 {
            self.batch.push(state);
            let Self { shard, store, batch } = self;
            let origin = Origin { chunk: 0, successor: batch.len() as u32 - 1 };
            let words = |origin: Origin| &batch[origin.successor as usize][..];
            shard.find_or_insert(&state, COLLIDING, origin, store, store.len() as u32, words)
        }

        /// Ends the batch; its new states got these ids, and are stored in the order of ids.
        fn settle(&mut self, ids: &[Option<u32>], stored: &[[u64; STRIDE]]) {
            let ids: Vec<_> = ids.iter().map(|id| id.map(StateId)).collect();
            self.shard.settle(self.store.len() as u32, &ids);
            for state in stored {
                self.store.push(state, StateId(0), NO_OUTCOME);
            }
            self.batch.clear();
        }
    }

    #[test]
    fn states_with_equal_hashes_are_kept_apart_within_and_between_batches() {
        let [a, b, c, d] = STATES;
        let mut batches = Batches::new();
        let found: Vec<u32> = [a, b, a, c, b].into_iter().map(|state| batches.find(state)).collect();
        assert_eq!(found, [0, 1, 0, 2, 1]);
        // Another shard's states lie between: the ids given equal provisional ids of others.
        batches.settle(&[Some(1), Some(2), Some(4)], &[[0; STRIDE], a, b, [0; STRIDE], c]);
        let found: Vec<u32> = [c, d, b, a, d].into_iter().map(|state| batches.find(state)).collect();
        assert_eq!(found, [4, 5, 2, 1, 5]);
    }

    #[test]
    fn a_state_that_gets_no_id_is_forgotten() {
        let [a, b, ..] = STATES;
        let mut batches = Batches::new();
        assert_eq!([batches.find(a), batches.find(b)], [0, 1]);
        batches.settle(&[Some(0), None], &[a]);
        assert_eq!([batches.find(b), batches.find(a)], [1, 0]);
    }

    #[test]
    fn digests_depend_on_every_word() {
        let digests: Vec<Digest> = [&[1, 2, 3][..], &[1, 2, 4], &[1, 3, 3], &[2, 2, 3], &[1, 2]].map(Digest::of).into();
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest));
        }
    }
}
