//! Bits that threads set together.

use std::sync::Arc;

use crate::every_order;
use crate::search::row::Bits;
use crate::sync::AtomicU64;

/// Threads set runs of bits that overlap and end in the same words: no bit is lost.
#[must_use]
pub fn threads_set_bits_of_one_word(preemptions: Option<usize>) -> usize {
    every_order(preemptions, || {
        let words: Arc<Vec<AtomicU64>> = Arc::new((0..2).map(|_| AtomicU64::new(0)).collect());
        let threads = [(3, 2), (60, 10), (62, 40)].map(|(first, count)| {
            let words = Arc::clone(&words);
            loom::thread::spawn(move || Bits { words: &words, len: 128 }.set(first, count))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(Bits { words: &words, len: 128 }.count(), 2 + 42);
    })
}
