//! The probability of each outcome under the uniform scheduler.
//!
//! In every state each *labelled* transition is equally likely, so a transition of the orbit space has the weight of
//! its multiplicity. Without cycles one pass over the layers is enough: the probability of an outcome from a state is the
//! mean of that from its successors. With cycles the graph is an absorbing
//! Markov chain: its strongly connected components are solved one after the other, in topological order, for the
//! expected number of visits of each state.
//!
//! Rejected: power iteration over the whole chain. It converges as slowly as the slowest cycle and says nothing about
//! its error.
//!
//! Source: Kemeny and Snell, *Finite Markov Chains* (1960), absorbing chains; Grassmann, Taksar and Heyman (1985) for
//! elimination without subtraction; Neumaier (1974) for the sums.

use std::sync::atomic::Ordering::Relaxed;

use super::Acyclic;
use super::memory_limit::Room;
use crate::graph::Graph;
use crate::graph::components::{self, components};
use crate::limits::{Reason, Watch};
use crate::store::states::{NO_OUTCOME, StateId, Store};

/// Components up to this size are solved directly.
const LARGEST_DENSE: usize = 1024;
/// Share of the mass that may be left in a component when sweeps stop; rounding hides smaller ones.
const TOLERANCE: f64 = 1e-13;
/// Sweeps after which an iterative solution is given up.
const MOST_SWEEPS: usize = 20_000;
/// All probabilities, diverging included, add up to 1 within this, or none is reported.
const SANE: f64 = 1e-9;

/// What solving a chain with cycles takes for each state: components, mass, and number in the component.
const BYTES_PER_STATE: usize = components::BYTES_PER_STATE + size_of::<f64>() + size_of::<u32>();
/// What sweeps take for each state of a component, and for each of its transitions.
const SWEPT_BYTES: (usize, usize) = (size_of::<Vec<(u32, f64)>>() + 5 * size_of::<f64>(), 2 * size_of::<(u32, f64)>());

/// Where a run ends up.
#[derive(Debug)]
pub(super) struct Absorbed {
    pub(super) by_outcome: Vec<f64>,
    /// Never in a terminal state.
    pub(super) diverging: f64,
}

/// A sum of many small terms without loss.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() { (self.sum - sum) + term } else { (term - sum) + self.sum };
        self.sum = sum;
    }

    fn value(self) -> f64 {
        self.sum + self.lost
    }
}

impl Acyclic<'_> {
    /// Probability by outcome.
    pub(super) fn probabilities(&self, room: &mut Room) -> Result<Vec<f64>, Reason> {
        let mut by_outcome = vec![0.0; self.outcomes];
        let lanes = room.lanes(self.graph.len(), 1, self.reached.len())?;
        for group in self.reached.chunks(lanes.width()) {
            self.layers.backwards(self.watch, |state| {
                let own = self.store.outcome_of(state);
                let degree = self.graph.out_degree(state) as f64;
                for (at, (cell, outcome)) in lanes.of(state).iter().zip(group).enumerate() {
                    let p = if let Some(own) = own {
                        f64::from(u8::from(own == *outcome))
                    } else {
                        let chance = |(target, times)| f64::from_bits(lanes.get(target, at)) * f64::from(times);
                        self.graph.row(state).map(chance).sum::<f64>() / degree
                    };
                    cell.store(p.to_bits(), Relaxed);
                }
            })?;
            for (at, outcome) in group.iter().enumerate() {
                by_outcome[*outcome] = f64::from_bits(lanes.get(StateId(0), at));
            }
        }
        Ok(by_outcome)
    }
}

/// Splits the mass of a state among its successors.
fn pass_on(graph: &Graph, source: StateId, mass: f64, mut receive: impl FnMut(StateId, f64)) {
    let degree = graph.out_degree(source) as f64;
    for (target, multiplicity) in graph.row(source) {
        receive(target, mass * f64::from(multiplicity) / degree);
    }
}

/// Probability by outcome in any graph; none if a large component is left too slowly to tell.
pub(super) fn cyclic(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    room: &mut Room,
    watch: &Watch<'_>,
) -> Result<Option<Absorbed>, Reason> {
    let held = graph.len() * BYTES_PER_STATE;
    room.borrow(held)?;
    room.keep(held);
    let mut by_outcome = vec![Sum::default(); outcomes];
    let mut diverging = Sum::default();
    // What enters each state from earlier components.
    let mut entering = vec![0.0; graph.len()];
    entering[0] = 1.0;
    let components = components(graph, StateId(0), watch)?;
    let mut chain = Chain { graph, local: vec![u32::MAX; graph.len()] };
    // Tarjan finishes a component after all that it leads to.
    for component in components.backwards() {
        watch.check()?;
        if let [state] = component {
            let outcome = store.outcome(*state);
            if outcome != NO_OUTCOME {
                by_outcome[outcome as usize].add(entering[state.index()]);
                continue;
            }
        }
        chain.enter(component);
        if chain.is_closed(component) {
            for state in component {
                diverging.add(entering[state.index()]);
            }
        } else {
            let sources: Vec<f64> = component.iter().map(|state| entering[state.index()]).collect();
            let Some(visits) = chain.visits(component, &sources, room, watch)? else {
                return Ok(None);
            };
            for (state, visits) in component.iter().zip(visits) {
                pass_on(graph, *state, visits, |target, p| {
                    if chain.local[target.index()] == u32::MAX {
                        entering[target.index()] += p;
                    }
                });
            }
        }
        chain.leave(component);
    }
    let absorbed =
        Absorbed { by_outcome: by_outcome.into_iter().map(Sum::value).collect(), diverging: diverging.value() };
    let total: f64 = absorbed.by_outcome.iter().sum::<f64>() + absorbed.diverging;
    Ok(((total - 1.0).abs() < SANE).then_some(absorbed))
}

/// The part of the chain within one component.
struct Chain<'g> {
    graph: &'g Graph,
    /// Index of each state in the component, or `u32::MAX` outside.
    local: Vec<u32>,
}

impl Chain<'_> {
    fn enter(&mut self, component: &[StateId]) {
        for (at, state) in component.iter().enumerate() {
            self.local[state.index()] = at as u32;
        }
    }

    fn leave(&mut self, component: &[StateId]) {
        for state in component {
            self.local[state.index()] = u32::MAX;
        }
    }

    /// Whether nothing leads out of the component.
    fn is_closed(&self, component: &[StateId]) -> bool {
        component.iter().all(|state| self.graph.row(*state).all(|(target, _)| self.local[target.index()] != u32::MAX))
    }

    /// Expected visits of each state of a component that can be left: x = sources + P' x.
    fn visits(
        &self,
        component: &[StateId],
        sources: &[f64],
        room: &mut Room,
        watch: &Watch<'_>,
    ) -> Result<Option<Vec<f64>>, Reason> {
        if component.len() <= LARGEST_DENSE {
            room.borrow(component.len() * component.len() * size_of::<f64>())?;
            return Ok(Some(self.solve(component, sources)));
        }
        let transitions: usize = component.iter().map(|state| self.graph.span(*state).len()).sum();
        room.borrow(component.len() * SWEPT_BYTES.0 + transitions * SWEPT_BYTES.1)?;
        self.iterate(component, sources, watch)
    }

    /// Eliminates state after state: what enters it goes on to where it leads. The chance to leave a state is always
    /// a sum of chances, never `1 - p`, so there is no subtraction at all and every digit counts, however rarely the
    /// component is left.
    fn solve(&self, component: &[StateId], sources: &[f64]) -> Vec<f64> {
        let n = component.len();
        let mut p = vec![0.0; n * n];
        let mut exit = vec![0.0; n];
        for (from, state) in component.iter().enumerate() {
            pass_on(self.graph, *state, 1.0, |target, share| match self.local[target.index()] {
                u32::MAX => exit[from] += share,
                to => p[from * n + to as usize] += share,
            });
        }
        let mut x = sources.to_vec();
        for gone in (0..n).rev() {
            let leave = exit[gone] + p[gone * n..gone * n + gone].iter().sum::<f64>();
            for from in 0..gone {
                // From here on, the entries of this column are expected visits to `gone` for each visit to `from`.
                let visits = p[from * n + gone] / leave;
                p[from * n + gone] = visits;
                if visits > 0.0 {
                    exit[from] += visits * exit[gone];
                    for to in 0..gone {
                        p[from * n + to] += visits * p[gone * n + to];
                    }
                }
            }
            x[gone] /= leave;
            for to in 0..gone {
                x[to] += x[gone] * p[gone * n + to];
            }
        }
        for to in 1..n {
            x[to] += (0..to).map(|from| x[from] * p[from * n + to]).sum::<f64>();
        }
        x
    }

    /// Gauss-Seidel sweeps from below; none if they take too long.
    ///
    /// All terms are positive, so the visits only grow towards the solution, and what has not left the component yet
    /// bounds the error of everything that leaves it. That remainder, and not the change of a sweep, decides when to
    /// stop; it is then shared out in proportion.
    fn iterate(&self, component: &[StateId], sources: &[f64], watch: &Watch<'_>) -> Result<Option<Vec<f64>>, Reason> {
        let mut incoming: Vec<Vec<(u32, f64)>> = vec![Vec::new(); component.len()];
        let mut moving = vec![0.0; component.len()];
        let mut exit = vec![0.0; component.len()];
        for (from, state) in component.iter().enumerate() {
            pass_on(self.graph, *state, 1.0, |target, share| match self.local[target.index()] {
                u32::MAX => exit[from] += share,
                to if to as usize == from => {}
                to => {
                    moving[from] += share;
                    incoming[to as usize].push((from as u32, share));
                }
            });
        }
        let entering: f64 = sources.iter().sum();
        let mut x = vec![0.0; component.len()];
        for _ in 0..MOST_SWEEPS {
            watch.check()?;
            let mut left = Sum::default();
            for at in 0..x.len() {
                let inflow: f64 = incoming[at].iter().map(|(from, share)| x[*from as usize] * share).sum();
                x[at] = (sources[at] + inflow) / (exit[at] + moving[at]);
                left.add(x[at] * exit[at]);
            }
            if entering - left.value() <= TOLERANCE * entering {
                let scale = entering / left.value();
                return Ok(Some(x.into_iter().map(|visits| visits * scale).collect()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::progress::Monitor;

    /// States 1 to `count` in a row; each goes up with `up` chances and down with one; 0 and `count + 1` are terminal.
    fn ruin(count: u32, up: u16) -> (Graph, Store) {
        let mut graph = Graph::default();
        let mut store = Store::new(1);
        // The start is in the middle, and has id 0.
        let id = |at: u32| {
            StateId(if at == count / 2 {
                0
            } else if at == 0 {
                count / 2
            } else {
                at
            })
        };
        let mut at_id: Vec<u32> = (0..=count + 1).collect();
        at_id.sort_by_key(|at| id(*at));
        for at in at_id {
            if at > 0 && at <= count {
                graph.push(id(at - 1), 1);
                graph.push(id(at + 1), up);
            }
            graph.end_row();
            store.push(
                &[0],
                StateId(0),
                if at == 0 {
                    0
                } else if at > count {
                    1
                } else {
                    NO_OUTCOME
                },
            );
        }
        (graph, store)
    }

    fn absorbed(graph: &Graph, store: &Store) -> Absorbed {
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        cyclic(graph, store, 2, &mut Room::new(None, 0), &watch).unwrap().unwrap()
    }

    #[test]
    fn a_gambler_is_ruined_with_the_known_probability() {
        for (count, up) in [(2, 1), (100, 1), (100, 2), (500, 1)] {
            let (graph, store) = ruin(count, up);
            let absorbed = absorbed(&graph, &store);
            let (start, end, ratio) = (f64::from(count / 2), f64::from(count + 1), 1.0 / f64::from(up));
            let lost =
                if up == 1 { 1.0 - start / end } else { 1.0 - (1.0 - ratio.powf(start)) / (1.0 - ratio.powf(end)) };
            assert!((absorbed.by_outcome[0] - lost).abs() < 1e-13, "{count} {up}: {absorbed:?}, {lost}");
            assert!((absorbed.by_outcome[1] - (1.0 - lost)).abs() < 1e-13);
            assert!(absorbed.diverging.abs() < f64::EPSILON);
        }
    }

    #[test]
    fn elimination_keeps_every_digit_of_a_rare_exit() {
        // Against the drift: 50 steps up with a chance of 1 in 10 each come once in 10^50 visits.
        let (graph, store) = ruin(100, 9);
        let rare = absorbed(&graph, &store).by_outcome[0];
        let exact = (9_f64.powi(-50) - 9_f64.powi(-101)) / (1.0 - 9_f64.powi(-101));
        assert!((rare / exact - 1.0).abs() < 1e-12, "{rare} {exact}");
    }

    #[test]
    fn sweeps_and_elimination_agree() {
        let (graph, _) = ruin(300, 2);
        let component: Vec<StateId> = (0..=300).filter(|at| *at != 150).map(StateId).collect();
        let mut chain = Chain { graph: &graph, local: vec![u32::MAX; graph.len()] };
        chain.enter(&component);
        let mut sources = vec![0.0; component.len()];
        sources[0] = 0.5;
        sources[77] = 0.25;
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let swept = chain.iterate(&component, &sources, &watch).unwrap().unwrap();
        for (swept, solved) in swept.iter().zip(chain.solve(&component, &sources)) {
            assert!((swept - solved).abs() < 1e-12, "{swept} {solved}");
        }
    }

    #[test]
    fn sweeps_that_take_too_long_give_no_answer_rather_than_a_wrong_one() {
        let (graph, store) = ruin(4 * LARGEST_DENSE as u32, 1);
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        assert!(cyclic(&graph, &store, 2, &mut Room::new(None, 0), &watch).unwrap().is_none());
    }
}
