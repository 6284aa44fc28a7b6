//! Every run at once: the product of a graph with an observer.
//!
//! A node is a state and what the observer passed on the way to it. States come in an order in which transitions lead forward, so
//! that all ways to a node are known when it is left. Runs are counted exactly, and their probabilities summed in a fixed order.
//!
//! Rejected: a column for every node in Python. It took seconds where this takes milliseconds, for of most nodes nobody asks
//! anything.

use dashu_int::UBig;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::condition::{Condition, NONE};
use super::events::Orders;
use super::observer::Observer;
use crate::columns::Column;
use crate::progress::Monitor;

/// How a graph is observed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observing<'a> {
    /// Whether it is enough to know that some cause is met: bit 0 then stands for all of them.
    pub any_of: bool,
    /// Whether runs and their probabilities are wanted.
    pub count: bool,
    /// By state, whether it is looked at; none for all. Runs that leave these are not followed.
    pub within: Option<&'a [bool]>,
    /// The most nodes.
    pub most: usize,
}

/// Every way through a graph, as far as an observer tells ways apart.
#[derive(Debug, Default)]
pub struct Observed {
    state: Vec<u32>,
    met: Vec<u64>,
    outcome: Vec<Option<u32>>,
    /// A node before each, or [`NONE`], and the transition from there.
    parent: Vec<u32>,
    transition: Vec<u32>,
    /// Whether its state is terminal.
    end: Vec<bool>,
    runs: Vec<UBig>,
    probability: Vec<f64>,
}

impl Orders {
    /// Looks at all runs; none if there are too many nodes, or if the monitor asked to stop.
    #[must_use]
    pub fn observe(&self, causes: &[Vec<Condition>], how: Observing<'_>, monitor: &Monitor) -> Option<Observed> {
        let mut observer = Observer::new(self, causes, how.any_of);
        let mut found = Observed::default();
        let mut number: HashMap<(u32, u32), u32, FixedState> = HashMap::default();
        let mut passed: Vec<u32> = vec![];
        let mut of_state: Vec<Vec<u32>> = vec![vec![]; self.graph.states.len()];
        found.push(0, NONE, NONE, UBig::ONE, 1.0, how.count);
        passed.push(Observer::START);
        of_state[0].push(0);
        for state in self.forward.iter().copied() {
            if monitor.is_cancelled() || found.state.len() > how.most {
                return None;
            }
            let row = self.graph.row(state);
            for node in std::mem::take(&mut of_state[state as usize]) {
                let at = node as usize;
                found.met[at] = observer.met(passed[at]);
                found.outcome[at] = self.graph.outcomes[state as usize];
                found.end[at] = row.is_empty();
                let runs = if how.count { found.runs[at].clone() } else { UBig::ZERO };
                let probability = if how.count { found.probability[at] / row.len() as f64 } else { 0.0 };
                for transition in row.clone() {
                    let target = self.graph.transitions[transition].1;
                    if how.within.is_some_and(|within| !within[target as usize]) {
                        continue;
                    }
                    let symbol = observer.symbols[self.letter[transition] as usize];
                    let known = observer.after(passed[at], symbol);
                    let new = found.state.len() as u32;
                    let next = *number.entry((target, known)).or_insert(new);
                    if next == new {
                        found.push(target, node, transition as u32, runs.clone(), probability, how.count);
                        passed.push(known);
                        of_state[target as usize].push(new);
                    } else if how.count {
                        found.runs[next as usize] += &runs;
                        found.probability[next as usize] += probability;
                    }
                }
            }
        }
        Some(found)
    }
}

impl Observed {
    fn push(&mut self, state: u32, parent: u32, transition: u32, runs: UBig, probability: f64, count: bool) {
        self.state.push(state);
        self.met.push(0);
        self.outcome.push(None);
        self.parent.push(parent);
        self.transition.push(transition);
        self.end.push(false);
        if count {
            self.runs.push(runs);
            self.probability.push(probability);
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.state.len()
    }

    /// A row for each node whose state is terminal: its number, its state, the causes that are met, as bits, the outcome, and
    /// the runs that end there with their probability, if they were counted.
    #[must_use]
    pub fn end_columns(&self) -> Vec<Column> {
        let ends: Vec<usize> = (0..self.nodes()).filter(|node| self.end[*node]).collect();
        let rows = || ends.iter().copied();
        vec![
            Column::index("node", rows()),
            Column::u32("state", rows().map(|node| self.state[node])),
            Column::u64("met", rows().map(|node| self.met[node])),
            Column::u32_or_none("outcome", rows().map(|node| self.outcome[node])),
            Column::decimal_or_none("runs", rows().map(|node| self.runs.get(node))),
            Column::f64_or_none("probability", rows().map(|node| self.probability.get(node).copied())),
        ]
    }

    /// A row for each node: its state, and the runs that lead to it, if they were counted.
    #[must_use]
    pub fn node_columns(&self) -> Vec<Column> {
        vec![
            Column::u32("state", self.state.iter().copied()),
            Column::decimal_or_none("runs", (0..self.nodes()).map(|node| self.runs.get(node))),
        ]
    }

    /// The transitions of a run to a node.
    #[must_use]
    pub fn path(&self, node: usize) -> Vec<u32> {
        let (mut taken, mut node) = (vec![], node);
        while let Some(parent) = self.parent.get(node).copied().filter(|parent| *parent != NONE) {
            taken.push(self.transition[node]);
            node = parent as usize;
        }
        taken.reverse();
        taken
    }
}
