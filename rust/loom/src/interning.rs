//! Values that threads intern, and ids that they pass on.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::every_order;
use crate::store::interner::{Interner, Keyed, Lazy};

/// A value that is its own key. Keys of the same `lock` have the same hash, and so the same lock.
#[derive(Debug, PartialEq, Eq)]
struct Value {
    lock: u64,
    number: u64,
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lock.hash(state);
    }
}

impl Keyed for Value {
    type Key = Self;

    fn key(&self) -> &Self {
        self
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Values that are in place before the threads start, so that their own come before and behind the end of a segment.
const BEFORE: u64 = 15;

/// Interns a value; reads it back, by an id that needs no lock.
fn id(interner: &Interner<Value>, lock: u64, number: u64) -> u32 {
    let id = interner.intern(&Value { lock, number }, || Value { lock, number });
    assert_eq!(*interner.get(id), Value { lock, number });
    id
}

/// Two or three threads intern the same two values, which have one lock or two: they get the same ids, and different ones for
/// different values.
#[must_use]
pub fn threads_intern_the_same_values(preemptions: Option<usize>, locks: [u64; 2], threads: usize) -> usize {
    every_order(preemptions, move || {
        let interner = Arc::new(Interner::new());
        for number in 0..BEFORE {
            id(&interner, number % 3, number);
        }
        let others = (1..threads).map(|_| {
            let shared = Arc::clone(&interner);
            loom::thread::spawn(move || {
                let second = id(&shared, locks[1], 101);
                [id(&shared, locks[0], 100), second]
            })
        });
        let others: Vec<_> = others.collect();
        let own = [id(&interner, locks[0], 100), id(&interner, locks[1], 101)];
        assert!(others.into_iter().all(|other| other.join().unwrap() == own));
        let mut ids = own;
        ids.sort_unstable();
        assert_eq!(ids, [15, 16]);
    })
}

/// Two threads want an id that is computed late: whoever computes it, both get the same, and the value is there for both.
#[must_use]
pub fn who_reads_an_id_sees_its_value(preemptions: Option<usize>) -> usize {
    every_order(preemptions, || {
        let shared = Arc::new((Interner::new(), Lazy::new()));
        let find = |shared: &(Interner<Value>, Lazy)| {
            let (interner, lazy) = shared;
            let known = lazy.get_or(|| id(interner, 0, 7));
            assert_eq!(interner.get(known).number, 7);
            known
        };
        let other = loom::thread::spawn({
            let shared = Arc::clone(&shared);
            move || find(&shared)
        });
        assert_eq!(find(&shared), other.join().unwrap());
    })
}
