//! From where what must stay possible no longer is.
//!
//! A response's end can be reached from the states in which it holds, and from those that have a successor from which it can:
//! one pass over the layers, or, if there are cycles, passes in turns from one end and from the other until nothing changes.
//! All other states in which the response is due are traps. For the first of them, everything that can still be reached is
//! looked at once more: a fact that holds in all of it and in no state of the end is what keeps the trap shut.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::Subject;
use super::layers::{Layers, in_blocks};
use super::room::Room;
use crate::count::Total;
use crate::limits::{Reason, Watch};
use crate::program::{Cube, Field, Guard, Response, Scope, low_bits};
use crate::space::Space;
use crate::store::StateId;

/// Bytes for each state: three marks, and an id.
const BYTES_PER_STATE: usize = 3 * size_of::<AtomicBool>() + size_of::<StateId>();

/// The states in which one response is due and impossible.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    pub(crate) states: Total,
    /// The first one in the order of ids.
    pub(crate) first: Option<StateId>,
    /// Global fields, by index, and the values that they have for ever after the first one, and never at the end.
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
    subject.program.responses.iter().map(|response| search.traps(response)).collect()
}

struct Search<'s, S> {
    subject: &'s Subject<'s, S>,
    layers: Option<&'s Layers>,
    watch: &'s Watch<'s>,
}

impl<S: Space> Search<'_, S> {
    fn traps(&self, response: &Response) -> Result<Traps, Reason> {
        let Subject { space, store, .. } = *self.subject;
        let due = self.matching(&response.when)?;
        let possible = self.matching(&response.reach)?;
        self.spread(&possible)?;
        let trapped =
            (0..due.len()).into_par_iter().filter(|at| due[*at].load(Relaxed) && !possible[*at].load(Relaxed));
        let trapped: Vec<StateId> = trapped.map(|at| StateId(at as u32)).collect();
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
        let first = trapped.first().copied();
        drop((due, possible, trapped));
        let shut = first.map(|first| self.shut(first, response)).transpose()?.unwrap_or_default();
        Ok(Traps { states, first, shut })
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
    fn matching(&self, guards: &[Guard]) -> Result<Vec<AtomicBool>, Reason> {
        let Subject { space, store, .. } = *self.subject;
        let predicates: Vec<_> = guards.iter().map(|guard| space.predicate(guard)).collect();
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

    /// The values of global fields that hold in all states that can be reached from `trap`, and in no state of the end.
    fn shut(&self, trap: StateId, response: &Response) -> Result<Vec<(usize, usize)>, Reason> {
        let Subject { space, store, graph, .. } = *self.subject;
        let mut facts = self.facts();
        let mut workspace = space.workspace();
        let mut reached = vec![false; graph.len()];
        reached[trap.index()] = true;
        let mut open = vec![trap];
        while let Some(state) = open.pop() {
            self.watch.check()?;
            space.load(store.get(state), &mut workspace);
            facts.retain(|(_, fact)| space.holds(fact, &workspace));
            for (target, _) in graph.row(state) {
                if !std::mem::replace(&mut reached[target.index()], true) {
                    open.push(target);
                }
            }
        }
        let ends = self.matching(&response.reach)?;
        for (packed, _) in store.states().zip(&ends).filter(|(_, end)| end.load(Relaxed)) {
            space.load(packed, &mut workspace);
            facts.retain(|(_, fact)| !space.holds(fact, &workspace));
        }
        self.watch.check()?;
        Ok(facts.into_iter().map(|(fact, _)| fact).collect())
    }

    /// Each value of each global field, as a predicate.
    fn facts(&self) -> Vec<((usize, usize), S::Predicate)> {
        let globals = self.subject.program.fields.iter().enumerate().filter(|(_, field)| field.scope == Scope::Global);
        let values = globals.flat_map(|(at, field)| (0..field.values.len()).map(move |value| (at, field, value)));
        let fact = |(at, field, value): (usize, &Field, usize)| {
            let care = low_bits(field.width) << (field.offset % u128::BITS);
            let global = Cube { care, value: (value as u128) << (field.offset % u128::BITS) };
            ((at, value), self.subject.space.predicate(&Guard { global, ..Guard::default() }))
        };
        values.map(fact).collect()
    }
}
