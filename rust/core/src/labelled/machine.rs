//! Runs a Program on labelled states, one transition at a time: traces and replays do so.
//!
//! Invariant: [`Machine::transitions`] gives the canonical order, by actor, package, CPU, choice and rule. A schedule is a
//! string of indices into it, and schedules are kept in data sets, so the order must never change.

use crate::labelled::enabled::{Actor, Evaluator};
use crate::labelled::state::LabelledState;
use crate::program::index::RuleIndex;
use crate::program::{Bulk, Cube, Program, RuleId};

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
        self.evaluator.load(state);
        let outcomes = &self.program.outcomes;
        if outcomes.iter().any(|outcome| outcome.fatal && self.evaluator.any_holds(&outcome.when)) {
            return Vec::new();
        }
        let mut transitions = Vec::new();
        self.index.candidates(state.global, &mut self.candidates);
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
        transitions.sort_by_key(|transition| {
            let rule = self.program.rule(transition.rule);
            (rule.actor, transition.package, transition.cpu, rule.choice, transition.rule)
        });
        transitions
    }

    /// The first outcome that holds in the state.
    pub(crate) fn outcome(&mut self, state: &LabelledState) -> Option<usize> {
        self.evaluator.load(state);
        self.program.outcomes.iter().position(|outcome| self.evaluator.any_holds(&outcome.when))
    }

    /// The state after a transition that is enabled.
    pub(crate) fn fire(&self, state: &LabelledState, transition: Transition) -> LabelledState {
        let effect = &self.program.rule(transition.rule).effect;
        let mut next = state.clone();
        next.global = effect.global.apply(state.global);
        for bulk in &effect.bulk {
            apply_bulk(bulk, state, transition, &mut next);
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
        next
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
