//! Where each bit of a labelled state lies in the words of the concrete space.
//!
//! The global word comes first. Each bit of the CPU word is a *plane*, one bit for each CPU; each bit of the package word a plane
//! of one bit for each package. A plane never crosses a word, so a cube is evaluated for all CPUs with
//! one AND for each bit that it cares for.

use crate::error::Error;
use crate::labelled::state::LabelledState;
use crate::program::{Program, low_bits};

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
        let global = program.widths.global;
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

    /// The global word, or a mask on it, spread over the first two words of a state.
    pub(crate) fn spread(&self, global: u128) -> [u64; 2] {
        let global = global & low_bits(self.global);
        [global as u64, (global >> u64::BITS) as u64]
    }

    /// The inverse of [`spread`](Self::spread); other bits of the words are ignored.
    #[inline]
    pub(crate) fn gather(&self, words: &[u64]) -> u128 {
        let high = if self.global > u64::BITS { u128::from(words[1]) << u64::BITS } else { 0 };
        (high | u128::from(words[0])) & low_bits(self.global)
    }
}
