//! The probability of each outcome under the uniform scheduler.
//!
//! In every state each *labelled* transition is equally likely, so a transition of the orbit space has the weight of its
//! multiplicity. Without cycles one pass in topological order is enough. With cycles the graph is an absorbing Markov
//! chain: its strongly connected components are solved one after the other, in topological order, for the expected
//! number of visits of each state.
//!
//! Rejected: power iteration over the whole chain. It converges as slowly as the slowest cycle and says nothing about its error.
//!
//! Source: Kemeny and Snell, *Finite Markov Chains* (1960), absorbing chains; Neumaier (1974) for the sums.

use super::components::components;
use super::stop_if_asked;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::{NO_OUTCOME, StateId, Store};

/// Components up to this size are solved directly.
const LARGEST_DENSE: usize = 256;
/// Relative change of a sweep at which an iterative solution is taken as exact.
const TOLERANCE: f64 = 1e-14;
/// Sweeps after which an iterative solution is given up.
const MOST_SWEEPS: usize = 200_000;
/// All probabilities, diverging included, add up to 1 within this, or none is reported.
const SANE: f64 = 1e-9;

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

/// Probability by outcome; `order` is topological.
pub(super) fn acyclic(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    order: &[StateId],
    watch: &Watch<'_>,
) -> Result<Vec<f64>, Reason> {
    let mut by_outcome = vec![Sum::default(); outcomes];
    let mut reached = vec![0.0; graph.len()];
    reached[0] = 1.0;
    for (done, source) in order.iter().enumerate() {
        stop_if_asked(watch, done)?;
        pass_on(graph, *source, reached[source.index()], |target, p| reached[target.index()] += p);
        let outcome = store.outcome(*source);
        if outcome != NO_OUTCOME {
            by_outcome[outcome as usize].add(reached[source.index()]);
        }
    }
    Ok(by_outcome.into_iter().map(Sum::value).collect())
}

/// Splits the mass of a state among its successors.
fn pass_on(graph: &Graph, source: StateId, mass: f64, mut receive: impl FnMut(StateId, f64)) {
    let degree = graph.out_degree(source) as f64;
    for (target, multiplicity) in graph.row(source) {
        receive(target, mass * f64::from(multiplicity) / degree);
    }
}

/// Probability by outcome in any graph; none if an iteration did not converge.
pub(super) fn cyclic(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    watch: &Watch<'_>,
) -> Result<Option<Absorbed>, Reason> {
    let mut by_outcome = vec![Sum::default(); outcomes];
    let mut diverging = Sum::default();
    // What enters each state from earlier components.
    let mut entering = vec![0.0; graph.len()];
    entering[0] = 1.0;
    let components = components(graph, watch)?;
    let mut chain = Chain { graph, local: vec![u32::MAX; graph.len()] };
    // Tarjan finishes a component after all that it leads to.
    for (done, component) in components.iter().rev().enumerate() {
        stop_if_asked(watch, done)?;
        if let [state] = component.as_slice() {
            let outcome = store.outcome(*state);
            if outcome != NO_OUTCOME {
                by_outcome[outcome as usize].add(entering[state.index()]);
                continue;
            }
        }
        chain.enter(component);
        if chain.is_closed(component) {
            component.iter().for_each(|state| diverging.add(entering[state.index()]));
        } else {
            let sources: Vec<f64> = component.iter().map(|state| entering[state.index()]).collect();
            let Some(visits) = chain.visits(component, &sources, watch)? else {
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
    fn visits(&self, component: &[StateId], sources: &[f64], watch: &Watch<'_>) -> Result<Option<Vec<f64>>, Reason> {
        if component.len() <= LARGEST_DENSE {
            return Ok(Some(self.solve(component, sources)));
        }
        self.iterate(component, sources, watch)
    }

    /// Gaussian elimination. `I - P'` of a component that can be left is a nonsingular M-matrix, whose columns are dominated by
    /// their diagonal: no pivoting is needed.
    fn solve(&self, component: &[StateId], sources: &[f64]) -> Vec<f64> {
        let n = component.len();
        let mut a = vec![0.0; n * n];
        let mut x = sources.to_vec();
        for (column, state) in component.iter().enumerate() {
            a[column * n + column] += 1.0;
            pass_on(self.graph, *state, 1.0, |target, p| {
                let row = self.local[target.index()];
                if row != u32::MAX {
                    a[row as usize * n + column] -= p;
                }
            });
        }
        for pivot in 0..n {
            for row in pivot + 1..n {
                let factor = a[row * n + pivot] / a[pivot * n + pivot];
                if factor != 0.0 {
                    for column in pivot..n {
                        a[row * n + column] -= factor * a[pivot * n + column];
                    }
                    x[row] -= factor * x[pivot];
                }
            }
        }
        for row in (0..n).rev() {
            let known: f64 = (row + 1..n).map(|column| a[row * n + column] * x[column]).sum();
            x[row] = (x[row] - known) / a[row * n + row];
        }
        x
    }

    /// Gauss-Seidel sweeps, from below: all terms are positive, so the solution only grows.
    fn iterate(&self, component: &[StateId], sources: &[f64], watch: &Watch<'_>) -> Result<Option<Vec<f64>>, Reason> {
        let mut incoming: Vec<Vec<(u32, f64)>> = vec![Vec::new(); component.len()];
        let mut staying = vec![0.0; component.len()];
        for (from, state) in component.iter().enumerate() {
            pass_on(self.graph, *state, 1.0, |target, p| match self.local[target.index()] {
                u32::MAX => {}
                to if to as usize == from => staying[from] += p,
                to => incoming[to as usize].push((from as u32, p)),
            });
        }
        let mut x = sources.to_vec();
        for _ in 0..MOST_SWEEPS {
            if let Some(reason) = watch.interruption() {
                return Err(reason);
            }
            let mut change = 0.0_f64;
            for at in 0..x.len() {
                let inflow: f64 = incoming[at].iter().map(|(from, p)| x[*from as usize] * p).sum();
                let new = (sources[at] + inflow) / (1.0 - staying[at]);
                if new > 0.0 {
                    change = change.max((new - x[at]).abs() / new);
                }
                x[at] = new;
            }
            if change < TOLERANCE {
                return Ok(Some(x));
            }
        }
        Ok(None)
    }
}
