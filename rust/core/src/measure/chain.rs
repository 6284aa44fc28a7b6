//! The probability of each outcome in a graph with cycles: an absorbing Markov chain.
//!
//! The chain is solved component after component, in topological order, for the expected number of visits of each state. What
//! enters a component comes from components that are solved already, and a component passes it on by the visits of its states.
//! States where a run ends, diverging ones included, keep what enters them. If the Program declares no outcome for runs that
//! never end, what enters a component that nothing leads out of belongs to no outcome.
//!
//! A small component is solved by elimination of its states, a large one by Gauss-Seidel sweeps.
//!
//! Rejected: power iteration over the whole chain. It converges as slowly as the slowest cycle and says nothing about its error.
//!
//! Source: Kemeny and Snell, *Finite Markov Chains* (1960), absorbing chains; Grassmann, Taksar and Heyman (1985) for
//! elimination without subtraction; Neumaier (1974) for the sums.

use crate::graph::Graph;
use crate::graph::components::{self, components};
use crate::limits::{Reason, Watch};
use crate::store::account::MemoryAccount;
use crate::store::states::{NO_OUTCOME, StateId, Store};

/// The most states of a component that is solved by elimination, which takes the square of them in memory.
const LARGEST_DENSE: usize = 1024;
/// Sweeps end when no more than this share of what entered a component is left in it. Rounding hides smaller shares.
const TOLERANCE: f64 = 1e-13;
/// The number of sweeps after which a solution is given up.
const MOST_SWEEPS: usize = 20_000;
/// All probabilities together, those that belong to no outcome included, differ from 1 by less than this, or none is reported.
const SANE: f64 = 1e-9;

/// Bytes for each state of the chain: its components, the probability that enters it, and its index in a component.
const BYTES_PER_STATE: usize = components::BYTES_PER_STATE + size_of::<f64>() + size_of::<u32>();
/// Bytes for each state of a component that is swept, and for each of its transitions.
const SWEPT_BYTES: (usize, usize) = (size_of::<Vec<(u32, f64)>>() + 5 * size_of::<f64>(), 2 * size_of::<(u32, f64)>());

/// A sum of many small terms with the rounding errors kept apart, so that they are not lost.
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

/// Splits the probability `mass` of a state among its successors.
fn pass_on(graph: &Graph, source: StateId, mass: f64, mut receive: impl FnMut(StateId, f64)) {
    let degree = graph.out_degree(source) as f64;
    for (target, multiplicity) in graph.row(source) {
        receive(target, mass * f64::from(multiplicity) / degree);
    }
}

/// The probability of each outcome; none if the runs in a large component leave it too slowly for a precise answer.
pub(super) fn absorbed(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    account: &mut MemoryAccount,
    watch: &Watch<'_>,
) -> Result<Option<Vec<f64>>, Reason> {
    let held = graph.len() * BYTES_PER_STATE;
    account.request(held)?;
    account.retain(held);
    let found = solve(graph, store, outcomes, account, watch);
    account.release(held);
    found
}

fn solve(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    account: &mut MemoryAccount,
    watch: &Watch<'_>,
) -> Result<Option<Vec<f64>>, Reason> {
    let mut by_outcome = vec![Sum::default(); outcomes];
    let mut never_ending = Sum::default();
    // The probability that enters each state from earlier components.
    let mut entering = vec![0.0; graph.len()];
    entering[0] = 1.0;
    let components = components(graph, StateId(0), |state| store.is_terminal(state), watch)?;
    let mut chain = Chain { graph, local: vec![u32::MAX; graph.len()] };
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
                never_ending.add(entering[state.index()]);
            }
        } else {
            let sources: Vec<f64> = component.iter().map(|state| entering[state.index()]).collect();
            let Some(visits) = chain.visits(component, &sources, account, watch)? else {
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
    let by_outcome: Vec<f64> = by_outcome.into_iter().map(Sum::value).collect();
    let total = by_outcome.iter().sum::<f64>() + never_ending.value();
    Ok(((total - 1.0).abs() < SANE).then_some(by_outcome))
}

/// The chain, with one component entered.
struct Chain<'g> {
    graph: &'g Graph,
    /// The index of each state in the component, or `u32::MAX` for a state outside.
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

    /// The expected visits x of each state of a component that something leads out of: x = sources + P' x, where P holds the
    /// probabilities of the transitions within the component.
    fn visits(
        &self,
        component: &[StateId],
        sources: &[f64],
        account: &mut MemoryAccount,
        watch: &Watch<'_>,
    ) -> Result<Option<Vec<f64>>, Reason> {
        if component.len() <= LARGEST_DENSE {
            account.request(component.len() * component.len() * size_of::<f64>())?;
            return Ok(Some(self.solve(component, sources)));
        }
        let transitions: usize = component.iter().map(|state| self.graph.span(*state).len()).sum();
        account.request(component.len() * SWEPT_BYTES.0 + transitions * SWEPT_BYTES.1)?;
        self.iterate(component, sources, watch)
    }

    /// Eliminates state after state: what enters a state is redirected to the targets of its transitions. The probability of
    /// leaving a state is always a sum of probabilities and never `1 - p`. So nothing is subtracted, and every digit is right
    /// however rarely runs leave the component.
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
    /// All terms are positive, so the visits only grow towards the solution. The probability that entered the component and has
    /// not left it yet bounds the error of all that leaves it. This remainder, and not the change of one sweep, ends the sweeps;
    /// it is then shared out in proportion.
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

    fn absorbed(graph: &Graph, store: &Store) -> Vec<f64> {
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        super::absorbed(graph, store, 2, &mut MemoryAccount::new(None, 0), &watch).unwrap().unwrap()
    }

    #[test]
    fn a_gambler_is_ruined_with_the_known_probability() {
        for (count, up) in [(2, 1), (100, 1), (100, 2), (500, 1)] {
            let (graph, store) = ruin(count, up);
            let absorbed = absorbed(&graph, &store);
            let (start, end, ratio) = (f64::from(count / 2), f64::from(count + 1), 1.0 / f64::from(up));
            let lost =
                if up == 1 { 1.0 - start / end } else { 1.0 - (1.0 - ratio.powf(start)) / (1.0 - ratio.powf(end)) };
            assert!((absorbed[0] - lost).abs() < 1e-13, "{count} {up}: {absorbed:?}, {lost}");
            assert!((absorbed[1] - (1.0 - lost)).abs() < 1e-13);
        }
    }

    #[test]
    fn elimination_keeps_every_digit_of_a_rare_exit() {
        // Against the drift: 50 steps up with a chance of 1 in 10 each come once in 10^50 visits.
        let (graph, store) = ruin(100, 9);
        let rare = absorbed(&graph, &store)[0];
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
        assert!(super::absorbed(&graph, &store, 2, &mut MemoryAccount::new(None, 0), &watch).unwrap().is_none());
    }
}
