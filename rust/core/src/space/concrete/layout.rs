//! Where each bit of a labelled state lies in the words of a concrete state.
//!
//! The global word comes first, from bit 0 of the state on, so it fills at most the first two words. Each bit of the CPU word
//! has a *plane*, one bit for each CPU; each bit of the package word has a plane of one bit for each package.
//!
//! Invariants: planes do not overlap, and a plane lies within one word, so that it is taken out with one shift and one AND.
//!
//! Rejected: planes of a whole word each, which need no shifts and waste most of the state for a few CPUs.

use crate::error::Error;
use crate::labelled::state::LabelledState;
use crate::program::{Program, low_bits};

/// The place of one plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    /// The word of the state in which it lies.
    pub(crate) word: usize,
    /// The bit of CPU (or package) 0.
    pub(crate) shift: u32,
}

/// The places of all planes.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The number of words of a state.
    pub(crate) words: usize,
    /// By bit of the CPU word.
    pub(crate) cpu_planes: Vec<Plane>,
    /// By bit of the package word.
    pub(crate) package_planes: Vec<Plane>,
    /// Bits of the global word.
    global: u32,
}

impl Layout {
    /// Places the planes first-fit, the widest first: package planes fill the gaps that CPU planes leave. Fails if there are
    /// more CPUs than a word has bits.
    pub(crate) fn new(program: &Program, initial: &LabelledState) -> Result<Self, Error> {
        let count = initial.cpu_count();
        if count > u64::BITS as usize {
            return Err(Error::initial(format!(
                "concrete space: {count} CPUs, at most {} are possible; use the orbit space",
                u64::BITS
            )));
        }
        let (cpus, packages) = (count as u32, initial.packages.len() as u32);
        let global = program.widths.global;
        // Bits taken of each word.
        let mut used = Vec::new();
        let mut left = global;
        while left > 0 {
            used.push(left.min(u64::BITS));
            left -= left.min(u64::BITS);
        }
        let mut place = |bits: u32| {
            let word = used.iter().position(|used| used + bits <= u64::BITS).unwrap_or_else(|| {
                used.push(0);
                used.len() - 1
            });
            let shift = used[word];
            used[word] += bits;
            Plane { word, shift }
        };
        let cpu_planes = (0..program.widths.cpu).map(|_| place(cpus)).collect();
        let package_planes = (0..program.widths.package).map(|_| place(packages)).collect();
        Ok(Self { words: used.len().max(1), cpu_planes, package_planes, global })
    }

    /// The words that the global word, or a mask on it, fills.
    pub(crate) fn words_of_global(&self, global: u128) -> [u64; 2] {
        let global = global & low_bits(self.global);
        [global as u64, (global >> u64::BITS) as u64]
    }

    /// The global word of a state.
    #[inline]
    pub(crate) fn global_of(&self, words: &[u64]) -> u128 {
        let high = if self.global > u64::BITS { u128::from(words[1]) << u64::BITS } else { 0 };
        (high | u128::from(words[0])) & low_bits(self.global)
    }
}
