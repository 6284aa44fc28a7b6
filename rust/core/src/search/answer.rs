//! Turns what a search has found into the rows that it answers with.

use super::breadth_first::Found;
use super::tally::StateTally;
use crate::exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
use crate::measure::{Measures, OutcomeFigures, ShortestTrace};
use crate::number::count::Total;
use crate::search::trace::Tracer;
use crate::space::Space;
use crate::store::states::StateId;

/// The result of a search, with all that is needed to write it up.
pub(super) struct Answer<'a, S> {
    pub(super) found: &'a Found,
    pub(super) measures: Option<&'a Measures>,
    pub(super) tracer: Tracer<'a, S>,
}

impl<S: Space> Answer<'_, S> {
    /// The answer; options and time are left for the caller to fill in.
    pub(super) fn exploration(&self) -> Exploration {
        let Found { tally, levels, .. } = self.found;
        let mut states = Total::default();
        for level in levels {
            states.merge(&level.states);
        }
        let mut transitions = Total::default();
        for rule in &tally.rules {
            transitions.merge(&rule.transitions);
        }
        Exploration {
            incomplete: self.found.reason,
            states: states.into_exact(),
            transitions: transitions.into_exact(),
            explored: self.found.store.len() as u64,
            generated: tally.rules.iter().map(|rule| rule.fired).sum(),
            depth: levels.len() as u32 - 1,
            memory_bytes: self.found.peak_bytes as u64,
            measured: self.measures.map(|it| it.measured.clone()),
            outcomes: self.outcomes(),
            invariants: tally.invariants.iter().map(|it| self.predicate(it)).collect(),
            expectations: tally.expectations.iter().map(|it| self.predicate(it)).collect(),
            levels: self.levels(),
            rules: self.rules(),
            ..Exploration::default()
        }
    }

    /// The outcomes that were reached.
    fn outcomes(&self) -> Vec<OutcomeRow> {
        let row = |(outcome, tally): (usize, &StateTally)| {
            let ShortestTrace { steps, schedule } = self.trace(tally.first?);
            let OutcomeFigures { interleavings, log10_interleavings, interleaving_share, probability } =
                self.measures.map(|it| it.of(outcome)).unwrap_or_default();
            Some(OutcomeRow {
                outcome,
                terminal_states: tally.states.clone().into_exact(),
                interleavings,
                log10_interleavings,
                interleaving_share,
                probability,
                shortest_steps: steps,
                schedule: Some(schedule),
            })
        };
        self.found.tally.outcomes.iter().enumerate().filter_map(row).collect()
    }

    fn predicate(&self, tally: &StateTally) -> PredicateRow {
        let (shortest_steps, schedule) =
            tally.first.map(|first| self.trace(first)).map(|trace| (trace.steps, trace.schedule)).unzip();
        PredicateRow { states: tally.states.clone().into_exact(), shortest_steps, schedule }
    }

    fn trace(&self, state: StateId) -> ShortestTrace {
        self.found.trace(&self.tracer, state)
    }

    fn levels(&self) -> Vec<LevelRow> {
        let levels = self.found.levels.iter();
        levels
            .map(|level| LevelRow {
                explored: level.explored,
                states: level.states.clone().into_exact(),
                generated: level.generated,
            })
            .collect()
    }

    fn rules(&self) -> Vec<RuleRow> {
        let rules = self.found.tally.rules.iter();
        rules.map(|rule| RuleRow { fired: rule.fired, transitions: rule.transitions.clone().into_exact() }).collect()
    }
}
