//! Runs a Program on labelled states, one transition at a time: traces and replays do so.
//!
//! Invariant: [`Machine::transitions`] gives the canonical order, by actor, package, CPU, choice and rule. A schedule is a
//! string of indices into it, and schedules are kept in data sets, so the order must never change.

use crate::labelled::enabled::{Actor, Evaluator};
use crate::labelled::state::LabelledState;
use crate::program::index::RuleIndex;
use crate::program::{Bulk, Cube, Guard, Program, RuleId};

/// A rule with the package and the CPU that fire it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The rule.
    pub rule: RuleId,
    /// The acting package; none for a rule of global scope.
    pub package: Option<usize>,
    /// The acting CPU, counted through all packages; only for a rule of CPU scope.
    pub cpu: Option<usize>,
}

/// A Program, prepared to run on labelled states.
#[derive(Debug)]
pub(crate) struct Machine<'p> {
    program: &'p Program,
    index: RuleIndex,
    evaluator: Evaluator,
    candidates: Vec<RuleId>,
}

impl<'p> Machine<'p> {
    pub(crate) fn new(program: &'p Program) -> Self {
        Self { program, index: RuleIndex::new(program), evaluator: Evaluator::default(), candidates: Vec::new() }
    }

    /// All transitions of a state in canonical order; none if an outcome is fatal.
    pub(crate) fn transitions(&mut self, state: &LabelledState) -> Vec<Transition> {
        let mut transitions = Vec::new();
        self.load(state);
        self.enabled_here(&mut transitions);
        transitions.sort_by_key(|transition| {
            let rule = self.program.rule(transition.rule);
            (rule.actor, transition.package, transition.cpu, rule.choice, transition.rule)
        });
        transitions
    }

    /// Takes a state, which the functions that end in `here` look at.
    pub(crate) fn load(&mut self, state: &LabelledState) {
        self.evaluator.load(state);
    }

    /// All transitions of the loaded state by rule and actor; none if an outcome is fatal.
    pub(crate) fn enabled_here(&mut self, transitions: &mut Vec<Transition>) {
        transitions.clear();
        let outcomes = &self.program.outcomes;
        if outcomes.iter().any(|outcome| outcome.fatal && self.evaluator.any_holds(&outcome.when)) {
            return;
        }
        self.index.candidates(self.evaluator.global(), &mut self.candidates);
        for &rule in &self.candidates {
            self.evaluator.for_each_enabled(self.program.rule(rule), |actor| {
                let (package, cpu) = match actor {
                    Actor::Global => (None, None),
                    Actor::Package(package) => (Some(package), None),
                    Actor::Cpu(package, cpu) => (Some(package), Some(cpu)),
                };
                transitions.push(Transition { rule, package, cpu });
            });
        }
    }

    /// Whether one of the guards holds in the loaded state.
    pub(crate) fn holds_here(&self, guards: &[Guard]) -> bool {
        self.evaluator.any_holds(guards)
    }

    /// The first outcome that holds in the loaded state.
    pub(crate) fn outcome_here(&self) -> Option<usize> {
        self.program.outcomes.iter().position(|outcome| self.evaluator.any_holds(&outcome.when))
    }

    /// The first outcome that holds in the state.
    pub(crate) fn outcome(&mut self, state: &LabelledState) -> Option<usize> {
        self.load(state);
        self.outcome_here()
    }

    /// The state after a transition that is enabled.
    pub(crate) fn fire(&self, state: &LabelledState, transition: Transition) -> LabelledState {
        let mut next = state.clone();
        self.fire_into(state, transition, &mut next);
        next
    }

    /// The same into a state of the same topology, whatever its words are.
    pub(crate) fn fire_into(&self, state: &LabelledState, transition: Transition, next: &mut LabelledState) {
        let effect = &self.program.rule(transition.rule).effect;
        next.copy_words(state);
        next.global = effect.global.apply(state.global);
        for bulk in &effect.bulk {
            apply_bulk(bulk, state, transition, next);
        }
        let mut first = 0;
        for (at, package) in next.packages.iter_mut().enumerate() {
            if transition.package == Some(at) {
                package.word = effect.package.apply(package.word);
                if let Some(cpu) = transition.cpu {
                    let word = &mut package.cpus[cpu - first];
                    *word = effect.cpu.apply(*word);
                }
            }
            first += package.cpus.len();
        }
    }
}

/// Rewrites the words of `next` whose counterpart in `state` matches.
fn apply_bulk(bulk: &Bulk, state: &LabelledState, transition: Transition, next: &mut LabelledState) {
    let mut cpu_id = 0;
    for (at, (before, after)) in state.packages.iter().zip(&mut next.packages).enumerate() {
        let acting = transition.package == Some(at);
        let mut rewrite_cpus = |cpu: Cube<u64>, clear: u64, set: u64| {
            for (number, (before, after)) in before.cpus.iter().zip(&mut after.cpus).enumerate() {
                if cpu.matches(*before) && transition.cpu != Some(cpu_id + number) {
                    *after = (*after & !clear) | set;
                }
            }
        };
        match *bulk {
            Bulk::Cpus { cpu, package, clear, set } if package.matches(before.word) => rewrite_cpus(cpu, clear, set),
            Bulk::PackageCpus { cpu, clear, set } if acting => rewrite_cpus(cpu, clear, set),
            Bulk::Packages { package, clear, set } if !acting && package.matches(before.word) => {
                after.word = (after.word & !clear) | set;
            }
            _ => {}
        }
        cpu_id += before.cpus.len();
    }
}
