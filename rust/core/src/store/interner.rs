//! Interning: equal values get equal ids, and a value is computed once.
//!
//! Values lie in segments that are never moved or freed, each a quarter larger than all before it, so a value is read by id
//! without a lock. To find the id of a value, a thread takes one of several locks, chosen by the hash of the value, and looks
//! into the table below it.
//!
//! Invariants: an id is given out after its value is in place. A value, once in place, never changes.
//!
//! Which id a value gets depends on which thread comes first. Nothing visible may depend on ids, other than on whether two
//! are equal.
//!
//! Rejected: a `Vec` behind a lock for readers and writers, as a read is on the path of every successor; a concurrent map
//! from a library, which does not say how many bytes it holds.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::store::table::Table;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU32, Mutex, MutexGuard, OnceLock, PoisonError};

/// Four segments of one size double the number of places: each adds a quarter to all before it, or a little less. So at most
/// a fifth of the places are vacant.
const STEP_BITS: u32 = 2;
/// Places in the first segments, as a power of two.
const FIRST_BITS: u32 = 4;
const SEGMENTS: usize = ((u32::BITS - FIRST_BITS - STEP_BITS) as usize) << STEP_BITS;

/// Locks: so many that two threads seldom want the same one.
const INDICES: usize = 64;

/// A value that is found by a part of it.
pub(crate) trait Keyed {
    type Key: ?Sized + Hash + Eq;

    /// The part. Values with equal keys are equal.
    fn key(&self) -> &Self::Key;

    /// Bytes that the value owns outside itself. They never change.
    fn heap_bytes(&self) -> usize;
}

/// Values by id, and ids by key.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    segments: [OnceLock<Box<[OnceLock<T>]>>; SEGMENTS],
    /// Ids given out.
    len: AtomicU32,
    indices: [Mutex<Index>; INDICES],
}

/// The values whose keys have some hashes.
#[derive(Debug, Default)]
struct Index {
    /// Their ids, by hash.
    ids: Table,
    /// The sum of their [`Keyed::heap_bytes`].
    heap_bytes: usize,
}

/// The segment of an id, the place in it, and the size of the segment.
#[inline]
fn place(id: u32) -> (usize, usize, usize) {
    let at = id as usize + (1 << (FIRST_BITS + STEP_BITS));
    let size_bits = at.ilog2() - STEP_BITS;
    let segment = ((size_bits - FIRST_BITS) << STEP_BITS) as usize + (at >> size_bits) - (1 << STEP_BITS);
    (segment, at & ((1 << size_bits) - 1), 1 << size_bits)
}

impl<T: Keyed> Interner<T> {
    pub(crate) fn new() -> Self {
        Self {
            segments: std::array::from_fn(|_| OnceLock::new()),
            len: AtomicU32::new(0),
            indices: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// The value with this id.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> &T {
        let (segment, at, _) = place(id);
        let value = self.segments[segment].get().and_then(|values| values[at].get());
        value.expect("an id is given out after its value is in place")
    }

    /// The id of the value with this key; `make` makes it if there is none yet. `make` runs under a lock and must not look for
    /// values in the same interner.
    pub(crate) fn intern(&self, key: &T::Key, make: impl FnOnce() -> T) -> u32 {
        let hash = FixedState::default().hash_one(key);
        let (part, tag) = ((hash >> u32::BITS) as usize % INDICES, hash as u32);
        let mut index = lock(&self.indices[part]);
        if let Ok(at) = index.ids.find(tag, |id| self.get(id).key() == key) {
            return index.ids.id(at);
        }
        let value = make();
        index.heap_bytes += value.heap_bytes();
        // Each thread gets another number, whatever the order; the number tells nothing of the value until that is in place.
        let id = self.len.fetch_add(1, Relaxed);
        assert!(id < MOST, "more than {MOST} different values");
        let (segment, at, size) = place(id);
        let values = self.segments[segment].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        let vacant = values[at].set(value).is_ok();
        debug_assert!(vacant);
        index.ids.insert(tag, id);
        id
    }

    /// Bytes allocated: the segments, the heap of the values in them, and the tables of ids.
    pub(crate) fn bytes(&self) -> usize {
        let segments = self.segments.iter().filter_map(OnceLock::get);
        let inline: usize = segments.map(|values| size_of_val(&**values)).sum();
        let indices = self.indices.iter().map(lock);
        inline + indices.map(|index| index.heap_bytes + index.ids.bytes()).sum::<usize>()
    }
}

/// Locks an index, also after a thread that held the lock has panicked: the table is consistent at any time.
fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

const UNKNOWN: u32 = u32::MAX;

/// The most values: these have a place in the segments.
const MOST: u32 = UNKNOWN - (1 << (FIRST_BITS + STEP_BITS));

/// An id that is computed when it is first needed. It is stored with `Release` and read with `Acquire`: whoever reads it also sees
/// the value that it stands for, which was put in place before.
#[derive(Debug)]
pub(crate) struct Lazy(AtomicU32);

impl Lazy {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }

    /// The id; `find` computes it if it is not known. Threads that ask at the same time all compute it, with the same result.
    #[inline]
    pub(crate) fn get_or(&self, find: impl FnOnce() -> u32) -> u32 {
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

    /// A number that owns so many bytes.
    #[derive(Debug)]
    struct Number(u64, usize);

    impl Keyed for Number {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }

        fn heap_bytes(&self) -> usize {
            self.1
        }
    }

    #[test]
    fn threads_agree_on_ids_and_ids_lead_back_to_values() {
        const VALUES: u64 = 1000;
        let interner = Interner::new();
        let all = |offset: u64| {
            let values = (0..VALUES).map(|at| (at + offset) % VALUES);
            let mut ids: Vec<_> = values.map(|at| (at, interner.intern(&(at * 7), || Number(at * 7, 0)))).collect();
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
    }

    #[test]
    fn bytes_are_those_of_places_tables_and_heaps_each_value_once() {
        let bytes = |values: u64, heap_bytes: usize| {
            let interner = Interner::new();
            for at in (0..values).chain(0..values) {
                interner.intern(&at, || Number(at, heap_bytes));
            }
            interner.bytes()
        };
        let (few, many) = (bytes(0, 0), bytes(1000, 0));
        assert!(
            many - few >= 1000 * size_of::<OnceLock<Number>>() && many - few <= 2000 * size_of::<OnceLock<Number>>()
        );
        assert_eq!(bytes(1000, 13), many + 1000 * 13);
    }

    /// Every key has the same hash.
    #[derive(Debug, PartialEq, Eq)]
    struct Colliding(u64);

    impl Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    impl Keyed for Colliding {
        type Key = Self;

        fn key(&self) -> &Self {
            self
        }

        fn heap_bytes(&self) -> usize {
            0
        }
    }

    #[test]
    fn keys_with_equal_hashes_are_kept_apart() {
        let interner = Interner::new();
        let ids = [1, 2, 1, 3, 2].map(|key| interner.intern(&Colliding(key), || Colliding(key)));
        assert_eq!(ids, [0, 1, 0, 2, 1]);
    }

    #[test]
    fn segments_hold_each_id_once() {
        let (mut next, mut total) = ((0, 0), 0);
        for id in 0..10_000 {
            let (segment, at, size) = place(id);
            assert_eq!((segment, at), next);
            next = if at + 1 == size { (segment + 1, 0) } else { (segment, at + 1) };
            total += if at == 0 { size } else { 0 };
            assert!(total <= (id as usize + 1) * 5 / 4 + (1 << FIRST_BITS));
        }
        let (segment, at, size) = place(MOST - 1);
        assert!(segment == SEGMENTS - 1 && at < size);
    }
}
