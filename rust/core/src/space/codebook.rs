//! Short codes for the words that really occur.
//!
//! A CPU's word has a bit for each bit of its variables, but few of their combinations are reachable. The orbit space
//! stands for all labelled states with far fewer of its own, so once it is explored the words of each scope are known, and
//! a word is its rank among them: six or seven bits where there were twenty.
//!
//! A word that is not in the book was reached by no orbit. Whoever meets one has shown that the two spaces disagree, or
//! that the orbit space was not explored to its end.

use foldhash::fast::FixedState;

use super::{Orbit, Space};

type HashSet<W> = hashbrown::HashSet<W, FixedState>;

/// The words of each scope.
#[derive(Debug)]
pub(crate) struct Codebook {
    pub(crate) global: Codes<u128>,
    pub(crate) package: Codes<u64>,
    pub(crate) cpu: Codes<u64>,
}

/// Words in ascending order; the code of a word is its rank.
#[derive(Debug)]
pub(crate) struct Codes<W>(Vec<W>);

impl Codebook {
    /// The words of these states, which this orbit space has packed.
    pub(crate) fn new<'a>(orbit: &Orbit<'_>, states: impl Iterator<Item = &'a [u64]>) -> Self {
        let (mut global, mut package, mut cpu) = (HashSet::default(), HashSet::default(), HashSet::default());
        let mut workspace = orbit.workspace();
        for packed in states {
            orbit.load(packed, &mut workspace);
            global.insert(Orbit::global_word(&workspace));
            package.extend(orbit.package_words(&workspace));
            cpu.extend(orbit.cpu_words(&workspace));
        }
        Self { global: Codes::new(global), package: Codes::new(package), cpu: Codes::new(cpu) }
    }
}

impl<W: Copy + Ord> Codes<W> {
    fn new(words: HashSet<W>) -> Self {
        let mut words: Vec<W> = words.into_iter().collect();
        words.sort_unstable();
        Self(words)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bits of a code.
    pub(crate) fn bits(&self) -> u32 {
        self.0.len().next_power_of_two().trailing_zeros()
    }

    pub(crate) fn code(&self, word: W) -> Option<u32> {
        self.0.binary_search(&word).ok().map(|code| code as u32)
    }

    /// The words in the order of their codes.
    pub(crate) fn words(&self) -> &[W] {
        &self.0
    }
}
