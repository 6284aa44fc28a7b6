//! Figures that a search adds up on the way.
//!
//! Each chunk has a tally of its own, and they are merged. Sums are exact integers and firsts are minima over ids, so the
//! result depends neither on the order of merging nor on the number of threads.

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
    /// Figures of the current level; they are taken out when it ends.
    pub(crate) level: LevelTally,
}

/// The transitions of one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleTally {
    /// Transitions between stored states.
    pub(crate) fired: u64,
    /// Labelled transitions.
    pub(crate) transitions: Total,
}

/// The states with one outcome, or in which one property holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct StateTally {
    /// Labelled states.
    pub(crate) states: Total,
    /// The lowest id, so one with the least depth.
    pub(crate) first: Option<StateId>,
}

/// One level of the search.
#[derive(Debug, Clone, Default)]
pub(crate) struct LevelTally {
    /// States stored.
    pub(crate) explored: u64,
    /// Labelled states.
    pub(crate) states: Total,
    /// Transitions generated from the stored states.
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

    /// Adds another tally, but for its level.
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
    /// Adds a stored state that stands for `weight` labelled ones.
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
