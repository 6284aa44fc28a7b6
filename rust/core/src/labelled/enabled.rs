//! Which rules are enabled in a labelled state: what traces and replays walk on.
//!
//! A quantified condition leaves the acting CPU (or package) out of the count. Therefore only "nothing matches",
//! "exactly one matches" and "several match" have to be told apart, and only the middle case depends on who acts: see
//! [`Verdict`]. A count over the whole state is made once for a rule, and only if some CPU or package could fire it.
//!
//! The spaces evaluate rules in their own ways and share nothing with this: each is the check of the others.
//!
//! Rejected: evaluating each quantifier for each acting CPU anew, which is quadratic in the number of CPUs.

use std::mem;
use std::ops::Range;

use crate::labelled::state::LabelledState;
use crate::program::{CpuCondition, Cube, Guard, Quantified, Quantifier, Rule, Scope};

/// The words of a state.
#[derive(Debug, Default)]
pub(crate) struct Census {
    global: u128,
    packages: Vec<Package>,
    cpus: Vec<u64>,
    verdicts: Vec<Verdict>,
}

#[derive(Debug, Clone)]
struct Package {
    word: u64,
    /// Its CPUs, in [`Census::cpus`].
    cpus: Range<usize>,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The state as a whole.
    Global,
    /// The package with this index.
    Package(usize),
    /// The second, a CPU counted through all packages, in the first, a package.
    Cpu(usize, usize),
}

/// A quantified condition, reduced to who may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Always,
    Never,
    /// Only the one that matches, since it is not counted itself.
    OnlyMatching,
    /// Anyone but the only one that matches.
    NotMatching,
}

/// The verdicts on a rule's quantified conditions, reached only when some CPU or package could fire it.
struct Judged {
    verdicts: Vec<Verdict>,
    /// Whether any verdict leaves a chance; none as long as nobody asked.
    possible: Option<bool>,
}

/// Counting stops here: beyond one, it no longer matters who acts.
const SEVERAL: u32 = 2;

impl Verdict {
    fn new(quantifier: Quantifier, matching: u32) -> Self {
        match (quantifier, matching) {
            (Quantifier::Some, 1) => Self::NotMatching,
            (Quantifier::None, 1) => Self::OnlyMatching,
            (Quantifier::Some, 0) | (Quantifier::None, SEVERAL..) => Self::Never,
            (Quantifier::None, 0) | (Quantifier::Some, SEVERAL..) => Self::Always,
        }
    }

    /// `own_matches` is asked only if the answer depends on it.
    fn admits(self, own_matches: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnlyMatching => own_matches(),
            Self::NotMatching => !own_matches(),
        }
    }
}

impl Census {
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
        let mut judged = Judged { verdicts: mem::take(&mut self.verdicts), possible: None };
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
        self.verdicts = judged.verdicts;
    }

    /// Whether all quantified conditions hold for this acting package and, if given, acting CPU.
    fn admits_all(&self, guard: &Guard, judged: &mut Judged, package: &Package, cpu: Option<u64>) -> bool {
        let Judged { verdicts, possible } = judged;
        *possible.get_or_insert_with(|| self.judge(guard, verdicts))
            && guard
                .quantified
                .iter()
                .zip(verdicts)
                .all(|(quantified, verdict)| self.admits(quantified, *verdict, package, cpu))
    }

    /// Makes every count that does not depend on the acting package; false if the rule cannot fire at all.
    fn judge(&self, guard: &Guard, verdicts: &mut Vec<Verdict>) -> bool {
        verdicts.clear();
        for quantified in &guard.quantified {
            let verdict = if matches!(quantified, Quantified::PackageCpus { .. }) {
                Verdict::Always
            } else {
                Verdict::new(quantified.quantifier(), self.matching(quantified))
            };
            if verdict == Verdict::Never {
                return false;
            }
            verdicts.push(verdict);
        }
        true
    }

    /// Whether the condition holds for this acting package and, if given, acting CPU.
    fn admits(&self, quantified: &Quantified, verdict: Verdict, own: &Package, own_cpu: Option<u64>) -> bool {
        match quantified {
            Quantified::Cpus { cpu, package, .. } => {
                verdict.admits(|| own_cpu.is_some_and(|word| cpu.matches(word)) && package.matches(own.word))
            }
            Quantified::PackageCpus { quantifier, cpu } => Verdict::new(*quantifier, self.matching_cpus(own, *cpu))
                .admits(|| own_cpu.is_some_and(|word| cpu.matches(word))),
            Quantified::Packages { package, cpus, .. } => verdict.admits(|| self.package_matches(own, *package, cpus)),
        }
    }

    /// How many CPUs or packages of the whole state match, acting ones included; counts up to [`SEVERAL`].
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
