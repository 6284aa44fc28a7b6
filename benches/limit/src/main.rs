//! How many random insert-if-absent operations a second does this machine do?
//! `tdxexplore-limit BYTES STATES OPERATIONS THREADS`, with keys of 16 or 32 bytes.
//!
//! The bare core of a search that stores its states: keys that cost nothing to make, a table of zeroed memory on huge
//! pages that was touched before the clock starts, linear probing, batches whose slots are prefetched before any is
//! looked at. A key comes again only after all others, so every look-up misses the cache.
//!
//! Two tables, as each can be the faster: *shared* takes a slot by exchanging its first word, and any thread inserts any
//! key; *owned* is cut into one part for each thread, with keys of its own and no atomic operations, as if handing
//! states over were free. Prints one JSON line: operations a second of each, and how many keys were new.

use std::cell::RefCell;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use memmap2::{Advice, MmapMut};

/// Keys between prefetch and look-up.
const BATCH: usize = 32;
/// Slots for each 100 keys: where a table that grows on demand stands on average.
const SLOTS_PERCENT: usize = 165;
/// A word has been written.
const WRITTEN: u64 = 1 << 63;

/// A part of the keys and how often to try them.
#[derive(Clone, Copy)]
struct Work {
    first: usize,
    keys: usize,
    operations: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    match *arguments.as_slice() {
        [16, keys, operations, threads] => run::<2>(keys, operations, threads),
        [32, keys, operations, threads] => run::<4>(keys, operations, threads),
        _ => Err("usage: tdxexplore-limit 16|32 STATES OPERATIONS THREADS".into()),
    }
}

fn run<const W: usize>(keys: usize, operations: usize, threads: usize) -> Result<(), Box<dyn Error>> {
    if keys < threads || operations < keys || threads == 0 {
        return Err("at least one key a thread, and one operation a key".into());
    }
    let (shared, new_shared) = shared::<W>(keys, operations, threads)?;
    let (owned, new_owned) = owned::<W>(keys, operations, threads)?;
    assert_eq!((new_shared, new_owned), (keys, keys), "every key is new once");
    println!("{{\"shared\": {shared:.0}, \"owned\": {owned:.0}, \"new\": {keys}}}");
    Ok(())
}

/// The share of each thread.
fn share(keys: usize, operations: usize, threads: usize) -> Vec<Work> {
    let cut = |whole: usize, at: usize| whole * at / threads;
    (0..threads)
        .map(|at| Work {
            first: cut(keys, at),
            keys: cut(keys, at + 1) - cut(keys, at),
            operations: cut(operations, at + 1) - cut(operations, at),
        })
        .collect()
}

/// Zeroed words, in memory already.
fn touched(words: usize) -> std::io::Result<MmapMut> {
    let mut map = MmapMut::map_anon(words * size_of::<u64>())?;
    // A hint: without huge pages the figure is lower, and so is the engine's.
    let _ = map.advise(Advice::HugePage);
    map.fill(0);
    Ok(map)
}

/// One table; a slot is taken by exchanging its first word.
fn shared<const W: usize>(keys: usize, operations: usize, threads: usize) -> Result<(f64, usize), Box<dyn Error>> {
    let slots = keys / 100 * SLOTS_PERCENT + 64;
    let mut map = touched(slots * W)?;
    let cells = atomic(bytemuck::cast_slice_mut(&mut map));
    Ok(timed(share(keys, operations, threads), |work| {
        batches::<W>(
            work,
            |key| {
                let at = home(key[0], slots) * W;
                prefetch(&cells[at]);
                at
            },
            |key, mut at| loop {
                let slot = &cells[at..at + W];
                let mut found = slot[0].load(Relaxed);
                if found == 0 {
                    match slot[0].compare_exchange(0, key[0], Relaxed, Relaxed) {
                        Ok(_) => {
                            (1..W).for_each(|word| slot[word].store(key[word], Relaxed));
                            return true;
                        }
                        Err(other) => found = other,
                    }
                }
                // The other words may be about to be written.
                if found == key[0] && (1..W).all(|word| written(&slot[word]) == key[word]) {
                    return false;
                }
                at = if at + W == slots * W { 0 } else { at + W };
            },
        )
    }))
}

/// A table for each thread, and each thread with keys of its own.
fn owned<const W: usize>(keys: usize, operations: usize, threads: usize) -> Result<(f64, usize), Box<dyn Error>> {
    let slots = keys / threads / 100 * SLOTS_PERCENT + 64;
    let tables = (0..threads).map(|_| touched(slots * W)).collect::<Result<Vec<_>, _>>()?;
    let parts = share(keys, operations, threads).into_iter().zip(tables).collect();
    Ok(timed(parts, |(work, mut map)| {
        let table = RefCell::new(bytemuck::cast_slice_mut::<u8, u64>(&mut map));
        batches::<W>(
            work,
            |key| {
                let at = home(key[0], slots) * W;
                prefetch(&table.borrow()[at]);
                at
            },
            |key, mut at| loop {
                let slot = &mut table.borrow_mut()[at..at + W];
                if slot[0] == 0 {
                    slot.copy_from_slice(key);
                    return true;
                }
                if slot == key {
                    return false;
                }
                at = if at + W == slots * W { 0 } else { at + W };
            },
        )
    }))
}

/// Runs each part on a thread; operations a second of all, and new keys.
fn timed<P: Parted>(parts: Vec<P>, work: impl Fn(P) -> usize + Sync) -> (f64, usize) {
    let operations: usize = parts.iter().map(Parted::operations).sum();
    let started = Instant::now();
    let new = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).sum()
    });
    (operations as f64 / started.elapsed().as_secs_f64(), new)
}

trait Parted: Send {
    fn operations(&self) -> usize;
}

impl Parted for Work {
    fn operations(&self) -> usize {
        self.operations
    }
}

impl Parted for (Work, MmapMut) {
    fn operations(&self) -> usize {
        self.0.operations
    }
}

/// Makes keys, asks for their slots, then looks at them; returns how many were new.
fn batches<const W: usize>(
    work: Work,
    find: impl Fn(&[u64; W]) -> usize,
    insert: impl Fn(&[u64; W], usize) -> bool,
) -> usize {
    let (mut new, mut next) = (0, 0);
    let mut batch = [([0; W], 0); BATCH];
    for done in (0..work.operations).step_by(BATCH) {
        let batch = &mut batch[..BATCH.min(work.operations - done)];
        for (key, at) in batch.iter_mut() {
            *key = make::<W>((work.first + next) as u64);
            *at = find(key);
            next = if next + 1 == work.keys { 0 } else { next + 1 };
        }
        new += batch.iter().filter(|(key, at)| insert(key, *at)).count();
    }
    new
}

/// A key for each number, all different: the first word is one to one below its highest bit, and spread evenly.
#[inline]
fn make<const W: usize>(number: u64) -> [u64; W] {
    // Multiplying with an odd number and folding high bits down are one to one in 63 bits.
    const BITS: u64 = WRITTEN - 1;
    let mut word = number.wrapping_mul(0x1e37_79b9_7f4a_7c15) & BITS;
    word ^= word >> 32;
    word = word.wrapping_mul(0x3f58_476d_1ce4_e5b9) & BITS;
    word ^= word >> 32;
    std::array::from_fn(|at| word.rotate_left(at as u32 * 8) | WRITTEN)
}

#[inline]
fn home(word: u64, slots: usize) -> usize {
    ((u128::from(word << 1) * slots as u128) >> 64) as usize
}

/// The word of a slot that another thread has taken and may still be writing.
#[inline]
fn written(cell: &AtomicU64) -> u64 {
    loop {
        match cell.load(Relaxed) {
            0 => std::hint::spin_loop(),
            word => return word,
        }
    }
}

/// The same words, for several threads.
fn atomic(words: &mut [u64]) -> &[AtomicU64] {
    // SAFETY: the two types have the same size, alignment (on 64-bit machines) and bit patterns, and the exclusive
    // borrow lasts as long as the result, so that every access is atomic.
    unsafe { std::slice::from_raw_parts(words.as_mut_ptr().cast::<AtomicU64>(), words.len()) }
}

#[inline]
fn prefetch<T>(word: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch changes nothing, and the address is that of a live word.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch(std::ptr::from_ref(word).cast::<i8>(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}
