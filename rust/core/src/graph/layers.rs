//! A cut of an acyclic graph into layers, such that every transition leads to a later layer.
//!
//! The layer of a state is the number of steps of the longest path to it. Breadth-first levels are not such a cut: a
//! transition may stay on its level, or lead back to an earlier one, without closing a cycle.
//!
//! No state of a layer leads to another one of it, so a measure handles a layer in parallel. It goes from the last layer to the
//! first, and computes the number of a state from those of its successors, in the order of the row. No thread adds to a number
//! that another thread reads, so every bit of the result is the same for any number of threads.
//!
//! Rejected: pushing numbers from the first layer to the last. It takes one number for each state instead of one for each
//! state and outcome. But either several threads add to the same number, in an order that depends on them, or the graph is kept
//! a second time, by target.
//!
//! Source: Kahn, "Topological sorting of large networks" (1962), in rounds.

use rayon::prelude::*;

use crate::graph::Graph;
use crate::graph::open::Open;
use crate::limits::{Reason, Watch};
use crate::store::account::MemoryAccount;
use crate::store::states::StateId;
use crate::sync::AtomicU32;

/// The number of states that a thread takes at a time.
const BLOCK: usize = 1 << 10;

/// The states by layer, within a layer in the order of ids.
#[derive(Debug)]
pub(crate) struct Layers {
    order: Vec<StateId>,
    /// The index in `order` at which each layer starts, and the one at which the last layer ends.
    bounds: Vec<usize>,
}

impl Layers {
    /// The layers, or none if the graph has a cycle. Transitions from states where a run ends are left out.
    pub(crate) fn of(
        graph: &Graph,
        is_end: impl Fn(StateId) -> bool + Sync,
        account: &mut MemoryAccount,
        watch: &Watch<'_>,
    ) -> Result<Option<Self>, Reason> {
        let is_end = &is_end;
        let row = |source: StateId| {
            let ends = is_end(source);
            graph.row(source).take_while(move |_| !ends)
        };
        let bytes = graph.len() * size_of::<StateId>();
        account.request(bytes)?;
        account.retain(bytes);
        let open = account.cells::<AtomicU32>(graph.len())?;
        let open = Open(open.as_slice());
        in_blocks(
            graph.len(),
            watch,
            || (),
            |(), source| {
                for (target, _) in row(source) {
                    open.add(target);
                }
            },
        )?;
        let mut layers = Self { order: Vec::with_capacity(graph.len()), bounds: vec![0] };
        let states = (0..graph.len() as u32).into_par_iter().map(StateId);
        layers.order.par_extend(states.filter(|state| open.has_none(*state)));
        let mut start = 0;
        while start < layers.order.len() {
            watch.check()?;
            let closed = |source: &StateId| {
                let targets = row(*source).map(|(target, _)| target);
                targets.filter(|target| open.close(*target))
            };
            let blocks = layers.order[start..].par_chunks(BLOCK);
            let mut next: Vec<StateId> = blocks.flat_map_iter(|block| block.iter().flat_map(closed)).collect();
            // The last thread to close a state finds it, so the order of `next` depends on the threads until it is sorted.
            next.par_sort_unstable();
            start = layers.order.len();
            layers.bounds.push(start);
            layers.order.append(&mut next);
        }
        // A state on a cycle, or behind one, waits for a source that never gets a layer.
        if layers.order.len() < graph.len() {
            account.release(bytes);
            return Ok(None);
        }
        Ok(Some(layers))
    }

    /// The number of layers.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Visits each state after all its successors, in parallel within a layer.
    pub(crate) fn backwards(&self, watch: &Watch<'_>, visit: impl Fn(StateId) + Sync) -> Result<(), Reason> {
        for [start, end] in self.bounds.array_windows().rev() {
            self.order[*start..*end].par_chunks(BLOCK).try_for_each(|block| {
                for state in block {
                    visit(*state);
                }
                watch.check()
            })?;
        }
        Ok(())
    }
}

/// Visits each state, in parallel and in any order. Each thread has a workspace for it.
pub(crate) fn in_blocks<W>(
    states: usize,
    watch: &Watch<'_>,
    workspace: impl Fn() -> W + Sync,
    visit: impl Fn(&mut W, StateId) + Sync,
) -> Result<(), Reason> {
    (0..states.div_ceil(BLOCK)).into_par_iter().try_for_each_init(&workspace, |workspace, block| {
        (block * BLOCK..states.min((block + 1) * BLOCK)).for_each(|state| visit(workspace, StateId(state as u32)));
        watch.check()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::progress::Monitor;

    fn graph(rows: &[&[u32]]) -> Graph {
        let mut graph = Graph::default();
        for row in rows {
            for target in *row {
                graph.push(StateId(*target), 1);
            }
            graph.end_row();
        }
        graph
    }

    fn layers(rows: &[&[u32]]) -> Option<Vec<Vec<u32>>> {
        layers_up_to(rows, &[])
    }

    fn layers_up_to(rows: &[&[u32]], ends: &[u32]) -> Option<Vec<Vec<u32>>> {
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let layers =
            Layers::of(&graph(rows), |state| ends.contains(&state.0), &mut MemoryAccount::new(None, 0), &watch)
                .unwrap()?;
        let ids = |[start, end]: &[usize; 2]| layers.order[*start..*end].iter().map(|state| state.0).collect();
        Some(layers.bounds.array_windows().map(ids).collect())
    }

    #[test]
    fn a_state_is_as_deep_as_its_longest_path() {
        let rows: [&[u32]; 5] = [&[3, 1, 1], &[2, 4], &[3], &[], &[]];
        assert_eq!(layers(&rows), Some(vec![vec![0], vec![1], vec![2, 4], vec![3]]));
        assert_eq!(layers(&[&[]]), Some(vec![vec![0]]));
    }

    #[test]
    fn behind_an_end_cycles_do_not_count() {
        let rows: [&[u32]; 4] = [&[1, 2], &[2], &[3], &[2]];
        assert_eq!(layers(&rows), None);
        assert_eq!(layers_up_to(&rows, &[3]), Some(vec![vec![0], vec![1], vec![2], vec![3]]));
        // 3 can only be reached through an end.
        assert_eq!(layers_up_to(&rows, &[2, 3]), Some(vec![vec![0, 3], vec![1], vec![2]]));
        assert_eq!(layers_up_to(&rows, &[0, 1, 2, 3]), Some(vec![vec![0, 1, 2, 3]]));
    }

    #[test]
    fn a_cycle_has_no_layers() {
        assert_eq!(layers(&[&[0]]), None);
        assert_eq!(layers(&[&[1], &[0]]), None);
        assert_eq!(layers(&[&[1, 2], &[2], &[1, 3], &[]]), None);
    }
}
