//! Which rules are enabled in a labelled state, and for whom: what traces and replays are made of.
//!
//! A quantified condition leaves the acting CPU (or package) out of the count. So it is enough to know whether no CPU, one CPU
//! or several match it, and only if exactly one matches does the answer depend on who acts: see [`Admission`]. The count over
//! the whole state is made once for a rule, and only if some CPU or package matches the rule's own cubes.
//!
//! The spaces evaluate rules in their own ways and share nothing with this: each is the check of the others.
//!
//! Rejected: evaluating each quantifier for each acting CPU anew, which is quadratic in the number of CPUs.

use std::mem;
use std::ops::Range;

use crate::labelled::state::LabelledState;
use crate::program::{CpuCondition, Cube, Guard, Quantified, Quantifier, Rule, Scope};

/// Evaluates guards in one labelled state at a time.
#[derive(Debug, Default)]
pub(crate) struct Evaluator {
    global: u128,
    packages: Vec<Package>,
    /// The words of all CPUs.
    cpus: Vec<u64>,
    /// Memory for [`Judged::admissions`].
    admissions: Vec<Admission>,
}

#[derive(Debug, Clone)]
struct Package {
    word: u64,
    /// Its CPUs in [`Evaluator::cpus`].
    cpus: Range<usize>,
}

/// The actor of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The state as a whole.
    Global,
    /// The package with this index.
    Package(usize),
    /// In the package with the first index, the CPU with the second, counted through all packages.
    Cpu(usize, usize),
}

/// The actors that one quantified condition admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Everyone,
    Nobody,
    /// Only the one that matches: the condition is "none", and the acting one is not counted.
    OnlyMatching,
    /// Everyone but the one that matches: the condition is "some", and without that one none is left.
    NotMatching,
}

/// The actors that each quantified condition of a rule admits.
struct Judged {
    /// By condition; empty until somebody matches the rule's own cubes.
    admissions: Vec<Admission>,
    /// Whether every condition admits somebody; none until it is known.
    possible: Option<bool>,
}

/// A count stops here: beyond one, it does not matter who acts.
const SEVERAL: u32 = 2;

impl Admission {
    fn new(quantifier: Quantifier, matching: u32) -> Self {
        match (quantifier, matching) {
            (Quantifier::Some, 1) => Self::NotMatching,
            (Quantifier::None, 1) => Self::OnlyMatching,
            (Quantifier::Some, 0) | (Quantifier::None, SEVERAL..) => Self::Nobody,
            (Quantifier::None, 0) | (Quantifier::Some, SEVERAL..) => Self::Everyone,
        }
    }

    /// `own_matches` is asked only if the answer depends on it.
    fn admits(self, own_matches: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Everyone => true,
            Self::Nobody => false,
            Self::OnlyMatching => own_matches(),
            Self::NotMatching => !own_matches(),
        }
    }
}

impl Evaluator {
    /// Takes the words of a state.
    pub(crate) fn load(&mut self, state: &LabelledState) {
        self.packages.clear();
        self.cpus.clear();
        self.global = state.global;
        for package in &state.packages {
            let first = self.cpus.len();
            self.cpus.extend(&package.cpus);
            self.packages.push(Package { word: package.word, cpus: first..self.cpus.len() });
        }
    }

    /// The global word of the state.
    pub(crate) fn global(&self) -> u128 {
        self.global
    }

    /// Whether a guard without acting package or CPU holds.
    pub(crate) fn holds(&self, guard: &Guard) -> bool {
        guard.global.matches(self.global) && self.quantified_hold(guard)
    }

    fn quantified_hold(&self, guard: &Guard) -> bool {
        let mut conditions = guard.quantified.iter();
        conditions.all(|quantified| quantified.quantifier().holds(self.matching(quantified) > 0))
    }

    /// Whether one of the guards holds.
    pub(crate) fn any_holds(&self, guards: &[Guard]) -> bool {
        guards.iter().any(|guard| self.holds(guard))
    }

    /// Calls `found` for everyone who may fire the rule; the global cube is known to match.
    #[inline]
    pub(crate) fn for_each_enabled(&mut self, rule: &Rule, mut found: impl FnMut(Actor)) {
        let guard = &rule.guard;
        let mut judged = Judged { admissions: mem::take(&mut self.admissions), possible: None };
        match rule.scope {
            Scope::Global => {
                if self.quantified_hold(guard) {
                    found(Actor::Global);
                }
            }
            Scope::Package => {
                for (at, package) in self.packages.iter().enumerate() {
                    if guard.package.matches(package.word) && self.admits_all(guard, &mut judged, package, None) {
                        found(Actor::Package(at));
                    }
                }
            }
            Scope::Cpu => {
                for (at, package) in self.packages.iter().enumerate() {
                    if !guard.package.matches(package.word) {
                        continue;
                    }
                    for cpu in package.cpus.clone() {
                        let word = self.cpus[cpu];
                        if guard.cpu.matches(word) && self.admits_all(guard, &mut judged, package, Some(word)) {
                            found(Actor::Cpu(at, cpu));
                        }
                    }
                }
            }
        }
        self.admissions = judged.admissions;
    }

    /// Whether all quantified conditions hold for this acting package and, if given, acting CPU.
    fn admits_all(&self, guard: &Guard, judged: &mut Judged, package: &Package, cpu: Option<u64>) -> bool {
        let Judged { admissions, possible } = judged;
        *possible.get_or_insert_with(|| self.judge(guard, admissions))
            && guard
                .quantified
                .iter()
                .zip(admissions)
                .all(|(quantified, admission)| self.admits(quantified, *admission, package, cpu))
    }

    /// Makes every count that does not depend on the acting package; false if nobody can fire the rule.
    fn judge(&self, guard: &Guard, admissions: &mut Vec<Admission>) -> bool {
        admissions.clear();
        for quantified in &guard.quantified {
            let admission = if matches!(quantified, Quantified::PackageCpus { .. }) {
                Admission::Everyone
            } else {
                Admission::new(quantified.quantifier(), self.matching(quantified))
            };
            if admission == Admission::Nobody {
                return false;
            }
            admissions.push(admission);
        }
        true
    }

    /// Whether the condition holds for this acting package and, if given, acting CPU.
    fn admits(&self, quantified: &Quantified, admission: Admission, own: &Package, own_cpu: Option<u64>) -> bool {
        match quantified {
            Quantified::Cpus { cpu, package, .. } => {
                admission.admits(|| own_cpu.is_some_and(|word| cpu.matches(word)) && package.matches(own.word))
            }
            Quantified::PackageCpus { quantifier, cpu } => Admission::new(*quantifier, self.matching_cpus(own, *cpu))
                .admits(|| own_cpu.is_some_and(|word| cpu.matches(word))),
            Quantified::Packages { package, cpus, .. } => {
                admission.admits(|| self.package_matches(own, *package, cpus))
            }
        }
    }

    /// The number of CPUs or packages of the whole state that match, acting ones included; counts up to [`SEVERAL`].
    fn matching(&self, quantified: &Quantified) -> u32 {
        let mut matching = 0;
        for own in &self.packages {
            matching += match quantified {
                Quantified::Cpus { cpu, package, .. } if package.matches(own.word) => self.matching_cpus(own, *cpu),
                Quantified::Packages { package, cpus, .. } => u32::from(self.package_matches(own, *package, cpus)),
                Quantified::Cpus { .. } | Quantified::PackageCpus { .. } => 0,
            };
            if matching >= SEVERAL {
                break;
            }
        }
        matching
    }

    /// The number of CPUs of the package that match; counts up to [`SEVERAL`].
    fn matching_cpus(&self, package: &Package, cube: Cube<u64>) -> u32 {
        let mut matching = 0;
        for cpu in &self.cpus[package.cpus.clone()] {
            if cube.matches(*cpu) {
                matching += 1;
                if matching >= SEVERAL {
                    break;
                }
            }
        }
        matching
    }

    fn package_matches(&self, own: &Package, package: Cube<u64>, cpus: &[CpuCondition]) -> bool {
        package.matches(own.word)
            && cpus.iter().all(|condition| condition.quantifier.holds(self.matching_cpus(own, condition.cpu) > 0))
    }
}
