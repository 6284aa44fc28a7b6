//! States as bit planes, and sets of CPUs or packages as bits of a word.
//!
//! Let bit `b` of the word of CPU `c` be `w[c][b]`. The *CPU plane* `b` is the set `{c : w[c][b] = 1}`, one bit for each CPU;
//! a package plane is the same for package words. Planes are the transposed words: a question about one bit of every CPU's
//! word is one operation on one plane.
//!
//! Invariants, on which all evaluation relies:
//!
//! - A plane is a subset of the topology's CPUs (or packages): there are no bits for CPUs that do not exist.
//! - Planes beyond the width of a word are empty.
//! - CPUs are numbered through all packages in order, so the CPUs of a package are a run of bits.

use super::layout::Layout;
use crate::program::low_bits;

/// Planes of one scope at most: words of a CPU have 48 bits, words of a package 64.
pub(super) const MOST_PLANES: usize = 64;

/// A set of CPUs or of packages, one bit each.
pub(crate) type Set = u64;

/// The planes of one scope, by bit of the word.
pub(super) type PlanesOfScope = [Set; MOST_PLANES];

/// The planes of one state, each shifted down to bit 0.
#[derive(Debug)]
pub(crate) struct Planes {
    pub(crate) global: u128,
    pub(super) cpu: PlanesOfScope,
    pub(super) package: PlanesOfScope,
}

impl Default for Planes {
    fn default() -> Self {
        Self { global: 0, cpu: [0; MOST_PLANES], package: [0; MOST_PLANES] }
    }
}

impl Planes {
    /// Takes a packed state apart.
    #[inline]
    pub(super) fn load(&mut self, words: &[u64], layout: &Layout, topology: &Topology) {
        self.global = layout.global_of(words);
        for (plane, place) in self.cpu.iter_mut().zip(&layout.cpu_planes) {
            *plane = words[place.word] >> place.shift & topology.cpus;
        }
        for (plane, place) in self.package.iter_mut().zip(&layout.package_planes) {
            *plane = words[place.word] >> place.shift & topology.packages;
        }
    }

    /// The word of each CPU; zero for CPUs that do not exist.
    #[inline]
    pub(crate) fn cpu_words(&self) -> [u64; Set::BITS as usize] {
        let mut words = [0; Set::BITS as usize];
        for (bit, plane) in self.cpu.iter().enumerate() {
            for cpu in bits(*plane) {
                words[cpu as usize] |= 1 << bit;
            }
        }
        words
    }

    /// The CPUs whose word is that of the CPU before: in no plane do the two differ.
    #[inline]
    pub(crate) fn equal_to_previous(&self) -> Set {
        self.cpu.iter().fold(Set::MAX, |equal, plane| equal & !(plane ^ plane << 1))
    }

    #[cfg(test)]
    pub(super) fn package_word(&self, package: u32) -> u64 {
        self.package.iter().enumerate().fold(0, |word, (bit, plane)| word | (plane >> package & 1) << bit)
    }
}

/// The CPUs and packages that exist.
#[derive(Debug)]
pub(crate) struct Topology {
    /// All CPUs.
    pub(super) cpus: Set,
    /// All packages.
    pub(super) packages: Set,
    /// The CPUs of each package.
    pub(super) members: Vec<Set>,
    /// The package of each CPU.
    pub(super) package_of: Vec<u32>,
}

impl Topology {
    /// Packages of these sizes; there are at most 64 CPUs in all.
    pub(super) fn new(sizes: impl Iterator<Item = usize>) -> Self {
        let (mut members, mut package_of) = (Vec::new(), Vec::new());
        for (at, size) in sizes.enumerate() {
            members.push((low_bits(size as u32) as u64) << package_of.len());
            package_of.resize(package_of.len() + size, at as u32);
        }
        let (cpus, packages) = (low_bits(package_of.len() as u32) as u64, low_bits(members.len() as u32) as u64);
        Self { cpus, packages, members, package_of }
    }

    /// The CPUs of these packages.
    pub(super) fn cpus_of(&self, packages: Set) -> Set {
        // Most guards do not test the package, and all packages match.
        if packages == self.packages {
            return self.cpus;
        }
        bits(packages).fold(0, |cpus, package| cpus | self.members[package as usize])
    }
}

/// The members of a set, in ascending order.
#[inline]
pub(crate) fn bits(mut set: Set) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let bit = set.trailing_zeros();
        set &= set - 1;
        Some(bit)
    })
}
