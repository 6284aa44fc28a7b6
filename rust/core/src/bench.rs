//! Parts of the engine for the benches: states, successors, canonical forms, the visited set.
//!
//! It exists only with the feature `bench`, and is no part of the interface.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::Error;
use crate::labelled::machine::Machine;
use crate::labelled::state::LabelledState;
use crate::program::Program;
use crate::space::{Concrete, InConcrete, Orbit, Space, SpaceKind, Symmetry, with_concrete};
use crate::store::states::{NO_OUTCOME, StateId, Store};
use crate::store::visited::{Digest, Origin, Shard};

/// States between prefetch and look-up.
const BATCH: usize = 64;

/// The first states of a space in breadth-first order, to be expanded again and again.
pub trait Sample: fmt::Debug {
    /// The number of states.
    fn states(&self) -> usize;

    /// Generates all successors of all states. Returns their number, and a sum over their words that keeps the compiler from
    /// leaving anything out.
    fn expand(&mut self) -> (u64, u64);
}

struct Expansion<S: Space> {
    space: S,
    workspace: S::Workspace,
    states: Vec<Vec<u64>>,
}

impl<S: Space> fmt::Debug for Expansion<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Expansion").field("states", &self.states.len()).finish_non_exhaustive()
    }
}

impl<S: Space> Expansion<S> {
    fn new(space: S, initial: &LabelledState, count: usize) -> Self {
        let mut workspace = space.workspace();
        let mut first = Vec::new();
        space.encode(initial, &mut first);
        let (mut seen, mut states) = (BTreeSet::from([first.clone()]), vec![first]);
        let mut next = 0;
        while next < states.len() && states.len() < count {
            space.load(&states[next], &mut workspace);
            space.successors(&mut workspace, |packed, _, _| {
                if states.len() < count && seen.insert(packed.to_vec()) {
                    states.push(packed.to_vec());
                }
            });
            next += 1;
        }
        Self { space, workspace, states }
    }
}

impl<S: Space> Sample for Expansion<S> {
    fn states(&self) -> usize {
        self.states.len()
    }

    fn expand(&mut self) -> (u64, u64) {
        let (mut successors, mut sum) = (0, 0_u64);
        for state in &self.states {
            self.space.load(state, &mut self.workspace);
            self.space.successors(&mut self.workspace, |packed, _, _| {
                successors += 1;
                sum = packed.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
            });
        }
        (successors, sum)
    }
}

/// The first `count` states of a space, or all if there are fewer. The bits are bits of concrete states.
pub fn sample<'p>(
    program: &'p Program,
    initial: &LabelledState,
    space: SpaceKind,
    count: usize,
) -> Result<Box<dyn Sample + 'p>, Error> {
    match space {
        SpaceKind::Orbit => Ok(Box::new(Expansion::new(Orbit::new(program, initial, Symmetry::Start), initial, count))),
        SpaceKind::Concrete | SpaceKind::Bits => with_concrete(program, initial, ConcreteSample { initial, count }),
    }
}

struct ConcreteSample<'i> {
    initial: &'i LabelledState,
    count: usize,
}

impl InConcrete for ConcreteSample<'_> {
    type Answer = Box<dyn Sample>;

    fn run<const W: usize>(self, space: Concrete<W>) -> Box<dyn Sample> {
        Box::new(Expansion::new(space, self.initial, self.count))
    }
}

/// The first `count` labelled states in breadth-first order, or all if there are fewer.
#[must_use]
pub fn labelled(program: &Program, initial: &LabelledState, count: usize) -> Vec<LabelledState> {
    let mut machine = Machine::new(program);
    let key = |state: &LabelledState| {
        let packages = state.packages.iter().map(|package| (package.word, package.cpus.clone())).collect::<Vec<_>>();
        (state.global, packages)
    };
    let (mut seen, mut states) = (BTreeSet::from([key(initial)]), vec![initial.clone()]);
    let mut next = 0;
    while next < states.len() && states.len() < count {
        for transition in machine.transitions(&states[next]) {
            let state = machine.fire(&states[next], transition);
            if states.len() < count && seen.insert(key(&state)) {
                states.push(state);
            }
        }
        next += 1;
    }
    states
}

/// Packs labelled states so that those that a symmetry exchanges become equal.
#[derive(Debug)]
pub struct Canonical<'p>(Orbit<'p>);

impl<'p> Canonical<'p> {
    /// Uses the symmetries of this initial state.
    #[must_use]
    pub fn new(program: &'p Program, initial: &LabelledState) -> Self {
        Self(Orbit::new(program, initial, Symmetry::Start))
    }

    /// Writes the canonical form over `packed`.
    pub fn form(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        self.0.encode(state, packed);
    }
}

/// A visited set of states of 128 bits.
#[derive(Debug)]
pub struct Visited {
    shard: Shard,
    store: Store,
}

impl Default for Visited {
    fn default() -> Self {
        Self { shard: Shard::default(), store: Store::new(2) }
    }
}

impl Visited {
    /// Inserts the states that are absent, batch by batch as the search does, prefetch and settling included. Returns their
    /// number.
    #[must_use]
    pub fn insert(&mut self, states: &[[u64; 2]]) -> usize {
        let before = self.store.len();
        for batch in states.chunks(BATCH) {
            let digests: Vec<Digest> = batch.iter().map(|state| Digest::of(state)).collect();
            for digest in &digests {
                self.shard.prefetch(*digest);
            }
            let first_free = self.store.len() as u32;
            let mut new = Vec::new();
            for (at, (state, digest)) in batch.iter().zip(&digests).enumerate() {
                let origin = Origin { chunk: 0, successor: at as u32 };
                let words = |origin: Origin| &batch[origin.successor as usize][..];
                let id = self.shard.find_or_insert(state, *digest, origin, &self.store, first_free, words);
                if id as usize == self.store.len() + new.len() {
                    new.push(state);
                }
            }
            // With one shard, the provisional ids are the final ones.
            let ids: Vec<_> = (first_free..).map(|id| Some(StateId(id))).take(new.len()).collect();
            self.shard.settle(first_free, &ids);
            for state in new {
                self.store.push(state, StateId(0), NO_OUTCOME);
            }
        }
        self.store.len() - before
    }
}
