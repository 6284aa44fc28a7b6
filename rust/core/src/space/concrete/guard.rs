//! Guards on bit planes: which CPUs or packages may act, found for all of them at once.
//!
//! A cube on words is a conjunction of literals, "bit `b` is 1" or "bit `b` is 0". On planes each literal is a set: plane
//! `b`, or its complement. So the CPUs that match a cube are the intersection of one set for each literal:
//!
//! ```text
//! matching = from & (plane[b1] ^ flip1) & (plane[b2] ^ flip2) & ...      flip = all ones where the bit must be 0
//! ```
//!
//! The cost is one AND and one XOR for each literal, whatever the number of CPUs. Complements have bits beyond the CPUs that
//! exist; the intersection starts from a set `from` of existing CPUs, which removes them.
//!
//! A quantified condition asks for a match among the *other* CPUs (or packages). Which CPUs may act then depends only on the
//! set `M` of all that match, the acting one included, and on whether `M` has zero, one or more members: see
//! [`actors_admitted`]. So a guard with quantifiers is still evaluated for all CPUs at once, and is the intersection of the
//! set of each condition.
//!
//! Invariant: every function that takes `from` returns a subset of it, and the sets of CPUs (or packages) that it is called
//! with exist in the [`Topology`].
//!
//! Rejected: evaluating the guard for each CPU in turn, which is linear in the number of CPUs without quantifiers and
//! quadratic with them; and sharing this evaluation with the orbit space or with labelled states, as each is the check of
//! the others.

use super::planes::{MOST_PLANES, Planes, PlanesOfScope, Set, Topology, bits};
use crate::program::{CpuCondition, Cube, Guard, Quantified, Quantifier};

/// One literal of a cube.
#[derive(Debug, Clone, Copy)]
struct Literal {
    plane: u8,
    /// All ones if the bit must be zero.
    flip: Set,
}

/// A cube on the planes of one scope.
#[derive(Debug, Clone, Default)]
pub(super) struct PlaneCube(Box<[Literal]>);

impl PlaneCube {
    pub(super) fn new(cube: Cube<u64>) -> Self {
        let literal =
            |bit: u32| Literal { plane: bit as u8, flip: if cube.value >> bit & 1 == 1 { 0 } else { u64::MAX } };
        Self(bits(cube.care).map(literal).collect())
    }

    /// The members of `from` that match.
    #[inline]
    pub(super) fn among(&self, from: Set, planes: &PlanesOfScope) -> Set {
        // The remainder changes nothing; it shows the compiler that the index is in bounds.
        let set = |literal: &Literal| planes[literal.plane as usize % MOST_PLANES] ^ literal.flip;
        self.0.iter().fold(from, |matching, literal| matching & set(literal))
    }

    fn is_true(&self) -> bool {
        self.0.is_empty()
    }
}

/// Cubes on the word of a CPU and on the word of its package.
#[derive(Debug)]
pub(super) struct CpuCube {
    pub(super) cpu: PlaneCube,
    pub(super) package: PlaneCube,
}

impl CpuCube {
    pub(super) fn new(cpu: Cube<u64>, package: Cube<u64>) -> Self {
        Self { cpu: PlaneCube::new(cpu), package: PlaneCube::new(package) }
    }

    /// The CPUs of `from` for which both cubes match.
    #[inline]
    pub(super) fn among(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        let cpus = self.cpu.among(from, &planes.cpu);
        if self.package.is_true() || cpus == 0 {
            return cpus;
        }
        cpus & topology.cpus_of(self.package.among(topology.packages, &planes.package))
    }
}

/// A [`Quantified`] condition on planes.
#[derive(Debug)]
enum Condition {
    Cpus(Quantifier, CpuCube),
    PackageCpus(Quantifier, PlaneCube),
    Packages(Quantifier, PlaneCube, Box<[(Quantifier, PlaneCube)]>),
}

impl Condition {
    fn new(quantified: &Quantified) -> Self {
        match quantified {
            Quantified::Cpus { quantifier, cpu, package } => Self::Cpus(*quantifier, CpuCube::new(*cpu, *package)),
            Quantified::PackageCpus { quantifier, cpu } => Self::PackageCpus(*quantifier, PlaneCube::new(*cpu)),
            Quantified::Packages { quantifier, package, cpus } => {
                let nested = |condition: &CpuCondition| (condition.quantifier, PlaneCube::new(condition.cpu));
                Self::Packages(*quantifier, PlaneCube::new(*package), cpus.iter().map(nested).collect())
            }
        }
    }

    /// The packages whose word matches and whose CPUs meet all nested conditions.
    fn packages(package: &PlaneCube, nested: &[(Quantifier, PlaneCube)], planes: &Planes, topology: &Topology) -> Set {
        let mut packages = package.among(topology.packages, &planes.package);
        for (quantifier, cpu) in nested {
            let matching = cpu.among(topology.cpus, &planes.cpu);
            for package in bits(packages) {
                if !quantifier.holds(matching & topology.members[package as usize] != 0) {
                    packages &= !(1 << package);
                }
            }
        }
        packages
    }

    /// Whether it holds when nobody acts.
    fn holds(&self, planes: &Planes, topology: &Topology) -> bool {
        match self {
            Self::Cpus(quantifier, cpus) => quantifier.holds(cpus.among(topology.cpus, planes, topology) != 0),
            // The Program was checked: no rule of global scope has such a condition.
            Self::PackageCpus(..) => false,
            Self::Packages(quantifier, package, nested) => {
                quantifier.holds(Self::packages(package, nested, planes, topology) != 0)
            }
        }
    }

    /// The packages of `from` for which it holds when that package acts.
    fn acting_packages(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        match self {
            // No CPU acts, so none is left out, and the answer is the same for all packages.
            Self::Cpus(quantifier, cpus) => {
                if quantifier.holds(cpus.among(topology.cpus, planes, topology) != 0) {
                    from
                } else {
                    0
                }
            }
            Self::PackageCpus(quantifier, cpu) => {
                let cpus = cpu.among(topology.cpus, &planes.cpu);
                let holds = |package: &u32| quantifier.holds(cpus & topology.members[*package as usize] != 0);
                bits(from).filter(holds).fold(0, |packages, package| packages | 1 << package)
            }
            Self::Packages(quantifier, package, nested) => {
                let matching = Self::packages(package, nested, planes, topology);
                from & actors_admitted(*quantifier, matching, topology.packages)
            }
        }
    }

    /// The CPUs of `from` for which it holds when that CPU acts.
    #[inline]
    fn acting_cpus(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        match self {
            Self::Cpus(quantifier, cpus) => {
                from & actors_admitted(*quantifier, cpus.among(topology.cpus, planes, topology), topology.cpus)
            }
            // Each package on its own, and all of them together: the packages have no CPU in common.
            Self::PackageCpus(quantifier, cpu) => {
                let cpus = cpu.among(topology.cpus, &planes.cpu);
                from & topology.members.iter().fold(0, |all, own| all | actors_admitted(*quantifier, cpus & own, *own))
            }
            // The acting CPU's package is left out of the count.
            Self::Packages(quantifier, package, nested) => {
                let matching = Self::packages(package, nested, planes, topology);
                from & topology.cpus_of(actors_admitted(*quantifier, matching, topology.packages))
            }
        }
    }
}

/// The members of `all` for which a condition holds when they act: the acting one is not counted.
///
/// Let `M` be the set of those that match, a subset of `all`. Member `a` may act if some (or none) of `M \ {a}` is left:
///
/// ```text
///          M empty   M = {m}      M larger
/// some     nobody    all but m    all
/// none     all       m only       nobody
/// ```
#[inline]
fn actors_admitted(quantifier: Quantifier, matching: Set, all: Set) -> Set {
    // Removing the lowest member leaves something.
    let several = matching & matching.wrapping_sub(1) != 0;
    match quantifier {
        Quantifier::Some if matching == 0 => 0,
        Quantifier::Some if several => all,
        Quantifier::Some => all & !matching,
        Quantifier::None if matching == 0 => all,
        Quantifier::None if several => 0,
        Quantifier::None => matching,
    }
}

/// A guard on planes.
#[derive(Debug)]
pub(crate) struct PlaneGuard {
    pub(super) global: Cube<u128>,
    acting: CpuCube,
    conditions: Box<[Condition]>,
}

impl PlaneGuard {
    pub(super) fn new(guard: &Guard) -> Self {
        Self::without(guard, 0)
    }

    /// A guard without the literals on these bits of the acting CPU's word, which are tested elsewhere.
    pub(super) fn without(guard: &Guard, tested: u64) -> Self {
        let cpu = Cube { care: guard.cpu.care & !tested, value: guard.cpu.value & !tested };
        Self {
            global: guard.global,
            acting: CpuCube::new(cpu, guard.package),
            conditions: guard.quantified.iter().map(Condition::new).collect(),
        }
    }

    /// Whether it holds when nobody acts.
    #[inline]
    pub(super) fn holds(&self, planes: &Planes, topology: &Topology) -> bool {
        self.global.matches(planes.global) && self.conditions.iter().all(|condition| condition.holds(planes, topology))
    }

    /// The packages for which it holds when they act. The global cube is known to match.
    pub(super) fn acting_packages(&self, planes: &Planes, topology: &Topology) -> Set {
        let all = self.acting.package.among(topology.packages, &planes.package);
        self.conditions.iter().fold(all, |from, condition| condition.acting_packages(from, planes, topology))
    }

    /// The CPUs of `from` for which it holds when they act. The global cube is known to match.
    #[inline]
    pub(super) fn acting_cpus(&self, from: Set, planes: &Planes, topology: &Topology) -> Set {
        let mut acting = self.acting.among(from, planes, topology);
        for condition in &self.conditions {
            if acting == 0 {
                break;
            }
            acting = condition.acting_cpus(acting, planes, topology);
        }
        acting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_admitted_as_if_each_were_asked_alone() {
        for all in [0b1, 0b11, 0b111, 0b1_1111] {
            for matching in (0..=all).filter(|set| set & !all == 0) {
                for quantifier in [Quantifier::Some, Quantifier::None] {
                    let admits = |actor: &u32| quantifier.holds(matching & !(1 << actor) != 0);
                    let expected = bits(all).filter(admits).fold(0, |set, actor| set | 1 << actor);
                    assert_eq!(actors_admitted(quantifier, matching, all), expected, "{quantifier:?} {matching:b}");
                }
            }
        }
    }
}
