//! The outcome of runs that never come to an end.
//!
//! A state *diverges* if no terminal state can be reached from it. A run that enters such a state never ends, whatever the
//! scheduler does, and every state that it visits from then on diverges as well. So the first one is where the run is decided:
//! all diverging states get the outcome that the Program declares for them, and from here on they are the end of a run like a
//! terminal state.
//!
//! A state does not diverge if it is terminal or some successor does not diverge. The tree of parents gives most of these marks
//! for nothing: a state that a terminal one was first reached through leads to it. The others follow by sweeps over the states
//! that are not marked yet ([`crate::graph::backward`]). If the search keeps no transitions, a sweep generates the successors of
//! these states again and looks them up in the visited set. Both ways give the same states, since there is one least fixed point.
//!
//! Nothing has to be done if every transition led to a deeper level: such a graph has no cycle, and every run ends.
//!
//! Invariant: an incomplete search says nothing of divergence, as a state that was not expanded may lead anywhere.
//!
//! Rejected: bottom components ([`crate::graph::components`]) that hold no terminal state. They need the graph, and a state that
//! only leads to such components diverges too.

use rayon::prelude::*;

use super::breadth_first::Found;
use crate::graph::backward::{mark_backward, mark_by_sweeps};
use crate::limits::{Reason, Watch};
use crate::space::{Space, labelled_states};
use crate::store::account::MemoryAccount;
use crate::store::states::StateId;
use crate::store::visited::Digest;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;

/// Bytes for each state: a mark, and an id if it diverges.
const BYTES_PER_STATE: usize = size_of::<AtomicBool>() + size_of::<StateId>();

/// Gives the diverging states of a complete search the outcome with this index.
pub(super) fn settle<S: Space>(
    outcome: usize,
    space: &S,
    found: &mut Found,
    max_memory: Option<u64>,
    watch: &Watch<'_>,
) -> Result<(), Reason> {
    if !found.leads_back {
        return Ok(());
    }
    let mut account = MemoryAccount::new(max_memory, found.bytes() + space.bytes());
    account.begin("divergence");
    account.request(found.store.len() * BYTES_PER_STATE)?;
    found.peak_bytes = found.peak_bytes.max(account.peak());
    let can_end = can_end(space, found, watch)?;
    let states = (0..can_end.len()).into_par_iter().filter(|at| !can_end[*at].load(Relaxed));
    let diverging: Vec<StateId> = states.map(|at| StateId(at as u32)).collect();
    let tally = &mut found.tally.outcomes[outcome];
    tally.states = labelled_states(space, &found.store, &diverging);
    tally.first = diverging.first().copied();
    for state in diverging {
        found.store.set_outcome(state, outcome as u8);
    }
    Ok(())
}

/// Marks the states from which a terminal state can be reached.
fn can_end<S: Space>(space: &S, found: &Found, watch: &Watch<'_>) -> Result<Vec<AtomicBool>, Reason> {
    let Found { store, graph, visited, .. } = found;
    let states = (0..store.len() as u32).map(StateId);
    let marks: Vec<AtomicBool> = states.clone().map(|state| AtomicBool::new(store.is_terminal(state))).collect();
    // A parent has a smaller id than its children, and the initial state is its own parent.
    for state in states.rev().filter(|state| marks[state.index()].load(Relaxed)) {
        marks[store.parent(state).index()].store(true, Relaxed);
    }
    if graph.len() == store.len() {
        mark_backward(&marks, graph, None, watch)?;
        return Ok(marks);
    }
    let leads_to_marked = |workspace: &mut S::Workspace, state: StateId| {
        let mut leads = false;
        space.load(store.get(state), workspace);
        space.successors(workspace, |packed, _, _| {
            let digest = Digest::of(packed);
            let successor = || visited[digest.shard(visited.len())].find(packed, digest, store);
            leads = leads || successor().is_some_and(|successor| marks[successor.index()].load(Relaxed));
        });
        leads
    };
    mark_by_sweeps(&marks, watch, || space.workspace(), leads_to_marked)?;
    Ok(marks)
}
