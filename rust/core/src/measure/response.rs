//! From where what must stay possible no longer is.
//!
//! A response's end can be reached from the states in which it holds, and from those that have a successor from which it can:
//! one pass over the layers, or, if there are cycles, passes in turns from one end and from the other until nothing changes.
//! All other states in which the response is due are traps, but for those from which a fair run comes to a fatal outcome for
//! sure: one can be reached from wherever it gets to. What keeps the first trap shut is found in [`super::shut`].

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::Subject;
use super::cause::shut;
use super::memory_limit::Room;
use crate::graph::components::{self, bottoms};
use crate::graph::layers::{Layers, in_blocks};
use crate::limits::{Reason, Watch};
use crate::number::count::Total;
use crate::program::{Guard, Response};
use crate::space::Space;
use crate::store::states::StateId;

/// Bytes for each state: three marks, and an id.
const BYTES_PER_STATE: usize = 3 * size_of::<AtomicBool>() + size_of::<StateId>();
/// The same while what keeps a trap shut is looked for: two marks, and components.
const BYTES_PER_STATE_SHUT: usize = 2 * size_of::<AtomicBool>() + components::BYTES_PER_STATE;

/// The states in which one response is due and impossible.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    pub(crate) states: Total,
    /// The first one in the order of ids.
    pub(crate) first: Option<StateId>,
    /// Global fields, by index, and values, that keep the first one shut.
    pub(crate) shut: Vec<(usize, usize)>,
}

/// The traps of each response; a graph without cycles has layers.
pub(super) fn traps<S: Space>(
    subject: &Subject<'_, S>,
    layers: Option<&Layers>,
    room: &mut Room,
    watch: &Watch<'_>,
) -> Result<Vec<Traps>, Reason> {
    if subject.program.responses.is_empty() {
        return Ok(Vec::new());
    }
    room.borrow(subject.graph.len() * BYTES_PER_STATE)?;
    let search = Search { subject, layers, watch };
    let spared = search.spared()?;
    subject.program.responses.iter().map(|response| search.traps(response, &spared, room)).collect()
}

struct Search<'s, S> {
    subject: &'s Subject<'s, S>,
    layers: Option<&'s Layers>,
    watch: &'s Watch<'s>,
}

impl<S: Space> Search<'_, S> {
    /// Which states do not lead to a fatal outcome for sure.
    fn spared(&self) -> Result<Vec<AtomicBool>, Reason> {
        let fatal = self.subject.program.outcomes.iter().filter(|outcome| outcome.fatal);
        let marks = self.matching(fatal.flat_map(|outcome| &outcome.when))?;
        self.spread(&marks)?;
        marks.par_iter().for_each(|mark| {
            mark.fetch_not(Relaxed);
        });
        self.spread(&marks)?;
        Ok(marks)
    }

    fn traps(&self, response: &Response, spared: &[AtomicBool], room: &mut Room) -> Result<Traps, Reason> {
        let Subject { space, store, graph, .. } = *self.subject;
        let due = self.matching(&response.when)?;
        let possible = self.matching(&response.reach)?;
        self.spread(&possible)?;
        let is_trap = |at: &usize| due[*at].load(Relaxed) && spared[*at].load(Relaxed) && !possible[*at].load(Relaxed);
        let trapped: Vec<StateId> =
            (0..due.len()).into_par_iter().filter(is_trap).map(|at| StateId(at as u32)).collect();
        let states = trapped.par_iter().fold(
            || (Total::default(), space.workspace()),
            |(mut states, mut workspace), state| {
                space.load(store.get(*state), &mut workspace);
                states.add(&space.orbit_size(&workspace), 1);
                (states, workspace)
            },
        );
        let states = states.map(|(states, _)| states).reduce(Total::default, |mut all, states| {
            all.merge(&states);
            all
        });
        let Some(first) = trapped.first().copied() else {
            return Ok(Traps::default());
        };
        drop((due, trapped));
        room.borrow(graph.len() * BYTES_PER_STATE_SHUT)?;
        let mut ends = bottoms(graph, first, self.watch)?;
        ends.retain(|state| spared[state.index()].load(Relaxed));
        let shut = shut(self.subject, &ends, &possible, self.watch)?;
        Ok(Traps { states, first: Some(first), shut })
    }

    /// Marks all from which a marked state can be reached.
    fn spread(&self, marks: &[AtomicBool]) -> Result<(), Reason> {
        let graph = self.subject.graph;
        let is_new = |state: StateId| {
            !marks[state.index()].load(Relaxed)
                && graph.row(state).any(|(target, _)| marks[target.index()].load(Relaxed))
                && !marks[state.index()].swap(true, Relaxed)
        };
        if let Some(layers) = self.layers {
            return layers.backwards(self.watch, |state| {
                is_new(state);
            });
        }
        let last = marks.len() as u32 - 1;
        let (mut changed, mut upwards) = (true, false);
        while changed {
            let any = AtomicBool::new(false);
            in_blocks(marks.len(), self.watch, |state| {
                // A pass from the last state to the first sees what lies ahead, and the other one what lies behind.
                if is_new(if upwards { state } else { StateId(last - state.0) }) {
                    any.store(true, Relaxed);
                }
            })?;
            changed = any.into_inner();
            upwards = !upwards;
        }
        Ok(())
    }

    /// In which states one of the guards holds.
    fn matching<'g>(&self, guards: impl IntoIterator<Item = &'g Guard>) -> Result<Vec<AtomicBool>, Reason> {
        let Subject { space, store, .. } = *self.subject;
        let predicates: Vec<_> = guards.into_iter().map(|guard| space.predicate(guard)).collect();
        let states = (0..store.len() as u32).into_par_iter().map(StateId);
        let marks = states.map_init(
            || space.workspace(),
            |workspace, state| {
                space.load(store.get(state), workspace);
                AtomicBool::new(predicates.iter().any(|predicate| space.holds(predicate, workspace)))
            },
        );
        let marks = marks.collect();
        self.watch.check()?;
        Ok(marks)
    }
}
