//! The costs of the runs to each outcome, over all interleavings.
//!
//! The number of paths from a state to an outcome ([`super::interleavings`]) is accompanied, for each price, by the sum of the
//! costs of all these paths, and by the least and the greatest of these costs. A step adds its cost once for each path that
//! takes it. A run that never ends costs what it does up to its first diverging state, where it is counted.
//!
//! Sums are exact integers, by their remainders, wherever interleavings are. A mean is then one division at the end; beyond exact
//! integers it is a weighted mean of means.
//!
//! The graph does not keep which rule a transition fires, so each state is expanded once more: its successors come in the order
//! of its row.

use dashu_int::UBig;
use rayon::prelude::*;

use super::Measure;
use super::interleavings::{Interleavings, get, moduli, set};
use super::lanes::{Lanes, MOST_LANES};
use super::subject::{Acyclic, Subject};
use crate::columns::Column;
use crate::limits::Reason;
use crate::number::count;
use crate::number::residues::{Modulus, combine};
use crate::number::scaled::Scaled;
use crate::space::Space;
use crate::store::account::MemoryAccount;
use crate::store::memory::Cells;
use crate::store::states::StateId;
use crate::sync::AtomicU32;
use crate::sync::Ordering::Relaxed;

/// The least cost of a state from which no path leads to the outcome.
const NO_PATH: u64 = u64::MAX;

/// The cost, in one price, of the runs to one outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    /// Index of the outcome in the Program.
    pub outcome: usize,
    /// Index of the price in the Program.
    pub price: usize,
    /// The sum over all interleavings; none if it is too large, as for interleavings.
    pub total: Option<UBig>,
    /// The mean over all interleavings.
    pub mean: f64,
    /// The cost of the cheapest interleaving.
    pub least: u64,
    /// The cost of the dearest interleaving.
    pub most: u64,
}

impl PriceRow {
    pub(super) fn columns(rows: &[Self]) -> Vec<Column> {
        let rows = rows.iter();
        vec![
            Column::index("outcome", rows.clone().map(|row| row.outcome)),
            Column::index("price", rows.clone().map(|row| row.price)),
            Column::decimal_or_none("total", rows.clone().map(|row| row.total.as_ref())),
            Column::f64_or_none("mean", rows.clone().map(|row| Some(row.mean))),
            Column::u64("least", rows.clone().map(|row| row.least)),
            Column::u64("most", rows.map(|row| row.most)),
        ]
    }
}

/// Adds up what runs cost.
pub(super) struct AddUpPrices<'a> {
    /// The graph, if it has no cycle.
    pub(super) acyclic: Option<&'a Acyclic<'a>>,
    /// The number of runs to each outcome, if it was counted.
    pub(super) interleavings: Option<&'a Interleavings>,
}

impl<S: Space> Measure<S> for AddUpPrices<'_> {
    const NAME: &'static str = "prices";
    type Answer = Vec<PriceRow>;

    fn take(&self, subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Option<Vec<PriceRow>>, Reason> {
        match (self.acyclic, self.interleavings) {
            (Some(graph), Some(paths)) if subject.prices => graph.prices(subject, paths.rounded(), account).map(Some),
            _ => Ok(None),
        }
    }
}

impl Acyclic<'_> {
    /// A row for each outcome that is reached and each price. `numbers` counts the paths in floating point.
    fn prices<S: Space>(
        &self,
        subject: &Subject<'_, S>,
        numbers: &[Scaled],
        account: &mut MemoryAccount,
    ) -> Result<Vec<PriceRow>, Reason> {
        let costs = StepCosts::new(subject, account)?;
        let mut all = Vec::new();
        for outcome in &self.reached {
            let mut rows = self.ranges(*outcome, &costs, account)?;
            let dearest = rows.iter().map(|row| row.most).max().unwrap_or(0);
            let bits = numbers[*outcome].bits() + (u64::BITS - dearest.leading_zeros()) as usize;
            let words = Modulus::needed(bits) * (costs.prices + 1);
            match moduli(bits, words, self.graph.transitions()) {
                Some(moduli) => self.totals(*outcome, &costs, &moduli, &mut rows, account)?,
                None => self.means(*outcome, &costs, &mut rows, account)?,
            }
            all.append(&mut rows);
        }
        Ok(all)
    }

    /// A row for each price with the least and the greatest cost; its total and mean are still missing.
    fn ranges(&self, outcome: usize, costs: &StepCosts, account: &mut MemoryAccount) -> Result<Vec<PriceRow>, Reason> {
        let lanes = Lanes::new(self.graph.len(), 2, 2 * costs.prices, account)?;
        let mut rows = Vec::new();
        for group in &costs.groups(lanes.width() / 2) {
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
                                    let cost = costs.step(step, *price) + costs.during(state, *price);
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
            rows.extend(group.iter().enumerate().map(|(at, price)| PriceRow {
                outcome,
                price: *price,
                total: None,
                mean: 0.0,
                least: lanes.get(StateId(0), 2 * at),
                most: lanes.get(StateId(0), 2 * at + 1),
            }));
        }
        Ok(rows)
    }

    /// Fills in exact totals and means. The first lane counts paths, the others add up costs.
    fn totals(
        &self,
        outcome: usize,
        costs: &StepCosts,
        moduli: &[Modulus],
        rows: &mut [PriceRow],
        account: &mut MemoryAccount,
    ) -> Result<(), Reason> {
        let lanes = Lanes::new(self.graph.len(), 2, costs.prices + 1, account)?;
        for group in &costs.groups(lanes.width() - 1) {
            let mut remainders = Vec::with_capacity(moduli.len());
            for modulus in moduli {
                self.layers.backwards(self.watch, |state| {
                    if let Some(own) = self.store.outcome_of(state) {
                        // Here a run ends: one path, or none, that costs nothing more.
                        lanes.set(state, 0, u64::from(own == outcome));
                        (1..=group.len()).for_each(|lane| lanes.set(state, lane, 0));
                        return;
                    }
                    let mut sums = [0_u128; MOST_LANES];
                    for (step, (target, times)) in self.graph.span(state).zip(self.graph.row(state)) {
                        let onward = lanes.of(target);
                        let paths = u128::from(onward[0].load(Relaxed)) * u128::from(times);
                        sums[0] += paths;
                        let paths = u128::from(modulus.reduce(paths));
                        for (at, price) in group.iter().enumerate() {
                            sums[at + 1] += u128::from(onward[at + 1].load(Relaxed)) * u128::from(times);
                            sums[at + 1] += paths * u128::from(costs.step(step, *price));
                        }
                    }
                    let paths = modulus.reduce(sums[0]);
                    lanes.set(state, 0, paths);
                    for (at, price) in group.iter().enumerate() {
                        let during = u128::from(paths) * u128::from(costs.during(state, *price));
                        lanes.set(state, at + 1, modulus.reduce(sums[at + 1] + during));
                    }
                })?;
                remainders.push(lanes.of(StateId(0)).iter().map(|cell| cell.load(Relaxed)).collect::<Vec<_>>());
            }
            let number = |lane: usize| combine(moduli.iter().copied().zip(remainders.iter().map(|all| all[lane])));
            let paths = number(0);
            for (at, price) in group.iter().enumerate() {
                let total = number(at + 1);
                rows[*price].mean = count::ratio(&total, &paths);
                rows[*price].total = Some(total);
            }
        }
        Ok(())
    }

    /// Fills in means only. The mean of a state is that of its successors, weighted with the number of their paths, which the
    /// first two lanes count.
    fn means(
        &self,
        outcome: usize,
        costs: &StepCosts,
        rows: &mut [PriceRow],
        account: &mut MemoryAccount,
    ) -> Result<(), Reason> {
        let lanes = Lanes::new(self.graph.len(), 3, costs.prices + 2, account)?;
        for group in &costs.groups(lanes.width() - 2) {
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
                        let onward = f64::from_bits(lanes.get(target, at + 2)) + costs.step(step, *price) as f64;
                        get(&lanes, 0, target).times(times).over(paths) * onward
                    };
                    let mean = if own.is_some() || paths == Scaled::default() {
                        0.0
                    } else {
                        let steps = self.graph.span(state).zip(self.graph.row(state));
                        steps.map(weighted).sum::<f64>() + costs.during(state, *price) as f64
                    };
                    lanes.set(state, at + 2, mean.to_bits());
                }
            })?;
            for (at, price) in group.iter().enumerate() {
                rows[*price].mean = f64::from_bits(lanes.get(StateId(0), at + 2));
            }
        }
        Ok(())
    }
}

/// The cost of each transition in each price.
struct StepCosts {
    /// The number of prices.
    prices: usize,
    /// The cost of each rule in each price; the prices of a rule lie side by side.
    by_rule: Vec<u64>,
    /// The rule that each transition fires; each is written once, by the thread that expands its source, and read after a barrier.
    rules: Cells<AtomicU32>,
    /// For each state one bit for each price: whether a step from there costs 1 more, since the price's condition holds. Bits are
    /// only ever set, and read after a barrier.
    during: Cells<AtomicU32>,
    /// The words of `during` that a state takes.
    during_words: usize,
}

impl StepCosts {
    fn new<S: Space>(subject: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Self, Reason> {
        let Subject { program, space, store, graph, watch, .. } = *subject;
        let prices = program.prices.len();
        let mut by_rule = vec![0; program.rules.len() * prices];
        for (at, price) in program.prices.iter().enumerate() {
            for (rule, amount) in &price.rules {
                by_rule[*rule as usize * prices + at] += u64::from(*amount);
            }
        }
        let during_words = prices.div_ceil(u32::BITS as usize);
        let rules = account.cells::<AtomicU32>(graph.transitions())?;
        account.retain(graph.transitions() * size_of::<u32>());
        let during = account.cells::<AtomicU32>(store.len() * during_words)?;
        account.retain(store.len() * during_words * size_of::<u32>());
        let conditions: Vec<Vec<S::Predicate>> = program
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
                for (at, condition) in conditions.iter().enumerate() {
                    if condition.iter().any(|guard| space.holds(guard, workspace)) {
                        let word = state.index() * during_words + at / u32::BITS as usize;
                        during.as_slice()[word].fetch_or(1 << (at as u32 % u32::BITS), Relaxed);
                    }
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
        Ok(Self { prices, by_rule, rules, during, during_words })
    }

    /// The prices, `size` at a time.
    fn groups(&self, size: usize) -> Vec<Vec<usize>> {
        let prices: Vec<usize> = (0..self.prices).collect();
        prices.chunks(size).map(<[usize]>::to_vec).collect()
    }

    /// The cost of a transition by its rule.
    #[inline]
    fn step(&self, transition: usize, price: usize) -> u64 {
        let rule = self.rules.as_slice()[transition].load(Relaxed);
        self.by_rule[rule as usize * self.prices + price]
    }

    /// The additional cost of every step from a state.
    #[inline]
    fn during(&self, state: StateId, price: usize) -> u64 {
        let word = state.index() * self.during_words + price / u32::BITS as usize;
        u64::from(self.during.as_slice()[word].load(Relaxed) >> (price as u32 % u32::BITS) & 1)
    }
}
