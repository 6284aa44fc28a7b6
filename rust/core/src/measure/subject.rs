//! The complete search that measures look at.

use crate::graph::Graph;
use crate::graph::layers::Layers;
use crate::limits::{Reason, Watch};
use crate::program::Program;
use crate::space::Space;
use crate::store::account::MemoryAccount;
use crate::store::states::{StateId, Store};

/// A complete search.
pub(crate) struct Subject<'a, S> {
    pub(crate) program: &'a Program,
    pub(crate) space: &'a S,
    /// All states, with the outcomes of those where a run ends: terminal and diverging ones.
    pub(crate) store: &'a Store,
    /// All transitions between them.
    pub(crate) graph: &'a Graph,
    pub(crate) watch: &'a Watch<'a>,
    /// Whether some state diverges.
    pub(crate) diverges: bool,
    /// Whether prices are asked for.
    pub(crate) prices: bool,
    /// The limit on memory, in bytes; states and transitions count against it.
    pub(crate) max_memory: Option<u64>,
    /// Finds a shortest trace to a state. The search knows how; measures do not.
    pub(crate) trace: &'a dyn Fn(StateId) -> ShortestTrace,
}

/// A shortest trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShortestTrace {
    pub(crate) steps: u32,
    pub(crate) schedule: String,
}

impl<S: Space> Subject<'_, S> {
    /// An account that holds what the search leaves behind.
    pub(crate) fn account(&self) -> MemoryAccount {
        MemoryAccount::new(self.max_memory, self.graph.bytes() + self.store.bytes() + self.space.bytes())
    }
}

/// A graph without cycles, apart from diverging states: these are where a run ends, like terminal states.
pub(super) struct Acyclic<'a> {
    pub(super) graph: &'a Graph,
    pub(super) store: &'a Store,
    pub(super) layers: Layers,
    /// The number of outcomes of the Program.
    pub(super) outcomes: usize,
    /// The outcomes that are reached, in the order of the Program.
    pub(super) reached: Vec<usize>,
    pub(super) watch: &'a Watch<'a>,
}

impl<'a> Acyclic<'a> {
    /// The graph of a search; none if it has a cycle from which a run can still end.
    pub(super) fn of<S>(subject: &Subject<'a, S>, account: &mut MemoryAccount) -> Result<Option<Self>, Reason> {
        let Subject { program, graph, store, watch, .. } = *subject;
        let layers = Layers::of(graph, |state| store.is_terminal(state), account, watch)?;
        let (outcomes, reached) = (program.outcomes.len(), store.outcomes_reached());
        Ok(layers.map(|layers| Self { graph, store, layers, outcomes, reached, watch }))
    }
}
