//! Stateright explores a Program: `tdxexplore-stateright program.json initial.json threads off|on`.
//!
//! Prints one JSON line: distinct states, generated transitions (without the initial state), seconds of the search.
//! A state is an array of 32-bit lanes of fixed size, so that it is copied without allocation and hashed as one slice;
//! rules are found by the program counters that they test, as the engine finds them. The checker runs with the settings
//! that its own examples use for the best time: several threads, one property that always holds, breadth first. With
//! symmetry on it runs depth first, as its reduction does, and a state's representative has CPUs and packages sorted.

#![forbid(unsafe_code)]

mod program;

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::Value;
use stateright::{Checker, Model, Property};

use crate::program::{Layout, Program, Step};

/// A state of `L` lanes: the global word, the package words, the CPU words.
type State<const L: usize> = [u32; L];

/// The layout of all states: Stateright takes the representative as a plain function of the state.
static LAYOUT: OnceLock<Layout> = OnceLock::new();

/// A Program with its initial state, as Stateright takes it.
struct Explored<const L: usize> {
    program: Program,
    initial: State<L>,
}

impl<const L: usize> Model for Explored<L> {
    type State = State<L>;
    type Action = Step;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.initial]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.program.enabled(state, actions);
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        let mut next = *state;
        self.program.fire(state, action, &mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Without a property that is still open, Stateright stops at once.
        vec![Property::always("open", |_, _| true)]
    }
}

fn representative<const L: usize>(state: &State<L>) -> State<L> {
    let mut sorted = *state;
    LAYOUT.get().expect("set before the search").sort(&mut sorted);
    sorted
}

fn explore<const L: usize>(program: Program, lanes: &[u32], threads: usize, symmetry: bool) {
    let mut initial = [0; L];
    initial[..lanes.len()].copy_from_slice(lanes);
    let started = Instant::now();
    let builder = Explored { program, initial }.checker().threads(threads);
    let (states, generated) = if symmetry {
        let checker = builder.symmetry_fn(representative::<L>).spawn_dfs().join();
        (checker.unique_state_count(), checker.state_count())
    } else {
        let checker = builder.spawn_bfs().join();
        (checker.unique_state_count(), checker.state_count())
    };
    let seconds = started.elapsed().as_secs_f64();
    println!("{{\"states\": {states}, \"transitions\": {}, \"seconds\": {seconds:.3}}}", generated - 1);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, initial, threads, symmetry] = arguments.as_slice() else {
        return Err("usage: tdxexplore-stateright program.json initial.json threads off|on".into());
    };
    let program: Value = serde_json::from_str(&std::fs::read_to_string(program)?)?;
    let initial: Value = serde_json::from_str(&std::fs::read_to_string(initial)?)?;
    let threads = threads.parse()?;
    let layout = Layout::new(&program, &initial);
    let lanes = layout.pack(&initial);
    let symmetry = symmetry == "on";
    LAYOUT.get_or_init(|| layout.clone());
    let program = Program::new(&program, layout);
    match lanes.len() {
        0..=4 => explore::<4>(program, &lanes, threads, symmetry),
        5..=8 => explore::<8>(program, &lanes, threads, symmetry),
        9..=12 => explore::<12>(program, &lanes, threads, symmetry),
        13..=16 => explore::<16>(program, &lanes, threads, symmetry),
        17..=24 => explore::<24>(program, &lanes, threads, symmetry),
        25..=48 => explore::<48>(program, &lanes, threads, symmetry),
        49..=96 => explore::<96>(program, &lanes, threads, symmetry),
        needed => return Err(format!("the state needs {needed} lanes of 32 bits; at most 96 are prepared").into()),
    }
    Ok(())
}
