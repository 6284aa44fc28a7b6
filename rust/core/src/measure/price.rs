//! What the runs to each outcome cost, over all interleavings.
//!
//! Beside the number of paths into a state ([`super::interleavings`]) go, for each price, the sum of what all of these
//! paths have cost, and the least and the most that any of them has. A step adds its cost once for each path that takes
//! it. Sums are exact integers; a mean is one division at the end.
//!
//! The graph does not keep which rule a transition fires, so each state is expanded once more: its successors come in the
//! order of its row.

use dashu_int::UBig;

use super::stop_if_asked;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::program::{Price, Program};
use crate::space::Space;
use crate::store::{NO_OUTCOME, StateId, Store};

/// What paths cost in one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The sum over all of them,
    pub(crate) total: UBig,
    /// and what the cheapest and the dearest cost.
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// The paths into a state, or to an outcome.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) number: UBig,
    /// By price.
    pub(crate) costs: Vec<Cost>,
}

impl Paths {
    /// Adds paths that go on by a step which `times` transitions take, at these costs.
    fn add(into: &mut Option<Self>, from: &Self, times: u16, steps: impl Iterator<Item = u64>) {
        let number = &from.number * times;
        let costs = from.costs.iter().zip(steps).map(|(cost, step)| Cost {
            total: &cost.total * times + &number * step,
            least: cost.least + step,
            most: cost.most + step,
        });
        match into {
            None => *into = Some(Self { costs: costs.collect(), number }),
            Some(into) => {
                for (sum, cost) in into.costs.iter_mut().zip(costs) {
                    sum.total += cost.total;
                    sum.least = sum.least.min(cost.least);
                    sum.most = sum.most.max(cost.most);
                }
                into.number += number;
            }
        }
    }
}

/// The paths to each outcome; none to those that are not reached. `order` is topological.
pub(super) fn by_outcome<S: Space>(
    program: &Program,
    space: &S,
    graph: &Graph,
    store: &Store,
    order: &[StateId],
    watch: &Watch<'_>,
) -> Result<Vec<Option<Paths>>, Reason> {
    let prices: Vec<Tariff<S>> = program.prices.iter().map(|price| Tariff::new(program, space, price)).collect();
    let free = Cost { total: UBig::ZERO, least: 0, most: 0 };
    let mut by_outcome: Vec<Option<Paths>> = vec![None; program.outcomes.len()];
    let mut paths: Vec<Option<Box<Paths>>> = vec![None; graph.len()];
    paths[0] = Some(Box::new(Paths { number: UBig::ONE, costs: vec![free; prices.len()] }));
    let mut workspace = space.workspace();
    let mut rules = Vec::new();
    for (done, source) in order.iter().enumerate() {
        stop_if_asked(watch, done)?;
        let Some(own) = paths[source.index()].take() else { continue };
        let outcome = store.outcome(*source);
        if outcome != NO_OUTCOME {
            Paths::add(&mut by_outcome[outcome as usize], &own, 1, prices.iter().map(|_| 0));
            continue;
        }
        space.load(store.get(*source), &mut workspace);
        let base: Vec<u64> = prices.iter().map(|price| u64::from(price.is_due(space, &workspace))).collect();
        rules.clear();
        space.successors(&mut workspace, |_, rule, _| rules.push(rule));
        for ((target, times), rule) in graph.row(*source).zip(&rules) {
            let steps = prices.iter().zip(&base).map(|(price, base)| base + price.by_rule[rule.index()]);
            let mut sum = paths[target.index()].take().map(|sum| *sum);
            Paths::add(&mut sum, &own, times, steps);
            paths[target.index()] = sum.map(Box::new);
        }
    }
    Ok(by_outcome)
}

/// A price, prepared for one space.
struct Tariff<S: Space> {
    by_rule: Vec<u64>,
    during: Vec<S::Predicate>,
}

impl<S: Space> Tariff<S> {
    fn new(program: &Program, space: &S, price: &Price) -> Self {
        let mut by_rule = vec![0; program.rules.len()];
        for (rule, amount) in &price.rules {
            by_rule[*rule as usize] += u64::from(*amount);
        }
        Self { by_rule, during: price.during.iter().map(|guard| space.predicate(guard)).collect() }
    }

    fn is_due(&self, space: &S, workspace: &S::Workspace) -> bool {
        self.during.iter().any(|predicate| space.holds(predicate, workspace))
    }
}
