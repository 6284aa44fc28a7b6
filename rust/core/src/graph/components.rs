//! Strongly connected components.
//!
//! Source: Tarjan, "Depth-first search and linear graph algorithms" (1972), with an explicit stack: recursion would
//! be as deep as the graph.

use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::states::StateId;

const UNSEEN: u32 = u32::MAX;
const FINISHED: u32 = u32::MAX - 1;

/// States between two looks at the watch.
const PATIENCE: u32 = 1 << 14;

/// What computing them takes for each state: its number, its places in the stack and on the path, and in the result.
pub(crate) const BYTES_PER_STATE: usize =
    2 * size_of::<u32>() + size_of::<Step>() + size_of::<StateId>() + size_of::<u32>();

/// Components, each after all others that it leads to.
#[derive(Debug)]
pub(crate) struct Components {
    states: Vec<StateId>,
    /// Where each one starts, and where the last one ends.
    bounds: Vec<u32>,
}

impl Components {
    /// Each before all others that it leads to.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = &[StateId]> {
        self.bounds.array_windows().rev().map(|[start, end]| &self.states[*start as usize..*end as usize])
    }
}

/// Those that lead to no other: where runs stay in the end, if they are fair to every transition.
pub(crate) fn bottoms(graph: &Graph, root: StateId, watch: &Watch<'_>) -> Result<Vec<StateId>, Reason> {
    let components = components(graph, root, watch)?;
    let leads_out = |component: &[StateId]| {
        let mut targets = component.iter().flat_map(|state| graph.row(*state));
        targets.any(|(target, _)| component.binary_search(&target).is_err())
    };
    let bottoms = components.backwards().filter(|component| !leads_out(component));
    let mut bottoms: Vec<StateId> = bottoms.flatten().copied().collect();
    bottoms.sort_unstable();
    Ok(bottoms)
}

/// A state on the path: its number, and its next transition.
struct Step {
    state: StateId,
    own: u32,
    next: usize,
}

/// The components of all that can be reached from a state.
pub(crate) fn components(graph: &Graph, root: StateId, watch: &Watch<'_>) -> Result<Components, Reason> {
    let mut components = Components { states: Vec::new(), bounds: vec![0] };
    // The lowest number known to be reachable from each state on the stack.
    let mut low = vec![UNSEEN; graph.len()];
    let mut number = 0;
    let mut stack = vec![root];
    let mut path = vec![Step { state: root, own: number, next: 0 }];
    low[root.index()] = number;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::progress::Monitor;

    #[test]
    fn runs_stay_where_nothing_leads_out() {
        let mut graph = Graph::default();
        // Out of 0 to a cycle, 1 and 2; out of 3 to an end, 4, to a state that stays, 5, and round to 3 itself.
        let rows: [&[u32]; 6] = [&[1, 3], &[2], &[1], &[3, 4, 5], &[], &[5]];
        for row in rows {
            for target in row {
                graph.push(StateId(*target), 1);
            }
            graph.end_row();
        }
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let stays =
            |root| bottoms(&graph, StateId(root), &watch).unwrap().iter().map(|state| state.0).collect::<Vec<_>>();
        assert_eq!(stays(0), [1, 2, 4, 5]);
        assert_eq!(stays(2), [1, 2]);
        assert_eq!(stays(3), [4, 5]);
        assert_eq!(stays(4), [4]);
    }
}
