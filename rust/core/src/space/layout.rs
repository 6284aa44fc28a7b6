//! Where each bit of a labelled state lies in the words of the concrete space.
//!
//! The global word comes first. Each bit of the CPU word is a *plane*, one bit for each CPU; each bit of the package word a plane
//! of one bit for each package. A plane never crosses a word, so a cube is evaluated for all CPUs with
//! one AND for each bit that it cares for.
//!
//! The highest bit of every word is left free, unless there are 64 CPUs: the table of the unlinked search marks there
//! that a word has been written.

use crate::error::Error;
use crate::program::{Program, low_bits};
use crate::state::LabelledState;

/// The place of one plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) word: usize,
    pub(crate) shift: u32,
}

/// The places of all planes.
#[derive(Debug)]
pub(crate) struct Layout {
    /// How many words a state takes.
    pub(crate) words: usize,
    /// Bits of a word that may be used: 63, or 64 if a plane needs them all.
    pub(crate) capacity: u32,
    /// Bits that a state takes.
    pub(crate) bits: u32,
    pub(crate) cpu_planes: Vec<Plane>,
    pub(crate) package_planes: Vec<Plane>,
    global: u32,
}

impl Layout {
    /// Widest states first-fit: CPU planes are the widest, and package planes fill the gaps.
    pub(crate) fn new(program: &Program, initial: &LabelledState) -> Result<Self, Error> {
        let count = initial.cpu_count();
        if count > u64::BITS as usize {
            return Err(Error::initial(format!(
                "concrete space: {count} CPUs, at most {} are possible; use the orbit space",
                u64::BITS
            )));
        }
        let (cpus, packages) = (count as u32, initial.packages.len() as u32);
        let capacity = if cpus == u64::BITS { u64::BITS } else { u64::BITS - 1 };
        let global = program.widths.global;
        let mut used = Vec::new();
        let mut left = global;
        while left > 0 {
            used.push(left.min(capacity));
            left -= left.min(capacity);
        }
        let mut place = |bits: u32| {
            let word = used.iter().position(|used| used + bits <= capacity).unwrap_or_else(|| {
                used.push(0);
                used.len() - 1
            });
            let shift = used[word];
            used[word] += bits;
            Plane { word, shift }
        };
        let cpu_planes = (0..program.widths.cpu).map(|_| place(cpus)).collect();
        let package_planes = (0..program.widths.package).map(|_| place(packages)).collect();
        let bits = global + program.widths.cpu * cpus + program.widths.package * packages;
        Ok(Self { words: used.len().max(1), capacity, bits, cpu_planes, package_planes, global })
    }

    /// Whether the highest bit of every word is free.
    pub(crate) fn has_free_bits(&self) -> bool {
        self.capacity < u64::BITS
    }

    /// The global word, or a mask on it, spread over the first three words of a state.
    pub(crate) fn spread(&self, global: u128) -> [u64; 3] {
        let part = |at: u32| {
            let shift = at * self.capacity;
            if shift >= u128::BITS { 0 } else { (global >> shift & low_bits(self.capacity)) as u64 }
        };
        [part(0), part(1), part(2)]
    }

    /// The inverse of [`spread`](Self::spread); other bits of the words are ignored.
    #[inline]
    pub(crate) fn gather(&self, words: &[u64]) -> u128 {
        let mut global = u128::from(words[0] & low_bits(self.capacity) as u64);
        for at in 1..self.global.div_ceil(self.capacity).max(1) {
            global |= (u128::from(words[at as usize]) & low_bits(self.capacity)) << (at * self.capacity);
        }
        global & low_bits(self.global)
    }
}
