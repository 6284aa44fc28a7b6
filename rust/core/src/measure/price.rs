//! What the runs to each outcome cost, over all interleavings.
//!
//! Beside the number of paths from a state to an outcome ([`super::interleavings`]) go, for each price, the sum of what all of
//! these paths cost, and the least and the most that any of them does. A step adds its cost once for each path that takes
//! it. Sums are exact integers, by their remainders, wherever interleavings are; a mean is one division at the end, and
//! beyond exact integers a weighted mean of means.
//!
//! The graph does not keep which rule a transition fires, so each state is expanded once more: its successors come in the
//! order of its row.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use dashu_int::UBig;
use rayon::prelude::*;

use super::Acyclic;
use super::interleavings::{get, moduli, set};
use super::memory_limit::{MOST_LANES, Room};
use crate::limits::Reason;
use crate::number::count;
use crate::number::residues::{Modulus, combine};
use crate::number::scaled::Scaled;
use crate::program::Program;
use crate::space::Space;
use crate::store::memory::Cells;
use crate::store::states::StateId;

/// The least cost where no path leads to the outcome.
const NO_PATH: u64 = u64::MAX;

/// What paths cost in one price.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cost {
    /// The sum over all of them; none where numbers are not exact.
    pub(crate) total: Option<UBig>,
    pub(crate) mean: f64,
    /// What the cheapest and the dearest cost.
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// What the paths to an outcome cost, by price.
pub(crate) type Paths = Vec<Cost>;

impl Acyclic<'_> {
    /// The paths to each outcome; none to those that are not reached. `numbers` counts them in floating point.
    pub(super) fn prices<S: Space>(
        &self,
        program: &Program,
        space: &S,
        numbers: &[Scaled],
        room: &mut Room,
    ) -> Result<Vec<Option<Paths>>, Reason> {
        let tariff = Tariff::new(program, space, self, room)?;
        let mut by_outcome = vec![None; self.outcomes];
        for outcome in &self.reached {
            let mut costs = self.ranges(*outcome, &tariff, room)?;
            let dearest = costs.iter().map(|cost| cost.most).max().unwrap_or(0);
            let bits = numbers[*outcome].bits() + (u64::BITS - dearest.leading_zeros()) as usize;
            let words = Modulus::needed(bits) * (tariff.prices + 1);
            match moduli(bits, words, self.graph.transitions()) {
                Some(moduli) => self.totals(*outcome, &tariff, &moduli, &mut costs, room)?,
                None => self.means(*outcome, &tariff, &mut costs, room)?,
            }
            by_outcome[*outcome] = Some(costs);
        }
        Ok(by_outcome)
    }

    /// The least and the most by price; nothing else is known yet.
    fn ranges(&self, outcome: usize, tariff: &Tariff, room: &mut Room) -> Result<Paths, Reason> {
        let lanes = room.lanes(self.graph.len(), 2, 2 * tariff.prices)?;
        let mut costs = Vec::new();
        for group in &tariff.groups(lanes.width() / 2) {
            self.layers.backwards(self.watch, |state| {
                for (at, price) in group.iter().enumerate() {
                    let (mut least, mut most) = (NO_PATH, 0);
                    match self.store.outcome_of(state) {
                        Some(own) if own == outcome => least = 0,
                        Some(_) => {}
                        None => {
                            for (step, (target, _)) in self.graph.span(state).zip(self.graph.row(state)) {
                                let onward = lanes.get(target, 2 * at);
                                if onward != NO_PATH {
                                    let cost = tariff.step(step, *price) + tariff.due(state, *price);
                                    least = least.min(onward + cost);
                                    most = most.max(lanes.get(target, 2 * at + 1) + cost);
                                }
                            }
                        }
                    }
                    lanes.set(state, 2 * at, least);
                    lanes.set(state, 2 * at + 1, most);
                }
            })?;
            costs.extend((0..group.len()).map(|at| Cost {
                total: None,
                mean: 0.0,
                least: lanes.get(StateId(0), 2 * at),
                most: lanes.get(StateId(0), 2 * at + 1),
            }));
        }
        Ok(costs)
    }

    /// Exact totals, and means. The first lane counts paths.
    fn totals(
        &self,
        outcome: usize,
        tariff: &Tariff,
        moduli: &[Modulus],
        costs: &mut [Cost],
        room: &mut Room,
    ) -> Result<(), Reason> {
        let lanes = room.lanes(self.graph.len(), 2, tariff.prices + 1)?;
        for group in &tariff.groups(lanes.width() - 1) {
            let mut remainders = Vec::with_capacity(moduli.len());
            for modulus in moduli {
                self.layers.backwards(self.watch, |state| {
                    let own = self.store.outcome_of(state);
                    let mut sums = [0_u128; MOST_LANES];
                    sums[0] = u128::from(own == Some(outcome));
                    for (step, (target, times)) in self.graph.span(state).zip(self.graph.row(state)) {
                        let onward = lanes.of(target);
                        let paths = u128::from(onward[0].load(Relaxed)) * u128::from(times);
                        sums[0] += paths;
                        let paths = u128::from(modulus.reduce(paths));
                        for (at, price) in group.iter().enumerate() {
                            sums[at + 1] += u128::from(onward[at + 1].load(Relaxed)) * u128::from(times);
                            sums[at + 1] += paths * u128::from(tariff.step(step, *price));
                        }
                    }
                    let paths = modulus.reduce(sums[0]);
                    lanes.set(state, 0, paths);
                    for (at, price) in group.iter().enumerate() {
                        let due = u128::from(paths) * u128::from(tariff.due(state, *price));
                        lanes.set(state, at + 1, modulus.reduce(sums[at + 1] + if own.is_none() { due } else { 0 }));
                    }
                })?;
                remainders.push(lanes.of(StateId(0)).iter().map(|cell| cell.load(Relaxed)).collect::<Vec<_>>());
            }
            let number = |lane: usize| combine(moduli.iter().copied().zip(remainders.iter().map(|all| all[lane])));
            let paths = number(0);
            for (at, price) in group.iter().enumerate() {
                let total = number(at + 1);
                costs[*price].mean = count::ratio(&total, &paths);
                costs[*price].total = Some(total);
            }
        }
        Ok(())
    }

    /// Means without totals: of a state, those of its successors, weighted with their paths. The first lanes count paths.
    fn means(&self, outcome: usize, tariff: &Tariff, costs: &mut [Cost], room: &mut Room) -> Result<(), Reason> {
        let lanes = room.lanes(self.graph.len(), 3, tariff.prices + 2)?;
        for group in &tariff.groups(lanes.width() - 2) {
            self.layers.backwards(self.watch, |state| {
                let own = self.store.outcome_of(state);
                let paths = match own {
                    None => self.rounded_sum(&lanes, 0, state),
                    Some(own) if own == outcome => Scaled::ONE,
                    Some(_) => Scaled::default(),
                };
                set(&lanes, 0, state, paths);
                for (at, price) in group.iter().enumerate() {
                    let weighted = |(step, (target, times)): (usize, (StateId, u16))| {
                        let onward = f64::from_bits(lanes.get(target, at + 2)) + tariff.step(step, *price) as f64;
                        get(&lanes, 0, target).times(times).over(paths) * onward
                    };
                    let mean = if own.is_some() || paths == Scaled::default() {
                        0.0
                    } else {
                        let steps = self.graph.span(state).zip(self.graph.row(state));
                        steps.map(weighted).sum::<f64>() + tariff.due(state, *price) as f64
                    };
                    lanes.set(state, at + 2, mean.to_bits());
                }
            })?;
            for (at, price) in group.iter().enumerate() {
                costs[*price].mean = f64::from_bits(lanes.get(StateId(0), at + 2));
            }
        }
        Ok(())
    }
}

/// What each transition costs.
struct Tariff {
    prices: usize,
    /// What each rule costs in each price,
    by_rule: Vec<u64>,
    /// the rule of each transition,
    rules: Cells<AtomicU32>,
    /// and for each state a bit for each price that its steps cost 1 more.
    due: Cells<AtomicU32>,
    due_words: usize,
}

impl Tariff {
    fn new<S: Space>(program: &Program, space: &S, graph: &Acyclic<'_>, room: &mut Room) -> Result<Self, Reason> {
        let Acyclic { graph, store, watch, .. } = graph;
        let prices = program.prices.len();
        let mut by_rule = vec![0; program.rules.len() * prices];
        for (at, price) in program.prices.iter().enumerate() {
            for (rule, amount) in &price.rules {
                by_rule[*rule as usize * prices + at] += u64::from(*amount);
            }
        }
        let due_words = prices.div_ceil(u32::BITS as usize);
        let rules = room.cells::<AtomicU32>(graph.transitions())?;
        room.keep(graph.transitions() * size_of::<u32>());
        let due = room.cells::<AtomicU32>(store.len() * due_words)?;
        room.keep(store.len() * due_words * size_of::<u32>());
        let during: Vec<Vec<S::Predicate>> = program
            .prices
            .iter()
            .map(|price| price.during.iter().map(|guard| space.predicate(guard)).collect())
            .collect();
        let states = (0..store.len() as u32).into_par_iter().map(StateId).filter(|state| !store.is_terminal(*state));
        states.try_for_each_init(
            || space.workspace(),
            |workspace, state| {
                watch.check()?;
                space.load(store.get(state), workspace);
                for (at, _) in
                    during.iter().enumerate().filter(|(_, it)| it.iter().any(|it| space.holds(it, workspace)))
                {
                    let word = state.index() * due_words + at / u32::BITS as usize;
                    due.as_slice()[word].fetch_or(1 << (at as u32 % u32::BITS), Relaxed);
                }
                let mut steps = rules.as_slice()[graph.span(state)].iter();
                space.successors(workspace, |_, rule, _| {
                    if let Some(step) = steps.next() {
                        step.store(rule.0, Relaxed);
                    }
                });
                Ok(())
            },
        )?;
        Ok(Self { prices, by_rule, rules, due, due_words })
    }

    /// The prices, so many at a time.
    fn groups(&self, size: usize) -> Vec<Vec<usize>> {
        let prices: Vec<usize> = (0..self.prices).collect();
        prices.chunks(size).map(<[usize]>::to_vec).collect()
    }

    /// What a transition costs by its rule.
    #[inline]
    fn step(&self, transition: usize, price: usize) -> u64 {
        let rule = self.rules.as_slice()[transition].load(Relaxed);
        self.by_rule[rule as usize * self.prices + price]
    }

    /// What each step from a state costs more.
    #[inline]
    fn due(&self, state: StateId, price: usize) -> u64 {
        let bits = self.due.as_slice()[state.index() * self.due_words + price / u32::BITS as usize].load(Relaxed);
        u64::from(bits >> (price as u32 % u32::BITS) & 1)
    }
}
