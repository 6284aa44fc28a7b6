//! How the paths of a complete state graph are distributed over the outcomes.
//!
//! Two different measures, and both are reported: the number of *interleavings*, in which every maximal path counts
//! once, and the *probability* under the uniform scheduler, in which each state chooses among its labelled
//! transitions with equal chances. Short paths weigh little in the first and much in the second.

mod components;
mod interleavings;
mod scheduler;
mod topological;

use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::{StateId, Store};

use self::interleavings::Interleavings;

/// The measures of a complete state graph.
#[derive(Debug)]
pub(crate) struct Measures {
    /// Whether the graph has a cycle.
    pub(crate) cyclic: bool,
    /// Maximal labelled paths by outcome; none in a graph with cycles.
    pub(crate) interleavings: Option<Interleavings>,
    /// Probability by outcome; none if it could not be computed to full precision.
    pub(crate) probabilities: Option<Vec<f64>>,
    /// Probability of never reaching a terminal state.
    pub(crate) diverging: Option<f64>,
    /// The most bytes held while measuring, the graph included.
    pub(crate) peak_bytes: usize,
}

/// Measures a graph whose terminal states have their outcomes in `store`.
pub(crate) fn measure(graph: &Graph, store: &Store, outcomes: usize, watch: &Watch<'_>) -> Result<Measures, Reason> {
    let held = graph.bytes() + store.bytes();
    if let Some(order) = topological::order(graph, watch)? {
        let (interleavings, bytes) = interleavings::count(graph, store, outcomes, &order, watch)?;
        let probabilities = scheduler::acyclic(graph, store, outcomes, &order, watch)?;
        return Ok(Measures {
            cyclic: false,
            interleavings: Some(interleavings),
            probabilities: Some(probabilities),
            diverging: Some(0.0),
            peak_bytes: held + bytes + order.len() * size_of::<StateId>(),
        });
    }
    let absorbed = scheduler::cyclic(graph, store, outcomes, watch)?;
    let (probabilities, diverging) = absorbed.map(|it| (it.by_outcome, it.diverging)).unzip();
    let peak_bytes = held + graph.len() * scheduler::BYTES_PER_STATE;
    Ok(Measures { cyclic: true, interleavings: None, probabilities, diverging, peak_bytes })
}

/// States between two looks at the watch.
const PATIENCE: usize = 1 << 14;

/// Looks at the watch once in a while.
fn stop_if_asked(watch: &Watch<'_>, done: usize) -> Result<(), Reason> {
    if done.is_multiple_of(PATIENCE)
        && let Some(reason) = watch.interruption()
    {
        Err(reason)
    } else {
        Ok(())
    }
}
