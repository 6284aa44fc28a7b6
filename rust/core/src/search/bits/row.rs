//! A row of bits, one for each state of a pattern, which threads set together.
//!
//! Threads set bits at the same time, each by one atomic operation, and never clear one; bits are read after a barrier, when all
//! are set. The load before an update may miss what another thread has just set: then a bit is set twice, which changes nothing.
//! Nothing but the bits themselves is read for the sake of a bit, so every access is relaxed.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// The states of one pattern, a bit each. A state's number combines the ranks of all classes; that of the last class varies
/// fastest.
#[derive(Debug)]
pub(crate) struct Bits<'l> {
    pub(crate) words: &'l [AtomicU64],
    pub(crate) len: u64,
}

impl Bits<'_> {
    /// Sets `count` bits from `first` on.
    #[inline]
    pub(crate) fn set(&self, first: u64, count: u64) {
        const LAST: u64 = u64::BITS as u64 - 1;
        let end = first + count - 1;
        let (from, to) = ((first / 64) as usize, (end / 64) as usize);
        let (head, tail) = (u64::MAX << (first & LAST), u64::MAX >> (LAST - (end & LAST)));
        // Most bits are set already. A load leaves the cache line shared; only a change takes it from other threads.
        let put = |at: usize, bits: u64| {
            if self.words[at].load(Relaxed) & bits != bits {
                self.words[at].fetch_or(bits, Relaxed);
            }
        };
        if from == to {
            put(from, head & tail);
        } else {
            put(from, head);
            (from + 1..to).for_each(|at| put(at, u64::MAX));
            put(to, tail);
        }
    }

    /// Sets all bits.
    pub(crate) fn set_all(&self) {
        self.set(0, self.len);
    }

    /// The number of bits that are set.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits_begin_and_end_anywhere() {
        for (first, count) in [(0, 1), (0, 64), (63, 2), (5, 190), (64, 64), (127, 1), (199, 1), (0, 200)] {
            let words: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
            let row = Bits { words: &words, len: 200 };
            row.set(first, count);
            row.set(first, count);
            let set = (0..200).filter(|at| words[at / 64].load(Relaxed) >> (at % 64) & 1 == 1);
            assert!(set.eq(first as usize..(first + count) as usize));
            assert_eq!(row.count(), count);
        }
    }
}
