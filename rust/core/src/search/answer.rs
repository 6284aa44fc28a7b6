//! Turns what a search has found into the rows that it answers with.

use std::time::Duration;

use super::breadth_first::Found;
use super::tally::StateTally;
use crate::exploration::{Exploration, LevelRow, Measured, OutcomeRow, PredicateRow, PriceRow, ResponseRow, RuleRow};
use crate::measure::{Interleavings, Measures, Traps};
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
            state_bits: 0,
            memory_bytes: self.found.peak_bytes.max(self.measures.map_or(0, |it| it.peak_bytes)) as u64,
            elapsed: Duration::ZERO,
            threads: 0,
            measured: self.measures.map(Self::measured),
            outcomes: self.outcomes(),
            invariants: tally.invariants.iter().map(|it| self.predicate(it)).collect(),
            expectations: tally.expectations.iter().map(|it| self.predicate(it)).collect(),
            responses: self.measures.iter().flat_map(|it| &it.traps).map(|traps| self.response(traps)).collect(),
            prices: self.prices(),
            levels: self.levels(),
            rules: self.rules(),
        }
    }

    fn measured(measures: &Measures) -> Measured {
        let log10_error = measures.interleavings.as_ref().and_then(Interleavings::log10_error);
        Measured { cyclic: measures.cyclic, diverging: measures.diverging, log10_error }
    }

    /// The depth of a state: levels are ranges of ids.
    fn depth(&self, state: StateId) -> u32 {
        let mut end = 0;
        let starts_later = |explored: u64| {
            end += explored;
            end > u64::from(state.0)
        };
        self.found.levels.iter().map(|level| level.explored).position(starts_later).unwrap_or(0) as u32
    }

    /// A row for each outcome that was reached.
    fn outcomes(&self) -> Vec<OutcomeRow> {
        let row = |(outcome, tally): (usize, &StateTally)| {
            let first = tally.first?;
            let interleavings = self.measures.and_then(|it| it.interleavings.as_ref());
            Some(OutcomeRow {
                outcome,
                terminal_states: tally.states.clone().into_exact(),
                explored_terminals: tally.explored,
                interleavings: interleavings.and_then(|all| all.exact(outcome)),
                log10_interleavings: interleavings.and_then(|all| all.log10(outcome)),
                interleaving_share: interleavings.map(|all| all.share(outcome)),
                probability: self.measures.and_then(|it| it.probabilities.as_ref()).map(|all| all[outcome]),
                shortest_steps: self.depth(first),
                schedule: Some(self.tracer.schedule(first)),
            })
        };
        self.found.tally.outcomes.iter().enumerate().filter_map(row).collect()
    }

    fn predicate(&self, tally: &StateTally) -> PredicateRow {
        PredicateRow {
            states: tally.states.clone().into_exact(),
            shortest_steps: tally.first.map(|first| self.depth(first)),
            schedule: tally.first.map(|first| self.tracer.schedule(first)),
        }
    }

    fn response(&self, traps: &Traps) -> ResponseRow {
        ResponseRow {
            states: traps.states.clone().into_exact(),
            shortest_steps: traps.first.map(|first| self.depth(first)),
            schedule: traps.first.map(|first| self.tracer.schedule(first)),
            shut: traps.shut.clone(),
        }
    }

    fn prices(&self) -> Vec<PriceRow> {
        let paths = self.measures.iter().flat_map(|it| &it.paths).enumerate();
        let rows =
            paths.filter_map(|(outcome, paths)| Some((outcome, paths.as_ref()?))).flat_map(|(outcome, paths)| {
                paths.iter().enumerate().map(move |(price, cost)| PriceRow {
                    outcome,
                    price,
                    mean: cost.mean,
                    total: cost.total.clone(),
                    least: cost.least,
                    most: cost.most,
                })
            });
        rows.collect()
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
