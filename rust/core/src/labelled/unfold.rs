//! Every labelled state and transition, as lists.
//!
//! The search stores orbits and hands out no states. Whoever has to follow single CPUs through all runs at once, such as an
//! observer of the order of two steps, needs the states with their numbers; this lists them, for graphs that fit into memory
//! several times over. It is plain breadth-first search on one thread, and shares nothing with the other search but the
//! [`Machine`], so that each is a witness of the other.

use std::collections::HashMap;
use std::ops::Range;

use crate::columns::Column;
use crate::labelled::machine::{Machine, Transition};
use crate::labelled::state::LabelledState;
use crate::program::Program;
use crate::progress::Monitor;
use crate::sync::Arc;

/// All states that can be reached, and the transitions between them.
#[derive(Debug, Default)]
pub struct Unfolded {
    /// The states; the first one is the initial one, and numbers follow a breadth-first search.
    pub states: Vec<Arc<LabelledState>>,
    /// The outcome of each state that is terminal and has one.
    pub(crate) outcomes: Vec<Option<u32>>,
    /// The index one past the last transition of each state.
    ends: Vec<u64>,
    /// Each transition and the state that it leads to, by source, in canonical order.
    pub(crate) transitions: Vec<(Transition, u32)>,
}

/// Lists all states and transitions; none if there are more states than `max_states`, or if the monitor asked to stop.
///
/// A trap that is enabled is listed as a transition: a search has to say first that there is none.
#[must_use]
pub fn unfold(program: &Program, initial: &LabelledState, max_states: usize, monitor: &Monitor) -> Option<Unfolded> {
    let mut machine = Machine::new(program);
    let first = Arc::new(initial.clone());
    let mut numbers = HashMap::from([(Arc::clone(&first), 0)]);
    let mut found = Unfolded { states: vec![first], ..Unfolded::default() };
    let mut at = 0;
    while let Some(state) = found.states.get(at).cloned() {
        if found.states.len() > max_states || monitor.is_cancelled() {
            return None;
        }
        let enabled = machine.transitions(&state);
        let outcome = if enabled.is_empty() { machine.outcome(&state) } else { None };
        found.outcomes.push(outcome.map(|outcome| outcome as u32));
        for transition in enabled {
            let next = Arc::new(machine.fire(&state, transition));
            let new = found.states.len() as u32;
            let target = *numbers.entry(Arc::clone(&next)).or_insert(new);
            if target == new {
                found.states.push(next);
            }
            found.transitions.push((transition, target));
        }
        found.ends.push(found.transitions.len() as u64);
        at += 1;
    }
    Some(found)
}

impl Unfolded {
    /// The transitions of a state.
    pub(crate) fn row(&self, state: u32) -> Range<usize> {
        let state = state as usize;
        let start = state.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[state] as usize
    }

    /// A row for each state: the index one past its last transition, and its outcome.
    #[must_use]
    pub fn state_columns(&self) -> Vec<Column> {
        vec![
            Column::u64("end", self.ends.iter().copied()),
            Column::u32_or_none("outcome", self.outcomes.iter().copied()),
        ]
    }

    /// A row for each transition.
    #[must_use]
    pub fn transition_columns(&self) -> Vec<Column> {
        let rows = self.transitions.iter();
        let number = |id: Option<usize>| id.map(|id| id as u32);
        vec![
            Column::u32("target", rows.clone().map(|(_, target)| *target)),
            Column::u32("rule", rows.clone().map(|(taken, _)| taken.rule.0)),
            Column::u32_or_none("package", rows.clone().map(|(taken, _)| number(taken.package))),
            Column::u32_or_none("cpu", rows.map(|(taken, _)| number(taken.cpu))),
        ]
    }
}
