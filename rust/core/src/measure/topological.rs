//! An order of the states in which every transition goes forward, if there is one.
//!
//! Source: Kahn, "Topological sorting of large networks" (1962). Breadth-first levels are not such an order: a
//! transition may stay on its level or lead back to an earlier one without closing a cycle.

use super::stop_if_asked;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::StateId;

/// The order, or none if the graph has a cycle; every state is reachable from state 0.
pub(super) fn order(graph: &Graph, watch: &Watch<'_>) -> Result<Option<Vec<StateId>>, Reason> {
    let mut open = vec![0_u32; graph.len()];
    for source in 0..graph.len() {
        stop_if_asked(watch, source)?;
        for (target, _) in graph.row(StateId(source as u32)) {
            open[target.index()] += 1;
        }
    }
    if open.first() != Some(&0) {
        return Ok(None);
    }
    let mut order = Vec::with_capacity(graph.len());
    order.push(StateId(0));
    let mut done = 0;
    while let Some(&source) = order.get(done) {
        stop_if_asked(watch, done)?;
        done += 1;
        for (target, _) in graph.row(source) {
            open[target.index()] -= 1;
            if open[target.index()] == 0 {
                order.push(target);
            }
        }
    }
    Ok((order.len() == graph.len()).then_some(order))
}
