//! How states are represented: two answers behind one trait.
//!
//! [`Concrete`] keeps the identity of every CPU; [`Orbit`] counts CPUs and packages of each kind. The search, the
//! visited set and the measures are written once, for any [`Space`]; a state is a slice of `u64` to them, equal
//! exactly if the states are equal.
//!
//! Rejected: a trait object. Generating a successor takes tens of nanoseconds, so the search is compiled for each
//! space.

mod concrete;
mod orbit;
#[cfg(test)]
mod tests;

pub(crate) use concrete::Layout;
pub(crate) use concrete::{Concrete, Workspace as ConcreteWorkspace};
pub(crate) use orbit::Orbit;

use serde::Deserialize;

use crate::labelled::state::LabelledState;
use crate::number::count::Weight;
use crate::program::{Guard, RuleId};

/// Which representation a search uses; the verdict is the same, and so are all concrete totals but those of
/// [`Unnamed`](Self::Unnamed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceKind {
    /// CPUs are counted by kind, and those that start out different are told apart: the default.
    #[default]
    Orbit,
    /// CPUs are counted by kind, also those that start out different, and so are packages of one size: fewer states. Runs from
    /// the initial state are the same, and so are outcomes, interleavings, probabilities and schedules; but states and
    /// transitions are those that can be reached from any naming of the initial state.
    Unnamed,
    /// CPUs keep their identity.
    Concrete,
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

    /// Bytes that the space has come to hold.
    fn bytes(&self) -> usize {
        0
    }

    /// For a guard of the Program.
    fn predicate(&self, guard: &Guard) -> Self::Predicate;

    fn workspace(&self) -> Self::Workspace;

    /// Packs a labelled state: two states that a symmetry exchanges become equal, if the space has symmetries.
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
