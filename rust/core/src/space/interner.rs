//! Numbers for values that occur again and again: equal values get equal ids, and a value is computed once.
//!
//! Threads read without locks, since a value never moves: values lie in segments, each as large as all before it.
//! Inserting takes a lock, which is rare once the values of a search are known.
//!
//! Which id a value gets depends on which thread comes first. Nothing that is visible may depend on ids, other than
//! on whether two are equal.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Values in the first segment, as a power of two.
const FIRST_BITS: u32 = 6;
const SEGMENTS: usize = (u32::BITS - FIRST_BITS) as usize;

/// A value with what it is found by.
pub(super) trait Keyed {
    type Key: ?Sized + Hash + Eq;

    fn key(&self) -> &Self::Key;

    /// Bytes outside the value itself.
    fn heap_bytes(&self) -> usize;
}

/// Values by id.
#[derive(Debug)]
pub(super) struct Interner<T> {
    segments: [OnceLock<Box<[OnceLock<T>]>>; SEGMENTS],
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    ids: HashTable<u32>,
    heap_bytes: usize,
}

/// The segment of an id and the place in it.
#[inline]
fn place(id: u32) -> (usize, usize) {
    let at = id as usize + (1 << FIRST_BITS);
    let top = at.ilog2();
    ((top - FIRST_BITS) as usize, at - (1 << top))
}

impl<T: Keyed> Interner<T> {
    pub(super) fn new() -> Self {
        Self { segments: [const { OnceLock::new() }; SEGMENTS], index: Mutex::default() }
    }

    /// The value with this id.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &T {
        let (segment, at) = place(id);
        let value = self.segments[segment].get().and_then(|values| values[at].get());
        value.expect("an id is given out after its value is in place")
    }

    /// The id of the value with this key; `make` may be called in vain, by several threads at once.
    pub(super) fn intern(&self, key: &T::Key, make: impl FnOnce() -> T) -> u32 {
        let hash_of = |key: &T::Key| FixedState::default().hash_one(key);
        let hash = hash_of(key);
        let find = |index: &Index| index.ids.find(hash, |id| self.get(*id).key() == key).copied();
        let known = find(&self.index());
        known.unwrap_or_else(|| {
            let value = make();
            let mut index = self.index();
            find(&index).unwrap_or_else(|| {
                let id = u32::try_from(index.ids.len()).ok().filter(|id| *id < UNKNOWN - (1 << FIRST_BITS));
                let id = id.expect("fewer than 2^32 different values");
                index.heap_bytes += value.heap_bytes();
                let (segment, at) = place(id);
                let values = self.segments[segment]
                    .get_or_init(|| (0..1 << (segment as u32 + FIRST_BITS)).map(|_| OnceLock::new()).collect());
                let vacant = values[at].set(value).is_ok();
                debug_assert!(vacant);
                index.ids.insert_unique(hash, id, |id| hash_of(self.get(*id).key()));
                id
            })
        })
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        let index = self.index();
        let segments = self.segments.iter().filter_map(OnceLock::get);
        let inline: usize = segments.map(|values| size_of_val(&**values)).sum();
        inline + index.heap_bytes + index.ids.allocation_size()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNKNOWN: u32 = u32::MAX;

/// An id that is worked out when it is first needed.
#[derive(Debug)]
pub(super) struct Lazy(AtomicU32);

impl Lazy {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }

    /// Threads that ask at the same time all work it out, and find the same.
    #[inline]
    pub(super) fn get_or(&self, find: impl FnOnce() -> u32) -> u32 {
        let known = self.0.load(Acquire);
        if known != UNKNOWN {
            return known;
        }
        let id = find();
        self.0.store(id, Release);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Number(u64);

    impl Keyed for Number {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }

        fn heap_bytes(&self) -> usize {
            1
        }
    }

    #[test]
    fn threads_agree_on_ids_and_ids_lead_back_to_values() {
        const VALUES: u64 = 1000;
        let interner = Interner::new();
        let all = |offset: u64| {
            let values = (0..VALUES).map(|at| (at + offset) % VALUES);
            let mut ids: Vec<_> = values.map(|at| (at, interner.intern(&(at * 7), || Number(at * 7)))).collect();
            ids.sort_unstable();
            ids
        };
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads = [0, 500, 999].map(|offset| scope.spawn(move || all(offset)));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|other| *other == ids[0]));
        assert!(ids[0].iter().all(|(at, id)| interner.get(*id).0 == at * 7));
        let mut distinct: Vec<u32> = ids[0].iter().map(|(_, id)| *id).collect();
        distinct.sort_unstable();
        assert!(distinct.into_iter().eq(0..VALUES as u32));
        assert!(interner.bytes() > 1000 * size_of::<Number>() + 1000);
    }

    #[test]
    fn segments_hold_each_id_once() {
        let places: Vec<_> = (0..1000).map(place).collect();
        assert_eq!(
            [places[0], places[63], places[64], places[191], places[192]],
            [(0, 0), (0, 63), (1, 0), (1, 127), (2, 0)]
        );
        assert_eq!(place(UNKNOWN - (1 << FIRST_BITS) - 1).0, SEGMENTS - 1);
    }
}
