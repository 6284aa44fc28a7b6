//! Strongly connected components.
//!
//! Source: Tarjan, "Depth-first search and linear graph algorithms" (1972), with an explicit stack: recursion would
//! be as deep as the graph.

use super::stop_if_asked;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::StateId;

const UNSEEN: u32 = u32::MAX;
const FINISHED: u32 = u32::MAX - 1;

/// The components, each after all others that it leads to; every state is reachable from state 0.
pub(super) fn components(graph: &Graph, watch: &Watch<'_>) -> Result<Vec<Vec<StateId>>, Reason> {
    let mut components = Vec::new();
    // The lowest number known to be reachable from each state on the stack.
    let mut low = vec![UNSEEN; graph.len()];
    let mut number = 0;
    let mut stack = vec![StateId(0)];
    let mut path = vec![(StateId(0), number, graph.row(StateId(0)))];
    low[0] = number;
    while let Some((state, own, successors)) = path.last_mut() {
        let (state, own) = (*state, *own);
        if let Some((target, _)) = successors.next() {
            match low[target.index()] {
                FINISHED => {}
                UNSEEN => {
                    number += 1;
                    stop_if_asked(watch, number as usize)?;
                    low[target.index()] = number;
                    stack.push(target);
                    path.push((target, number, graph.row(target)));
                }
                reachable => low[state.index()] = low[state.index()].min(reachable),
            }
            continue;
        }
        path.pop();
        let lowest = low[state.index()];
        if let Some((parent, _, _)) = path.last() {
            low[parent.index()] = low[parent.index()].min(lowest);
        }
        if lowest == own {
            let start = stack.iter().rposition(|other| *other == state).unwrap_or(0);
            let mut component = stack.split_off(start);
            // In the order of ids, most transitions go forward.
            component.sort_unstable();
            for member in &component {
                low[member.index()] = FINISHED;
            }
            components.push(component);
        }
    }
    Ok(components)
}
