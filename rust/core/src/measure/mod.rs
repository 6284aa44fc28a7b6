//! How the paths of a complete state graph are distributed over the outcomes.
//!
//! Two different measures, and both are reported: the number of *interleavings*, in which every maximal path counts
//! once, and the *probability* under the uniform scheduler, in which each state chooses among its labelled
//! transitions with equal chances. Short paths weigh little in the first and much in the second.

mod components;
mod interleavings;
mod price;
mod response;
mod scheduler;
mod topological;

use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::program::Program;
use crate::space::Space;
use crate::store::{StateId, Store};

use self::interleavings::Interleavings;
pub(crate) use self::price::Paths;
pub(crate) use self::response::Traps;

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
    /// The traps of each response.
    pub(crate) traps: Vec<Traps>,
    /// The paths to each outcome and what they cost; none if that was not asked for, or the graph has cycles.
    pub(crate) paths: Vec<Option<Paths>>,
    /// The most bytes held while measuring, the graph included.
    pub(crate) peak_bytes: usize,
}

/// What is measured.
pub(crate) struct Subject<'a, S> {
    pub(crate) program: &'a Program,
    pub(crate) space: &'a S,
    /// The complete graph, its states and the outcomes of the terminal ones.
    pub(crate) graph: &'a Graph,
    pub(crate) store: &'a Store,
    pub(crate) prices: bool,
}

/// Measures a graph.
pub(crate) fn measure<S: Space>(subject: &Subject<'_, S>, watch: &Watch<'_>) -> Result<Measures, Reason> {
    let Subject { program, space, graph, store, prices } = *subject;
    let outcomes = program.outcomes.len();
    let held = graph.bytes() + store.bytes();
    let traps = response::traps(program, space, graph, store, watch)?;
    if let Some(order) = topological::order(graph, watch)? {
        let (interleavings, bytes) = interleavings::count(graph, store, outcomes, &order, watch)?;
        let probabilities = scheduler::acyclic(graph, store, outcomes, &order, watch)?;
        let paths = if prices { price::by_outcome(program, space, graph, store, &order, watch)? } else { Vec::new() };
        return Ok(Measures {
            cyclic: false,
            interleavings: Some(interleavings),
            probabilities: Some(probabilities),
            diverging: Some(0.0),
            traps,
            paths,
            peak_bytes: held + bytes + order.len() * size_of::<StateId>(),
        });
    }
    let absorbed = scheduler::cyclic(graph, store, outcomes, watch)?;
    let (probabilities, diverging) = absorbed.map(|it| (it.by_outcome, it.diverging)).unzip();
    let peak_bytes = held + graph.len() * scheduler::BYTES_PER_STATE;
    let paths = Vec::new();
    Ok(Measures { cyclic: true, interleavings: None, probabilities, diverging, traps, paths, peak_bytes })
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
