//! A package and its CPUs as words: the canonical form of a multiset.
//!
//! ```text
//! header   class:8  runs-1:8  package word:48        (or class:8 runs-1:8 in the low bits, and the package word
//!                                                     in a second u64, if package words have more than 48 bits)
//! run      class:8  CPU word:48  count-1:8           in ascending order, one for each kind of CPU
//! ```
//!
//! CPUs are of one *kind* if they have the same class and the same word. A run's *key* is its class above its word.
//!
//! Invariant: keys are distinct and ascend. So two packages have equal words exactly if they have the same class and word and
//! the same number of CPUs of each kind. Nothing is searched for: canonicalising is sorting a few numbers.

use crate::program::Program;

/// Bits of a CPU's word, and of a package's word that fits the first header word.
const WORD_BITS: u32 = 48;
const WORD: u64 = (1 << WORD_BITS) - 1;
const BYTE: u64 = 0xff;

/// `count` CPUs with this key.
pub(super) fn run(key: u64, count: u32) -> u64 {
    key << 8 | u64::from(count - 1)
}

/// The inverse of [`run`].
pub(super) fn key_and_count(run: u64) -> (u64, u32) {
    (run >> 8, (run & BYTE) as u32 + 1)
}

/// The key of a CPU of this class with this word. Class bits lie above those of the word, so cubes on the word match keys.
pub(super) fn key(class: u64, word: u64) -> u64 {
    class << WORD_BITS | word
}

/// The class of a key.
pub(super) fn class_of(key: u64) -> u64 {
    key >> WORD_BITS
}

/// The CPU word of a key.
pub(super) fn word_of(key: u64) -> u64 {
    key & WORD
}

/// The form of headers, which depends on the width of package words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// 1 or 2.
    header_words: usize,
}

impl Format {
    pub(super) fn new(program: &Program) -> Self {
        Self { header_words: if program.widths.package <= WORD_BITS { 1 } else { 2 } }
    }

    /// The words of a package, given its class and its word, and runs of its CPUs in any order, of which several may have
    /// the same key.
    pub(super) fn pack(self, class: u64, word: u64, runs: impl Iterator<Item = u64>) -> Vec<u64> {
        let most = runs.size_hint().1.unwrap_or(0);
        let mut words = Vec::with_capacity(self.header_words + most);
        words.resize(self.header_words, 0);
        words.extend(runs);
        words[self.header_words..].sort_unstable();
        let mut last = self.header_words;
        for at in last + 1..words.len() {
            let ((key, count), (last_key, last_count)) = (key_and_count(words[at]), key_and_count(words[last]));
            if key == last_key {
                words[last] = run(key, last_count + count);
            } else {
                last += 1;
                words[last] = words[at];
            }
        }
        words.truncate(last + 1);
        let runs_but_one = (last - self.header_words) as u64;
        if self.header_words == 1 {
            words[0] = class << 56 | runs_but_one << WORD_BITS | word;
        } else {
            words[..2].copy_from_slice(&[class << 8 | runs_but_one, word]);
        }
        words
    }

    /// The class and the word of a package, and its runs.
    pub(super) fn unpack(self, words: &[u64]) -> (u64, u64, &[u64]) {
        let runs = &words[self.header_words..];
        if self.header_words == 1 { (words[0] >> 56, words[0] & WORD, runs) } else { (words[0] >> 8, words[1], runs) }
    }

    /// The run of the kind with this index.
    #[inline]
    pub(super) fn run(self, words: &[u64], kind: usize) -> u64 {
        words[self.header_words + kind]
    }

    /// The same package with no more than `most` CPUs of each kind.
    pub(super) fn saturated(self, words: &[u64], most: u32) -> Vec<u64> {
        let mut saturated = words.to_vec();
        for word in &mut saturated[self.header_words..] {
            let (key, count) = key_and_count(*word);
            *word = run(key, count.min(most));
        }
        saturated
    }
}
