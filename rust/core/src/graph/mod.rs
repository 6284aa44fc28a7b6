//! The transitions between stored states, and algorithms on them that know no measure.
//!
//! Compressed sparse rows: the transitions of state `i` are one range of `targets` and `multiplicities`. The search expands
//! states in the order of their ids, so it appends rows in that order and never inserts.
//!
//! Rejected: a list of predecessors beside that of successors. It would double the memory of the largest structure, and every
//! measure is computed from successors.

pub(crate) mod backward;
pub(crate) mod components;
pub(crate) mod layers;
mod open;

use std::ops::Range;

use crate::store::states::StateId;

/// Transitions by source.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The index one past the last transition of each state.
    ends: Vec<u64>,
    /// The target of each transition.
    targets: Vec<StateId>,
    /// The number of labelled transitions that each one stands for: at most one for each CPU, so 16 bits suffice.
    multiplicities: Vec<u16>,
}

impl Graph {
    /// Appends a transition of the state whose row is open.
    #[inline]
    pub(crate) fn push(&mut self, target: StateId, multiplicity: u16) {
        self.targets.push(target);
        self.multiplicities.push(multiplicity);
    }

    /// Ends the open row; the next one belongs to the next state.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.targets.len() as u64);
    }

    /// The number of states.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of transitions.
    pub(crate) fn transitions(&self) -> usize {
        self.targets.len()
    }

    /// The indices of a state's transitions.
    #[inline]
    pub(crate) fn span(&self, source: StateId) -> Range<usize> {
        let at = source.index();
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        start..self.ends[at] as usize
    }

    /// Target and multiplicity of each transition of a state.
    #[inline]
    pub(crate) fn row(&self, source: StateId) -> impl Iterator<Item = (StateId, u16)> + '_ {
        let span = self.span(source);
        self.targets[span.clone()].iter().copied().zip(self.multiplicities[span].iter().copied())
    }

    /// The target of one of a state's transitions, counted from 0; none beyond the last.
    #[inline]
    pub(crate) fn target(&self, source: StateId, at: usize) -> Option<StateId> {
        self.targets[self.span(source)].get(at).copied()
    }

    /// The most transitions that a state has.
    pub(crate) fn longest_row(&self) -> usize {
        (0..self.len() as u32).map(|source| self.span(StateId(source)).len()).max().unwrap_or(0)
    }

    /// The sum of `number` over all labelled transitions of a state, evaluated at their targets.
    #[inline]
    pub(crate) fn weighted(&self, source: StateId, number: impl Fn(StateId) -> u64) -> u128 {
        self.row(source).map(|(target, times)| u128::from(number(target)) * u128::from(times)).sum()
    }

    /// The number of labelled transitions of one labelled state that this state stands for.
    pub(crate) fn out_degree(&self, source: StateId) -> u64 {
        self.row(source).map(|(_, multiplicity)| u64::from(multiplicity)).sum()
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.ends.as_slice())
            + size_of_val(self.targets.as_slice())
            + size_of_val(self.multiplicities.as_slice())
    }
}
