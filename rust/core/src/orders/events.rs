//! The events of an unfolded graph: which of them happen at each transition, and where.
//!
//! What a transition means is for the caller to say; here an event is a number. Transitions with the same events on the same CPU
//! are one letter, and there are few letters.
//!
//! Invariant: in `forward`, every transition leads to a later state.

use crate::sync::Arc;
use std::collections::BTreeMap;

use super::condition::{Condition, NONE, Times, beside, on, places};
use super::examples::{Example, Table};
use crate::labelled::unfold::Unfolded;

/// A graph without cycles whose transitions are events.
#[derive(Debug)]
pub struct Orders {
    pub(super) graph: Arc<Unfolded>,
    /// The letter of each transition.
    pub(super) letter: Vec<u32>,
    pub(super) letters: Vec<Letter>,
    /// The states, so that transitions lead forward.
    pub(super) forward: Vec<u32>,
    pub(super) cpus: u32,
    package_of: Vec<usize>,
    events: u32,
}

/// Events that happen together, and on which CPU, if on one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) events: Vec<u32>,
    cpu: u32,
}

impl Orders {
    /// The events of each transition, as a row for each of the most events that a transition has; -1 is none.
    ///
    /// None if the rows are not as long as there are transitions, or if the graph has a cycle.
    #[must_use]
    pub fn new(graph: Arc<Unfolded>, marks: &[i32]) -> Option<Self> {
        let transitions = graph.transitions.len();
        if !marks.len().is_multiple_of(transitions.max(1)) {
            return None;
        }
        let forward = forward(&graph)?;
        let mut known: BTreeMap<Letter, u32> = BTreeMap::new();
        let mut letters = vec![];
        let mut letter_of = |at: usize, cpu: Option<usize>| {
            let events = marks.iter().skip(at).step_by(transitions).filter_map(|event| u32::try_from(*event).ok());
            let letter = Letter { events: events.collect(), cpu: cpu.map_or(NONE, |cpu| cpu as u32) };
            *known.entry(letter).or_insert_with_key(|letter| {
                letters.push(letter.clone());
                letters.len() as u32 - 1
            })
        };
        let letter = graph.transitions.iter().enumerate().map(|(at, (taken, _))| letter_of(at, taken.cpu)).collect();
        let packages = graph.states.first()?.packages.iter().enumerate();
        let package_of: Vec<usize> = packages.flat_map(|(n, package)| package.cpus.iter().map(move |_| n)).collect();
        Some(Self {
            letter,
            letters,
            forward,
            cpus: package_of.len() as u32,
            package_of,
            events: marks.iter().max().and_then(|most| u32::try_from(*most).ok()).map_or(0, |most| most + 1),
            graph,
        })
    }

    /// An empty table of examples: conditions speak of no CPU, one, or two.
    #[must_use]
    pub fn table(&self, named: u32, candidates: impl Iterator<Item = (Condition, [u32; 3])>) -> Table {
        Table::new(self.cpus, named, candidates)
    }

    /// Adds a run to a table of examples: its transitions, whether it has the outcome, and the step that decides.
    ///
    /// Transitions that there are not are left out.
    pub fn add(&self, table: &mut Table, run: &[u32], bad: bool, by: Option<u16>) {
        let mut happens = vec![];
        for (step, transition) in run.iter().enumerate() {
            let Some(letter) = self.letter.get(*transition as usize) else { continue };
            let letter = &self.letters[*letter as usize];
            for place in self.places(letter) {
                happens.extend(letter.events.iter().map(|event| (*event, place, step as u16)));
            }
        }
        let times = Times::new(self.events, places(self.cpus), &happens);
        table.add(Example { times, by: by.unwrap_or(u16::MAX) }, bad);
    }

    /// Where the events of a letter happen.
    pub(super) fn places(&self, letter: &Letter) -> Vec<u32> {
        let mut found = vec![0];
        if letter.cpu != NONE {
            let package = self.package_of.get(letter.cpu as usize);
            let near = |cpu: &u32| *cpu != letter.cpu && self.package_of.get(*cpu as usize) == package;
            found.push(on(letter.cpu));
            found.extend((0..self.cpus).filter(near).map(|cpu| beside(cpu, self.cpus)));
        }
        found
    }
}

/// The states, so that transitions lead forward; none if there is a cycle.
fn forward(graph: &Unfolded) -> Option<Vec<u32>> {
    let mut waits = vec![0_u32; graph.states.len()];
    for (_, target) in &graph.transitions {
        waits[*target as usize] += 1;
    }
    let mut order: Vec<u32> = (0..waits.len()).filter(|state| waits[*state] == 0).map(|state| state as u32).collect();
    let mut at = 0;
    while let Some(state) = order.get(at).copied() {
        for transition in graph.row(state) {
            let target = graph.transitions[transition].1;
            waits[target as usize] -= 1;
            if waits[target as usize] == 0 {
                order.push(target);
            }
        }
        at += 1;
    }
    (order.len() == waits.len()).then_some(order)
}
