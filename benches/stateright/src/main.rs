//! Stateright explores a Program: `tdxexplore-stateright program.json initial.json threads`.
//!
//! Prints one JSON line: distinct states, generated transitions (without the initial state), seconds of the search.
//! A state is an array of 32-bit lanes of fixed size, so that it is copied without allocation and hashed as one slice;
//! rules are found by the program counters that they test, as the engine finds them. The checker runs with the settings
//! that its own examples use for the best time: breadth first, several threads, one property that always holds.

#![forbid(unsafe_code)]

mod program;

use std::time::Instant;

use serde_json::Value;
use stateright::{Checker, Model, Property};

use crate::program::{Layout, Program, Step};

/// A state of `L` lanes: the global word, the package words, the CPU words.
type State<const L: usize> = [u32; L];

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

fn explore<const L: usize>(program: Program, lanes: &[u32], threads: usize) {
    let mut initial = [0; L];
    initial[..lanes.len()].copy_from_slice(lanes);
    let started = Instant::now();
    let checker = Explored { program, initial }.checker().threads(threads).spawn_bfs().join();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"states\": {}, \"transitions\": {}, \"seconds\": {seconds:.3}}}",
        checker.unique_state_count(),
        checker.state_count() - 1,
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, initial, threads] = arguments.as_slice() else {
        return Err("usage: tdxexplore-stateright program.json initial.json threads".into());
    };
    let program: Value = serde_json::from_str(&std::fs::read_to_string(program)?)?;
    let initial: Value = serde_json::from_str(&std::fs::read_to_string(initial)?)?;
    let threads = threads.parse()?;
    let layout = Layout::new(&program, &initial);
    let lanes = layout.pack(&initial);
    let program = Program::new(&program, layout);
    match lanes.len() {
        0..=4 => explore::<4>(program, &lanes, threads),
        5..=8 => explore::<8>(program, &lanes, threads),
        9..=12 => explore::<12>(program, &lanes, threads),
        13..=16 => explore::<16>(program, &lanes, threads),
        17..=24 => explore::<24>(program, &lanes, threads),
        25..=48 => explore::<48>(program, &lanes, threads),
        needed => return Err(format!("the state needs {needed} lanes of 32 bits; at most 48 are prepared").into()),
    }
    Ok(())
}
