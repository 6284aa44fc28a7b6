//! From where what must stay possible no longer is.
//!
//! The states from which a response's end can be reached are found backwards from the states in which it holds, over
//! the reversed graph; all others in which the response is due are traps. For the first of them, everything that can still
//! be reached is looked at once more: a fact that holds in all of it and in no state of the end is what keeps the trap
//! shut.

use super::stop_if_asked;
use crate::count::Total;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::program::{Cube, Field, Guard, Program, Response, Scope, low_bits};
use crate::space::Space;
use crate::store::{StateId, Store};

/// The states in which one response is due and impossible.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    pub(crate) states: Total,
    /// The first one in the order of ids.
    pub(crate) first: Option<StateId>,
    /// Global fields, by index, and the values that they have for ever after the first one, and never at the end.
    pub(crate) shut: Vec<(usize, usize)>,
}

/// The traps of each response.
pub(super) fn traps<S: Space>(
    program: &Program,
    space: &S,
    graph: &Graph,
    store: &Store,
    watch: &Watch<'_>,
) -> Result<Vec<Traps>, Reason> {
    if program.responses.is_empty() {
        return Ok(Vec::new());
    }
    let reversed = Reversed::new(graph, watch)?;
    let one = |response: &Response| Search { program, space, graph, store, watch }.traps(response, &reversed);
    program.responses.iter().map(one).collect()
}

/// The sources of each state's transitions.
struct Reversed {
    ends: Vec<u64>,
    sources: Vec<StateId>,
}

impl Reversed {
    fn new(graph: &Graph, watch: &Watch<'_>) -> Result<Self, Reason> {
        let mut ends = vec![0_u64; graph.len() + 1];
        for source in 0..graph.len() {
            stop_if_asked(watch, source)?;
            for (target, _) in graph.row(StateId(source as u32)) {
                ends[target.index() + 1] += 1;
            }
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        // `ends[i]` is where row `i` starts, and moves on to where it ends.
        let mut sources = vec![StateId(0); ends[graph.len()] as usize];
        for source in 0..graph.len() {
            stop_if_asked(watch, source)?;
            for (target, _) in graph.row(StateId(source as u32)) {
                sources[ends[target.index()] as usize] = StateId(source as u32);
                ends[target.index()] += 1;
            }
        }
        Ok(Self { ends, sources })
    }

    fn row(&self, target: StateId) -> &[StateId] {
        let start = target.index().checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.sources[start..self.ends[target.index()] as usize]
    }
}

struct Search<'s, S> {
    program: &'s Program,
    space: &'s S,
    graph: &'s Graph,
    store: &'s Store,
    watch: &'s Watch<'s>,
}

impl<S: Space> Search<'_, S> {
    fn traps(&self, response: &Response, reversed: &Reversed) -> Result<Traps, Reason> {
        let ends = self.matching(&response.reach)?;
        let mut possible = ends.clone();
        let mut open: Vec<StateId> = ids(&ends).collect();
        let mut done = 0;
        while let Some(state) = open.pop() {
            stop_if_asked(self.watch, done)?;
            done += 1;
            for source in reversed.row(state) {
                if !std::mem::replace(&mut possible[source.index()], true) {
                    open.push(*source);
                }
            }
        }
        let due = self.matching(&response.when)?;
        let mut traps = Traps::default();
        let mut workspace = self.space.workspace();
        for state in ids(&due).filter(|state| !possible[state.index()]) {
            self.space.load(self.store.get(state), &mut workspace);
            traps.states.add(&self.space.orbit_size(&workspace), 1);
            traps.first.get_or_insert(state);
        }
        if let Some(first) = traps.first {
            traps.shut = self.shut(first, &ends)?;
        }
        Ok(traps)
    }

    /// In which states one of the guards holds.
    fn matching(&self, guards: &[Guard]) -> Result<Vec<bool>, Reason> {
        let predicates: Vec<_> = guards.iter().map(|guard| self.space.predicate(guard)).collect();
        let mut workspace = self.space.workspace();
        let states = self.store.states().enumerate();
        states
            .map(|(at, packed)| {
                stop_if_asked(self.watch, at)?;
                self.space.load(packed, &mut workspace);
                Ok(predicates.iter().any(|predicate| self.space.holds(predicate, &workspace)))
            })
            .collect()
    }

    /// The values of global fields that hold in all states that can be reached from `trap`, and in none of `ends`.
    fn shut(&self, trap: StateId, ends: &[bool]) -> Result<Vec<(usize, usize)>, Reason> {
        let mut facts = self.facts();
        let mut workspace = self.space.workspace();
        let mut reached = vec![false; self.graph.len()];
        reached[trap.index()] = true;
        let mut open = vec![trap];
        let mut done = 0;
        while let Some(state) = open.pop() {
            stop_if_asked(self.watch, done)?;
            done += 1;
            self.space.load(self.store.get(state), &mut workspace);
            facts.retain(|(_, fact)| self.space.holds(fact, &workspace));
            for (target, _) in self.graph.row(state) {
                if !std::mem::replace(&mut reached[target.index()], true) {
                    open.push(target);
                }
            }
        }
        for state in ids(ends) {
            stop_if_asked(self.watch, state.index())?;
            self.space.load(self.store.get(state), &mut workspace);
            facts.retain(|(_, fact)| !self.space.holds(fact, &workspace));
        }
        Ok(facts.into_iter().map(|(fact, _)| fact).collect())
    }

    /// Each value of each global field, as a predicate.
    fn facts(&self) -> Vec<((usize, usize), S::Predicate)> {
        let globals = self.program.fields.iter().enumerate().filter(|(_, field)| field.scope == Scope::Global);
        let values = globals.flat_map(|(at, field)| (0..field.values.len()).map(move |value| (at, field, value)));
        let fact = |(at, field, value): (usize, &Field, usize)| {
            let care = low_bits(field.width) << (field.offset % u128::BITS);
            let global = Cube { care, value: (value as u128) << (field.offset % u128::BITS) };
            ((at, value), self.space.predicate(&Guard { global, ..Guard::default() }))
        };
        values.map(fact).collect()
    }
}

/// The states that are marked.
fn ids(marked: &[bool]) -> impl Iterator<Item = StateId> {
    let states = marked.iter().enumerate().filter(|(_, marked)| **marked);
    states.map(|(at, _)| StateId(at as u32))
}
