//! All states found, by id: their words, their parents and, for terminal ones, their outcomes.
//!
//! Ids are given in the order of first generation, so a level of the search is a range of ids and the states of a
//! level are read in the order in which they lie in memory. States are appended, and their words and parents never change.
//!
//! Rejected: a box for each state (an allocation and 16 bytes more for each), and states inside the table of the
//! visited set (growing it would move them all).

use crate::store::memory;

/// Index of a state, in the order of first generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StateId(pub(crate) u32);

impl StateId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Outcome of a state that is not (yet) known to be terminal.
pub(crate) const NO_OUTCOME: u8 = u8::MAX;

/// Ids are below this. The rest of 32 bits is for the provisional ids of a batch, which may be as many as its successors.
pub(crate) const MOST_STATES: u64 = u32::MAX as u64 - (1 << 28);

/// States by id.
#[derive(Debug)]
pub(crate) struct Store {
    /// Words of each state.
    stride: usize,
    words: Vec<u64>,
    /// For each state the state that it was first generated from; the initial state has itself.
    parents: Vec<StateId>,
    /// For each state its outcome, or [`NO_OUTCOME`].
    outcomes: Vec<u8>,
}

impl Store {
    pub(crate) fn new(stride: usize) -> Self {
        Self { stride, words: Vec::new(), parents: Vec::new(), outcomes: Vec::new() }
    }

    /// Bytes that a state of so many words takes here.
    pub(crate) fn bytes_per_state(stride: usize) -> u64 {
        (stride * size_of::<u64>() + size_of::<StateId>() + size_of::<u8>()) as u64
    }

    /// The number of states.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// Appends a state; its id is the previous [`len`](Self::len).
    #[inline]
    pub(crate) fn push(&mut self, packed: &[u64], parent: StateId, outcome: u8) {
        debug_assert_eq!(packed.len(), self.stride);
        self.words.extend_from_slice(packed);
        self.parents.push(parent);
        self.outcomes.push(outcome);
    }

    /// The words of a state.
    #[inline]
    pub(crate) fn get(&self, id: StateId) -> &[u64] {
        &self.words[id.index() * self.stride..(id.index() + 1) * self.stride]
    }

    /// The words of all states by id.
    #[cfg(test)]
    pub(crate) fn states(&self) -> impl Iterator<Item = &[u64]> {
        self.words.chunks_exact(self.stride)
    }

    /// Asks for the words of a state ahead of their use.
    #[inline]
    pub(crate) fn prefetch(&self, id: StateId) {
        memory::prefetch(&self.words, id.index() * self.stride);
    }

    /// The state that a state was first generated from.
    pub(crate) fn parent(&self, id: StateId) -> StateId {
        self.parents[id.index()]
    }

    /// The outcome of a terminal state, else [`NO_OUTCOME`].
    #[inline]
    pub(crate) fn outcome(&self, id: StateId) -> u8 {
        self.outcomes[id.index()]
    }

    /// The outcome of a terminal state.
    #[inline]
    pub(crate) fn outcome_of(&self, id: StateId) -> Option<usize> {
        let outcome = self.outcome(id);
        (outcome != NO_OUTCOME).then_some(usize::from(outcome))
    }

    /// Whether the state is known to be terminal.
    #[inline]
    pub(crate) fn is_terminal(&self, id: StateId) -> bool {
        self.outcome(id) != NO_OUTCOME
    }

    /// The outcomes that some state has, in their order.
    pub(crate) fn outcomes_reached(&self) -> Vec<usize> {
        let mut reached = [false; NO_OUTCOME as usize + 1];
        self.outcomes.iter().for_each(|outcome| reached[usize::from(*outcome)] = true);
        (0..usize::from(NO_OUTCOME)).filter(|outcome| reached[*outcome]).collect()
    }

    pub(crate) fn set_outcome(&mut self, id: StateId, outcome: u8) {
        self.outcomes[id.index()] = outcome;
    }

    /// Bytes in use. The unused capacity of a vector is not counted, as it has never been touched.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.words.as_slice()) + size_of_val(self.parents.as_slice()) + self.outcomes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_back() {
        let mut store = Store::new(2);
        store.push(&[1, 2], StateId(0), NO_OUTCOME);
        store.push(&[3, 4], StateId(0), 7);
        assert_eq!(store.get(StateId(1)), [3, 4]);
        assert_eq!((store.outcome(StateId(0)), store.outcome(StateId(1))), (NO_OUTCOME, 7));
        assert_eq!(store.bytes(), 2 * (16 + 4 + 1));
    }
}
