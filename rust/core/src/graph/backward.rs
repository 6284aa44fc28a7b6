//! Backward reachability without a list of predecessors.
//!
//! Some states are marked, and every state from which a marked one can be reached is to be marked too: the least fixed point of
//! "some successor is marked". A sweep visits all states in parallel and marks those with a marked successor. An acyclic graph
//! needs one sweep, over the layers from the last to the first. Any other graph is swept until nothing changes, with directions
//! in turns: a sweep from the last id to the first carries a mark along transitions to deeper states, and a sweep from the first
//! id to the last carries it along those that lead back.
//!
//! Invariant: marks are only ever set. So the result does not depend on the order in which threads visit states, though the
//! number of sweeps may.
//!
//! Rejected: a list of predecessors and a queue of marked states. It visits each transition once, but takes as much memory as
//! the graph.

use crate::graph::Graph;
use crate::graph::layers::{Layers, in_blocks};
use crate::limits::{Reason, Watch};
use crate::store::states::StateId;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;

/// Marks every state from which a marked state can be reached. `layers` are those of the graph, if it has no cycle.
pub(crate) fn mark_backward(
    marks: &[AtomicBool],
    graph: &Graph,
    layers: Option<&Layers>,
    watch: &Watch<'_>,
) -> Result<(), Reason> {
    let leads_to_marked = |state| graph.row(state).any(|(target, _)| marks[target.index()].load(Relaxed));
    let Some(layers) = layers else {
        return mark_by_sweeps(marks, watch, || (), |(), state| leads_to_marked(state));
    };
    layers.backwards(watch, |state| {
        if leads_to_marked(state) {
            marks[state.index()].store(true, Relaxed);
        }
    })
}

/// Marks every state from which a marked state can be reached, in any graph, whoever knows it: `leads_to_marked` tells whether
/// some successor of a state is marked now. Each thread has a workspace for it.
pub(crate) fn mark_by_sweeps<W>(
    marks: &[AtomicBool],
    watch: &Watch<'_>,
    workspace: impl Fn() -> W + Sync,
    leads_to_marked: impl Fn(&mut W, StateId) -> bool + Sync,
) -> Result<(), Reason> {
    let (mut changed, mut from_last) = (true, true);
    while changed {
        let any = AtomicBool::new(false);
        in_blocks(marks.len(), watch, &workspace, |workspace, state| {
            let at = if from_last { marks.len() - 1 - state.index() } else { state.index() };
            if !marks[at].load(Relaxed) && leads_to_marked(workspace, StateId(at as u32)) {
                marks[at].store(true, Relaxed);
                any.store(true, Relaxed);
            }
        })?;
        changed = any.into_inner();
        from_last = !from_last;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::progress::Monitor;
    use crate::store::account::MemoryAccount;

    fn marked(rows: &[&[u32]], first: u32) -> Vec<u32> {
        let mut graph = Graph::default();
        for row in rows {
            for target in *row {
                graph.push(StateId(*target), 1);
            }
            graph.end_row();
        }
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let layers = Layers::of(&graph, |_| false, &mut MemoryAccount::new(None, 0), &watch).unwrap();
        let mut found = Vec::new();
        for layers in [None, layers.as_ref()].into_iter().take(1 + usize::from(layers.is_some())) {
            let marks: Vec<AtomicBool> = (0..rows.len() as u32).map(|at| AtomicBool::new(at == first)).collect();
            mark_backward(&marks, &graph, layers, &watch).unwrap();
            found.push((0..rows.len() as u32).filter(|at| marks[*at as usize].load(Relaxed)).collect::<Vec<_>>());
        }
        assert!(found.iter().all(|marked| *marked == found[0]));
        found.swap_remove(0)
    }

    #[test]
    fn all_states_that_lead_to_a_marked_one_are_marked_and_no_other() {
        let acyclic: [&[u32]; 5] = [&[1, 2], &[3], &[4], &[], &[3]];
        assert_eq!(marked(&acyclic, 3), [0, 1, 2, 3, 4]);
        assert_eq!(marked(&acyclic, 1), [0, 1]);
        assert_eq!(marked(&acyclic, 4), [0, 2, 4]);
        // The way to 1 goes up and down: 0 -> 3 -> 2 -> 4 -> 1; 5 and 6 are a cycle of their own.
        let cyclic: [&[u32]; 7] = [&[3, 5], &[0], &[4], &[2], &[1], &[6], &[5]];
        assert_eq!(marked(&cyclic, 1), [0, 1, 2, 3, 4]);
        assert_eq!(marked(&cyclic, 5), [0, 1, 2, 3, 4, 5, 6]);
    }
}
