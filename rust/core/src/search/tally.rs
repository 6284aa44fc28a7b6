//! Figures that a search adds up on the way. Each chunk has its own; sums and minima do not depend on who adds first.

use crate::number::count::{Total, Weight};
use crate::program::Program;
use crate::store::states::StateId;

/// The figures of a search, or of a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) rules: Vec<RuleTally>,
    pub(crate) outcomes: Vec<StateTally>,
    pub(crate) invariants: Vec<StateTally>,
    pub(crate) expectations: Vec<StateTally>,
    /// Figures of the current level, taken away at its end.
    pub(crate) level: LevelTally,
}

/// How often a rule fired.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleTally {
    pub(crate) fired: u64,
    pub(crate) transitions: Total,
}

/// States of some kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct StateTally {
    pub(crate) states: Total,
    /// The first one in the order of ids.
    pub(crate) first: Option<StateId>,
}

/// One level of the search.
#[derive(Debug, Clone, Default)]
pub(crate) struct LevelTally {
    /// States stored.
    pub(crate) explored: u64,
    /// Labelled states that they stand for.
    pub(crate) states: Total,
    /// Transitions generated from them.
    pub(crate) generated: u64,
}

impl Tally {
    pub(crate) fn new(program: &Program) -> Self {
        Self {
            rules: vec![RuleTally::default(); program.rules.len()],
            outcomes: vec![StateTally::default(); program.outcomes.len()],
            invariants: vec![StateTally::default(); program.invariants.len()],
            expectations: vec![StateTally::default(); program.expectations.len()],
            level: LevelTally::default(),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (rule, other) in self.rules.iter_mut().zip(&other.rules) {
            rule.fired += other.fired;
            rule.transitions.merge(&other.transitions);
        }
        let states = self.outcomes.iter_mut().chain(&mut self.invariants).chain(&mut self.expectations);
        let others = other.outcomes.iter().chain(&other.invariants).chain(&other.expectations);
        for (states, other) in states.zip(others) {
            states.merge(other);
        }
    }
}

impl StateTally {
    pub(crate) fn add(&mut self, id: StateId, weight: &Weight) {
        self.states.add(weight, 1);
        self.first = Some(self.first.map_or(id, |first| first.min(id)));
    }

    fn merge(&mut self, other: &Self) {
        self.states.merge(&other.states);
        self.first = self.first.into_iter().chain(other.first).min();
    }
}

impl LevelTally {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.explored += other.explored;
        self.states.merge(&other.states);
        self.generated += other.generated;
    }
}
