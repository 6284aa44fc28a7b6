//! The exact number of labelled paths from the initial state to each outcome.
//!
//! All labelled states of an orbit are reached by equally many paths, and each has `multiplicity` transitions behind one of
//! the orbit's. So the paths *into an orbit* add up like this: paths(target) = sum of paths(source) * multiplicity.
//! A number is dropped as soon as its state is done, which keeps only a front of them alive.

use dashu_int::UBig;

use super::stop_if_asked;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::{NO_OUTCOME, StateId, Store};

/// Interleavings by outcome; `order` is topological.
pub(super) fn count(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    order: &[StateId],
    watch: &Watch<'_>,
) -> Result<Vec<UBig>, Reason> {
    let mut by_outcome = vec![UBig::ZERO; outcomes];
    let mut paths = vec![UBig::ZERO; graph.len()];
    paths[0] = UBig::ONE;
    for (done, source) in order.iter().enumerate() {
        stop_if_asked(watch, done)?;
        let own = std::mem::take(&mut paths[source.index()]);
        for (target, multiplicity) in graph.row(*source) {
            if multiplicity == 1 {
                paths[target.index()] += &own;
            } else {
                paths[target.index()] += &own * multiplicity;
            }
        }
        let outcome = store.outcome(*source);
        if outcome != NO_OUTCOME {
            by_outcome[outcome as usize] += own;
        }
    }
    Ok(by_outcome)
}
