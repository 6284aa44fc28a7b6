//! Strongly connected components.
//!
//! Tarjan's algorithm numbers states in the order of a depth-first search. A component is complete when its first state has
//! been left and no state of it leads to a smaller number. The path of the search is an explicit stack, since recursion would
//! be as deep as the graph.
//!
//! Source: Tarjan, "Depth-first search and linear graph algorithms" (1972).

use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::states::StateId;

/// The number of a state that was not visited yet.
const UNVISITED: u32 = u32::MAX;
/// The number of a state whose component is complete.
const FINISHED: u32 = u32::MAX - 1;

/// The number of states that are visited between two looks at the watch.
const PATIENCE: u32 = 1 << 14;

/// Bytes for each state while components are computed: two numbers, its places on the path and on the stack, and its place in
/// the result.
pub(crate) const BYTES_PER_STATE: usize =
    2 * size_of::<u32>() + size_of::<Step>() + size_of::<StateId>() + size_of::<u32>();

/// Strongly connected components; each stands after all others that can be reached from it.
#[derive(Debug)]
pub(crate) struct Components {
    /// The states by component, within a component in the order of ids.
    states: Vec<StateId>,
    /// The index in `states` at which each component starts, and the one at which the last one ends.
    bounds: Vec<u32>,
}

impl Components {
    /// The components in topological order: each before all others that can be reached from it.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = &[StateId]> {
        self.bounds.array_windows().rev().map(|[start, end]| &self.states[*start as usize..*end as usize])
    }
}

/// The states of the bottom components, those that nothing leads out of. A run that is fair to every transition and never ends
/// stays in one of them.
pub(crate) fn bottoms(graph: &Graph, root: StateId, watch: &Watch<'_>) -> Result<Vec<StateId>, Reason> {
    let components = components(graph, root, |_| false, watch)?;
    let leads_out = |component: &[StateId]| {
        let mut targets = component.iter().flat_map(|state| graph.row(*state));
        targets.any(|(target, _)| component.binary_search(&target).is_err())
    };
    let bottoms = components.backwards().filter(|component| !leads_out(component));
    let mut bottoms: Vec<StateId> = bottoms.flatten().copied().collect();
    bottoms.sort_unstable();
    Ok(bottoms)
}

/// A state on the path of the depth-first search.
struct Step {
    state: StateId,
    /// Its number.
    own: u32,
    /// Its next transition to follow.
    next: usize,
}

/// The components of the states that can be reached from `root`. Transitions from states where a run ends are left out.
pub(crate) fn components(
    graph: &Graph,
    root: StateId,
    is_end: impl Fn(StateId) -> bool,
    watch: &Watch<'_>,
) -> Result<Components, Reason> {
    let mut components = Components { states: Vec::new(), bounds: vec![0] };
    // For each state on the stack, the lowest number of a state on the stack that it is known to reach.
    let mut low = vec![UNVISITED; graph.len()];
    let mut number = 0;
    let mut stack = vec![root];
    let mut path = vec![Step { state: root, own: number, next: 0 }];
    low[root.index()] = number;
    while let Some(Step { state, own, next }) = path.last_mut() {
        let (state, own) = (*state, *own);
        if let Some(target) = graph.target(state, *next).filter(|_| !is_end(state)) {
            *next += 1;
            match low[target.index()] {
                FINISHED => {}
                UNVISITED => {
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
            // Most transitions lead to a larger id, which sweeps over a component in this order use.
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
    fn nothing_leads_out_of_a_bottom_component() {
        let mut graph = Graph::default();
        // 0 leads to the cycle of 1 and 2, and to 3; 3 leads to itself, to the terminal state 4, and to the self-loop of 5.
        let rows: [&[u32]; 6] = [&[1, 3], &[2], &[1], &[3, 4, 5], &[], &[5]];
        for row in rows {
            for target in row {
                graph.push(StateId(*target), 1);
            }
            graph.end_row();
        }
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let found =
            |root| bottoms(&graph, StateId(root), &watch).unwrap().iter().map(|state| state.0).collect::<Vec<_>>();
        assert_eq!(found(0), [1, 2, 4, 5]);
        assert_eq!(found(2), [1, 2]);
        assert_eq!(found(3), [4, 5]);
        assert_eq!(found(4), [4]);
    }
}
