//! The inside of the engine as far as the benches reach it: states, successors, canonical forms, the visited set.
//!
//! Only with the feature `bench`; no part of the interface.

use std::collections::BTreeSet;
use std::fmt;

use crate::compact_set::{CompactSet, Mixed};
use crate::error::Error;
use crate::labelled::Machine;
use crate::program::Program;
use crate::space::{Codebook, Coded, CodedWorkspace, Concrete, Last, Layout, Orbit, Space, SpaceKind};
use crate::state::LabelledState;

/// Keys between prefetch and look-up.
const BATCH: usize = 64;

/// The first states of a space in breadth-first order, to be expanded again and again.
pub trait Sample: fmt::Debug {
    /// How many states there are.
    fn states(&self) -> usize;

    /// Generates all successors of all states; returns how many, and a sum over their words.
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

/// The first `count` states of a space, or all if there are fewer.
pub fn sample<'p>(
    program: &'p Program,
    initial: &LabelledState,
    space: SpaceKind,
    count: usize,
) -> Result<Box<dyn Sample + 'p>, Error> {
    if space == SpaceKind::Orbit {
        return Ok(Box::new(Expansion::new(Orbit::new(program, initial), initial, count)));
    }
    let layout = Layout::new(program, initial)?;
    Ok(match layout.words {
        1 => Box::new(Expansion::new(Concrete::<1>::new(program, initial, layout), initial, count)),
        2 => Box::new(Expansion::new(Concrete::<2>::new(program, initial, layout), initial, count)),
        3..=4 => Box::new(Expansion::new(Concrete::<4>::new(program, initial, layout), initial, count)),
        _ => Box::new(Expansion::new(Concrete::<8>::new(program, initial, layout), initial, count)),
    })
}

struct CodedExpansion {
    coded: Coded<u128>,
    workspace: CodedWorkspace<u128>,
    states: Vec<(u128, Last)>,
}

impl fmt::Debug for CodedExpansion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CodedExpansion").field("states", &self.states.len()).finish_non_exhaustive()
    }
}

impl Sample for CodedExpansion {
    fn states(&self) -> usize {
        self.states.len()
    }

    fn expand(&mut self) -> (u64, u64) {
        let (mut successors, mut sum) = (0, 0_u64);
        for (state, last) in &self.states {
            self.coded.load(*state, &mut self.workspace);
            let fired = |_, actors| successors += u64::from(actors);
            let next = |state, _| sum = sum.wrapping_add(state as u64);
            assert!(self.coded.successors(&self.workspace, *last, fired, next));
        }
        (successors, sum)
    }
}

/// All states as the counting search codes and finds them; none if their codes are too long.
#[must_use]
pub fn coded(program: &Program, initial: &LabelledState) -> Option<Box<dyn Sample>> {
    let orbits = Expansion::new(Orbit::new(program, initial), initial, usize::MAX);
    let book = Codebook::new(&orbits.space, orbits.states.iter().map(Vec::as_slice));
    let coded = Coded::new(program, initial, &book)?;
    let first = coded.encode(initial, &book)?;
    let (mut seen, mut states, mut next) = (BTreeSet::from([first]), vec![(first, Last::default())], 0);
    let mut workspace = coded.workspace();
    while let Some((state, last)) = states.get(next).copied() {
        coded.load(state, &mut workspace);
        let found = |state, last| {
            if seen.insert(state) {
                states.push((state, last));
            }
        };
        coded.successors(&workspace, last, |_, _| {}, found);
        next += 1;
    }
    Some(Box::new(CodedExpansion { coded, workspace, states }))
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
    /// For the symmetries of this initial state.
    #[must_use]
    pub fn new(program: &'p Program, initial: &LabelledState) -> Self {
        Self(Orbit::new(program, initial))
    }

    /// Writes the canonical form over `packed`.
    pub fn form(&self, state: &LabelledState, packed: &mut Vec<u64>) {
        self.0.encode(state, packed);
    }
}

/// A visited set of states of up to 96 bits.
#[derive(Debug)]
pub struct Visited(CompactSet<1>);

impl Visited {
    /// An empty set with room for `states`.
    pub fn with_room_for(states: usize) -> std::io::Result<Self> {
        CompactSet::new(states).map(Self)
    }

    /// Inserts what is absent, as the search does: prefetch, then look-up; returns how many were.
    #[must_use]
    pub fn insert(&self, states: &[u128]) -> usize {
        let mut new = 0;
        let mut mixed = [Mixed::default(); BATCH];
        for batch in states.chunks(BATCH) {
            for (state, slot) in batch.iter().zip(&mut mixed) {
                *slot = Mixed::new(*state);
                self.0.prefetch(*slot);
            }
            new += mixed[..batch.len()].iter().filter(|mixed| self.0.insert(**mixed)).count();
        }
        new
    }
}
