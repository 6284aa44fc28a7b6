//! The engine's algorithms on graphs, as far as threads share something.

#[path = "../../core/src/graph/backward.rs"]
pub(crate) mod backward;
pub(crate) mod layers;
#[path = "../../core/src/graph/open.rs"]
pub(crate) mod open;

use crate::store::states::StateId;

/// A small graph: the targets of each state.
#[derive(Debug)]
pub(crate) struct Graph(pub(crate) &'static [&'static [u32]]);

impl Graph {
    pub(crate) fn row(&self, source: StateId) -> impl Iterator<Item = (StateId, u16)> + '_ {
        self.0[source.index()].iter().map(|target| (StateId(*target), 1))
    }
}
