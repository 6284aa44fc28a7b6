//! How states are represented: two spaces behind one trait.
//!
//! [`Concrete`] keeps the identity of every CPU; [`Orbit`] counts CPUs and packages of each kind. The search, the
//! visited set and the measures are written once, for any [`Space`]. To them a state is a slice of `u64`; two slices are
//! equal exactly if the states are.
//!
//! Rejected: a trait object. Generating a successor takes tens of nanoseconds, so the search is compiled once for each
//! space.

mod concrete;
mod orbit;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use concrete::Layout;
pub(crate) use concrete::{Concrete, InConcrete, Workspace as ConcreteWorkspace, with_concrete};
pub(crate) use orbit::Orbit;

use rayon::prelude::*;
use serde::Deserialize;

use crate::labelled::state::LabelledState;
use crate::number::count::{Total, Weight};
use crate::program::{Guard, RuleId};
use crate::store::states::{StateId, Store};

/// How a search represents states. Verdict and concrete totals are the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceKind {
    /// CPUs and packages are counted by kind: one stored state stands for all that the [`Symmetry`] exchanges.
    #[default]
    Orbit,
    /// CPUs keep their identity, and every state is stored with its words.
    Concrete,
    /// CPUs keep their identity, and every state is one bit. The answer has totals and levels only and no measures, even if
    /// they are asked for. Depth, outcomes and traces come from a search of the orbit space, and every bit must be set by
    /// a step from a state of the level before.
    Bits,
}

/// Which CPUs and packages the orbit space treats as interchangeable.
///
/// Runs from the initial state are the same for both, and so are outcomes, interleavings, probabilities and the length of
/// the shortest traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symmetry {
    /// CPUs of a package that start out equal, and packages that start out equal.
    #[default]
    Start,
    /// All CPUs of a package and all packages of one size, whatever their initial state: fewer states are stored. States
    /// and transitions are then those that can be reached from any renaming of the initial state, and a state that some
    /// renaming reaches earlier has that smaller depth.
    All,
}

/// A packed representation of states.
///
/// A [`Workspace`](Space::Workspace) holds one unpacked state; it is loaded once and then asked several questions.
/// Each thread has its own.
pub(crate) trait Space: Sync {
    /// One unpacked state and the memory to expand it.
    type Workspace: Send + Sync;

    /// A guard of global scope, prepared for this space.
    type Predicate: Send + Sync;

    /// Words of a packed state, at least 1.
    fn stride(&self) -> usize;

    /// Bits of a packed state.
    fn state_bits(&self) -> u64 {
        self.stride() as u64 * u64::from(u64::BITS)
    }

    /// Bytes that the space itself has come to hold.
    fn bytes(&self) -> usize {
        0
    }

    /// Prepares a guard of the Program.
    fn predicate(&self, guard: &Guard) -> Self::Predicate;

    /// An empty workspace.
    fn workspace(&self) -> Self::Workspace;

    /// Packs a labelled state. If the space has symmetries, two states that one of them exchanges become equal.
    fn encode(&self, state: &LabelledState, packed: &mut Vec<u64>);

    /// Unpacks a state.
    fn load(&self, packed: &[u64], workspace: &mut Self::Workspace);

    /// Whether a predicate holds in the loaded state.
    fn holds(&self, predicate: &Self::Predicate, workspace: &Self::Workspace) -> bool;

    /// The number of labelled states that the loaded state stands for.
    fn orbit_size(&self, workspace: &Self::Workspace) -> Weight;

    /// Calls `emit` with each packed successor of the loaded state, its rule, and the number of labelled transitions
    /// that it stands for. The order depends on the state only.
    fn successors(&self, workspace: &mut Self::Workspace, emit: impl FnMut(&[u64], RuleId, u32));
}

/// The number of labelled states that some stored states stand for.
pub(crate) fn labelled_states<S: Space>(space: &S, store: &Store, states: &[StateId]) -> Total {
    let sums = states.par_iter().fold(
        || (Total::default(), space.workspace()),
        |(mut sum, mut workspace), state| {
            space.load(store.get(*state), &mut workspace);
            sum.add(&space.orbit_size(&workspace), 1);
            (sum, workspace)
        },
    );
    sums.map(|(sum, _)| sum).reduce(Total::default, |mut all, sum| {
        all.merge(&sum);
        all
    })
}
