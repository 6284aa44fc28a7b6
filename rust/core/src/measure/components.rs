//! Strongly connected components.
//!
//! Source: Tarjan, "Depth-first search and linear graph algorithms" (1972), with an explicit stack: recursion would
//! be as deep as the graph.

use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::StateId;

const UNSEEN: u32 = u32::MAX;
const FINISHED: u32 = u32::MAX - 1;

/// States between two looks at the watch.
const PATIENCE: u32 = 1 << 14;

/// What computing them takes for each state: its number, its places in the stack and on the path, and in the result.
pub(super) const BYTES_PER_STATE: usize =
    2 * size_of::<u32>() + size_of::<Step>() + size_of::<StateId>() + size_of::<u32>();

/// Components, each after all others that it leads to.
#[derive(Debug)]
pub(super) struct Components {
    states: Vec<StateId>,
    /// Where each one starts, and where the last one ends.
    bounds: Vec<u32>,
}

impl Components {
    /// Each before all others that it leads to.
    pub(super) fn backwards(&self) -> impl Iterator<Item = &[StateId]> {
        self.bounds.array_windows().rev().map(|[start, end]| &self.states[*start as usize..*end as usize])
    }
}

/// A state on the path: its number, and its next transition.
struct Step {
    state: StateId,
    own: u32,
    next: usize,
}

/// The components; every state is reachable from state 0.
pub(super) fn components(graph: &Graph, watch: &Watch<'_>) -> Result<Components, Reason> {
    let mut components = Components { states: Vec::new(), bounds: vec![0] };
    // The lowest number known to be reachable from each state on the stack.
    let mut low = vec![UNSEEN; graph.len()];
    let mut number = 0;
    let mut stack = vec![StateId(0)];
    let mut path = vec![Step { state: StateId(0), own: number, next: 0 }];
    low[0] = number;
    while let Some(Step { state, own, next }) = path.last_mut() {
        let (state, own) = (*state, *own);
        if let Some(target) = graph.target(state, *next) {
            *next += 1;
            match low[target.index()] {
                FINISHED => {}
                UNSEEN => {
                    number += 1;
                    if number.is_multiple_of(PATIENCE) {
                        watch.check()?;
                    }
                    low[target.index()] = number;
                    stack.push(target);
                    path.push(Step { state: target, own: number, next: 0 });
                }
                reachable => low[state.index()] = low[state.index()].min(reachable),
            }
            continue;
        }
        path.pop();
        let lowest = low[state.index()];
        if let Some(Step { state: parent, .. }) = path.last() {
            low[parent.index()] = low[parent.index()].min(lowest);
        }
        if lowest == own {
            let start = stack.iter().rposition(|other| *other == state).unwrap_or(0);
            // In the order of ids, most transitions go forward.
            stack[start..].sort_unstable();
            for member in &stack[start..] {
                low[member.index()] = FINISHED;
            }
            components.states.extend(stack.drain(start..));
            components.bounds.push(components.states.len() as u32);
        }
    }
    Ok(components)
}
