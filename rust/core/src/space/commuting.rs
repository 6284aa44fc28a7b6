//! Which rules commute: what one step does is neither changed nor prevented by another.
//!
//! Of two such steps from one state, both orders lead to the same state, and a search that stores every state needs to
//! generate it along one of them only. That is what sleep sets are for, which save transitions and lose no state.
//!
//! Whether two rules commute is read off the bits that they look at and change. Where only a condition "some CPU" or
//! "no CPU" stands in the way, it often does not in the state at hand: a third CPU matches as well. So there are two
//! answers, and [`Coded`](super::Coded) asks about such conditions in each state.
//!
//! Source: P. Godefroid, Partial-Order Methods for the Verification of Concurrent Systems (1996), chapter 5; the
//! conditions on independence are those of Katz and Peled (1992).

use std::ops::{BitOr, BitOrAssign};

use crate::program::{Addition, Bulk, Guard, Program, Quantified, Rule, Update, Word};

/// How a step commutes with a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commuting {
    /// With one of any other actor;
    pub(crate) others: bool,
    /// with one of any other actor, if their conditions on CPUs anywhere hold in either order;
    pub(crate) conditions: bool,
    /// with one of the same actor.
    pub(crate) same: bool,
}

/// For each pair of rules, how they commute. A step that could end the run commutes with none: what comes after it would
/// be lost.
#[derive(Debug)]
pub(crate) struct Relation {
    rules: usize,
    pairs: Vec<Commuting>,
}

/// Bits that are looked at, and bits that are changed.
#[derive(Debug, Clone, Copy, Default)]
struct Access<W> {
    read: W,
    written: W,
}

/// All that a rule looks at and changes. Packages are not told apart.
#[derive(Debug, Clone, Copy, Default)]
struct Footprint {
    global: Access<u128>,
    package: Access<u64>,
    /// The acting CPU;
    own: Access<u64>,
    /// other CPUs,
    others: Access<u64>,
    /// and what conditions on CPUs anywhere look at.
    anywhere: u64,
}

impl<W: Word> Access<W> {
    fn by(guard: W, update: &Update<W>) -> Self {
        let counters = update.add.iter().map(Addition::mask).fold(0, BitOr::bitor);
        let counters = W::from_u128(counters);
        Self { read: guard | counters, written: update.clear | update.set | counters }
    }

    fn is_apart_from(self, other: Self) -> bool {
        let meet = self.written & (other.read | other.written) | other.written & self.read;
        meet == W::default()
    }
}

impl<W: BitOrAssign> BitOrAssign for Access<W> {
    fn bitor_assign(&mut self, other: Self) {
        self.read |= other.read;
        self.written |= other.written;
    }
}

impl Footprint {
    fn of_guard(guard: &Guard) -> Self {
        let mut all = Self {
            global: Access { read: guard.global.care, written: 0 },
            package: Access { read: guard.package.care, written: 0 },
            own: Access { read: guard.cpu.care, written: 0 },
            ..Self::default()
        };
        for quantified in &guard.quantified {
            match quantified {
                Quantified::Cpus { cpu, package, .. } if package.is_true() => all.anywhere |= cpu.care,
                Quantified::Cpus { cpu, package, .. } => {
                    all.others.read |= cpu.care;
                    all.package.read |= package.care;
                }
                Quantified::PackageCpus { cpu, .. } => all.others.read |= cpu.care,
                Quantified::Packages { package, cpus, .. } => {
                    all.package.read |= package.care;
                    all.others.read |= cpus.iter().fold(0, |care, it| care | it.cpu.care);
                }
            }
        }
        all
    }

    fn of_rule(rule: &Rule) -> Self {
        let effect = &rule.effect;
        let mut all = Self::of_guard(&rule.guard);
        all.global |= Access::by(0, &effect.global);
        all.package |= Access::by(0, &effect.package);
        all.own |= Access::by(0, &effect.cpu);
        for bulk in &effect.bulk {
            match bulk {
                Bulk::Cpus { cpu, package, clear, set } => {
                    all.others |= Access { read: cpu.care, written: clear | set };
                    all.package.read |= package.care;
                }
                Bulk::PackageCpus { cpu, clear, set } => {
                    all.others |= Access { read: cpu.care, written: clear | set };
                }
                Bulk::Packages { package, clear, set } => {
                    all.package |= Access { read: package.care, written: clear | set };
                }
            }
        }
        all
    }

    /// The same with conditions on CPUs anywhere among those on others.
    fn whole(mut self) -> Self {
        self.others.read |= std::mem::take(&mut self.anywhere);
        self
    }

    /// Whether two CPUs with these footprints leave each other alone, apart from conditions on CPUs anywhere.
    fn is_apart_from(&self, other: &Self) -> bool {
        self.global.is_apart_from(other.global)
            && self.package.is_apart_from(other.package)
            && self.others.is_apart_from(other.others)
            && self.own.is_apart_from(other.others)
            && self.others.is_apart_from(other.own)
    }

    fn commuting(&self, other: &Self) -> Commuting {
        let (whole, other_whole) = (self.whole(), other.whole());
        let others = whole.is_apart_from(&other_whole);
        Commuting {
            others,
            // A bulk change reaches CPUs that neither step is of.
            conditions: self.is_apart_from(other) && self.others.written | other.others.written == 0,
            same: others && self.own.is_apart_from(other.own),
        }
    }
}

impl Relation {
    pub(crate) fn new(program: &Program) -> Self {
        let footprints: Vec<_> = program.rules.iter().map(Footprint::of_rule).collect();
        let fatal = program.outcomes.iter().filter(|outcome| outcome.fatal).flat_map(|outcome| &outcome.when);
        let fatal: Vec<_> = fatal.map(|guard| Footprint::of_guard(guard).whole()).collect();
        // A predicate has no CPU of its own: what it says of CPUs, it says of others.
        let ending: Vec<_> = footprints.iter().map(|it| fatal.iter().any(|end| !it.is_apart_from(end))).collect();
        let pairs = footprints.iter().flat_map(|last| {
            footprints.iter().zip(&ending).map(|(step, ending)| match ending {
                true => Commuting { others: false, conditions: false, same: false },
                false => step.commuting(last),
            })
        });
        Self { rules: footprints.len(), pairs: pairs.collect() }
    }

    /// How each rule commutes with a later step of rule `last`.
    #[inline]
    pub(crate) fn with(&self, last: usize) -> &[Commuting] {
        &self.pairs[last * self.rules..(last + 1) * self.rules]
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.pairs.as_slice())
    }
}
