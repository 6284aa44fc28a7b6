//! How the paths of a complete state graph are distributed over the outcomes.
//!
//! Two different measures, and both are reported: the number of *interleavings*, in which every maximal path counts
//! once, and the *probability* under the uniform scheduler, in which each state chooses among its labelled
//! transitions with equal chances. Short paths weigh little in the first and much in the second.
//!
//! Measures are taken one after the other, the more important ones first, each within what the limit on memory leaves
//! ([`Room`]). One that does not fit is left out.

mod cause;
mod interleavings;
pub(crate) mod memory_limit;
mod price;
mod probability;
mod response;

use crate::graph::Graph;
use crate::limits::{Measure, Reason, Watch};
use crate::program::Program;
use crate::space::Space;
use crate::store::states::Store;

pub(crate) use self::interleavings::Interleavings;
use self::memory_limit::Room;
pub(crate) use self::price::Paths;
pub(crate) use self::response::Traps;
use crate::graph::layers::Layers;

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
    /// The traps of each response; none if they were left out.
    pub(crate) traps: Vec<Traps>,
    /// The paths to each outcome and what they cost; none if that was not asked for, or the graph has cycles.
    pub(crate) paths: Vec<Option<Paths>>,
    /// What was left out for lack of memory.
    pub(crate) left_out: Option<Reason>,
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
    /// Bytes that may be held, the graph included.
    pub(crate) max_memory: Option<u64>,
}

/// A graph without cycles.
struct Acyclic<'a> {
    graph: &'a Graph,
    store: &'a Store,
    layers: Layers,
    /// Outcomes of the Program, and those that are reached.
    outcomes: usize,
    reached: Vec<usize>,
    watch: &'a Watch<'a>,
}

/// Measures a graph.
pub(crate) fn measure<S: Space>(subject: &Subject<'_, S>, watch: &Watch<'_>) -> Result<Measures, Reason> {
    let Subject { program, space, graph, store, prices, max_memory } = *subject;
    let outcomes = program.outcomes.len();
    let mut room = Room::new(max_memory, graph.bytes() + store.bytes() + space.bytes());
    let layers = Layers::of(graph, &mut room, watch)?;
    let mut measures = Measures {
        cyclic: layers.is_none(),
        interleavings: None,
        probabilities: None,
        diverging: None,
        traps: Vec::new(),
        paths: Vec::new(),
        left_out: None,
        peak_bytes: 0,
    };
    room.enter(Measure::Responses);
    let traps = response::traps(subject, layers.as_ref(), &mut room, watch);
    measures.traps = measures.or_left_out(traps)?.unwrap_or_default();
    room.enter(Measure::Probabilities);
    if let Some(layers) = layers {
        let graph = Acyclic { graph, store, layers, outcomes, reached: store.outcomes_reached(), watch };
        let probabilities = graph.probabilities(&mut room);
        measures.probabilities = measures.or_left_out(probabilities)?;
        measures.diverging = Some(0.0);
        room.enter(Measure::Interleavings);
        let rounded = measures.or_left_out(graph.rounded(&mut room))?;
        if let Some(rounded) = &rounded {
            let interleavings = graph.interleavings(rounded, &mut room);
            measures.interleavings = measures.or_left_out(interleavings)?;
        }
        room.enter(Measure::Prices);
        if let Some(rounded) = rounded.filter(|_| prices) {
            let paths = graph.prices(program, space, &rounded, &mut room);
            measures.paths = measures.or_left_out(paths)?.unwrap_or_default();
        }
    } else {
        let absorbed = probability::cyclic(graph, store, outcomes, &mut room, watch);
        let absorbed = measures.or_left_out(absorbed)?.flatten();
        (measures.probabilities, measures.diverging) = absorbed.map(|it| (it.by_outcome, it.diverging)).unzip();
    }
    measures.peak_bytes = room.peak();
    Ok(measures)
}

impl Measures {
    /// A measure, or none if there was no room for it.
    fn or_left_out<T>(&mut self, measure: Result<T, Reason>) -> Result<Option<T>, Reason> {
        match measure {
            Ok(measure) => Ok(Some(measure)),
            Err(reason @ Reason::NoRoom { .. }) => {
                self.left_out = self.left_out.or(Some(reason));
                Ok(None)
            }
            Err(reason) => Err(reason),
        }
    }
}
