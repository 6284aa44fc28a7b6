//! The number of labelled paths from the initial state to each outcome.
//!
//! A labelled state has as many paths to an outcome as its successors together, and a transition between stored states stands
//! for `multiplicity` labelled ones: paths(source) = sum of multiplicity * paths(target), and 1 for a state with the outcome.
//!
//! The numbers are exact, with thousands of digits where it takes them. They are computed by their remainders modulo several
//! numbers of 64 bits ([`crate::number::residues`]), a few in each pass, so that a state never takes more than 64 bytes. All
//! paths are counted in floating point first, which tells how many moduli it takes.
//!
//! Beyond [`MOST_WORDS`] or [`MOST_WORK`] there is no exact figure: logarithms and shares come from floating point, with a wide
//! exponent and a proven bound on the error ([`Scaled::log10_error`]). Neither limit depends on the machine, on the number of
//! threads or on the limit on memory. As long as one number for each state fits, the figure is the same, and only the number of
//! passes differs.
//!
//! Rejected: a big integer for each state. Its size is unknown until it is computed, and it takes an allocation for each
//! addition.

use dashu_int::UBig;

use super::Measure;
use super::lanes::Lanes;
use super::subject::{Acyclic, Subject};
use crate::limits::Reason;
use crate::number::count;
use crate::number::residues::{Modulus, combine};
use crate::number::scaled::Scaled;
use crate::space::Space;
use crate::store::account::MemoryAccount;
use crate::store::states::StateId;
use crate::sync::Ordering::Relaxed;

/// The most words of 64 bits of an exact number: about 19,700 digits.
const MOST_WORDS: usize = 1024;
/// The most words of all exact numbers together, times transitions: half a minute on one thread.
const MOST_WORK: usize = 1 << 34;

/// The interleavings of each outcome of the Program.
#[derive(Debug)]
pub(super) struct Interleavings {
    /// In floating point.
    rounded: Vec<Scaled>,
    /// A bound on the number of roundings that any of these went through, one after the other.
    roundings: usize,
    /// As integers; none if they are too large.
    exact: Option<Vec<UBig>>,
}

impl Interleavings {
    /// The numbers in floating point.
    pub(super) fn rounded(&self) -> &[Scaled] {
        &self.rounded
    }

    /// The number, if it is known exactly.
    pub(super) fn exact(&self, outcome: usize) -> Option<UBig> {
        self.exact.as_ref().map(|all| all[outcome].clone())
    }

    /// The decimal logarithm of the number; none of zero.
    pub(super) fn log10(&self, outcome: usize) -> Option<f64> {
        match &self.exact {
            Some(all) => count::log10(&all[outcome]),
            None => self.rounded[outcome].log10(),
        }
    }

    /// A bound on the error of every logarithm; none if the numbers are exact.
    pub(super) fn log10_error(&self) -> Option<f64> {
        let error = |number: &Scaled| number.log10_error(self.roundings);
        self.exact.is_none().then(|| self.rounded.iter().map(error).fold(0.0, f64::max))
    }

    /// The share of the number in the sum over all outcomes.
    pub(super) fn share(&self, outcome: usize) -> f64 {
        if let Some(all) = &self.exact {
            return count::ratio(&all[outcome], &all.iter().sum());
        }
        let total = self.rounded.iter().fold(Scaled::default(), |sum, term| sum.plus(*term));
        self.rounded[outcome].over(total)
    }
}

/// Counts the interleavings of each outcome.
pub(super) struct CountInterleavings<'a> {
    /// The graph, if it has no cycle.
    pub(super) acyclic: Option<&'a Acyclic<'a>>,
}

impl<S: Space> Measure<S> for CountInterleavings<'_> {
    const NAME: &'static str = "interleavings";
    type Answer = Interleavings;

    fn take(&self, _: &Subject<'_, S>, account: &mut MemoryAccount) -> Result<Option<Interleavings>, Reason> {
        self.acyclic.map(|graph| graph.interleavings(account)).transpose()
    }
}

/// The moduli for exact numbers of up to `bits` bits, of which `words` words are computed over all transitions; none if that is
/// too much work.
pub(super) fn moduli(bits: usize, words: usize, transitions: usize) -> Option<Vec<Modulus>> {
    let longest = Modulus::needed(bits);
    (longest <= MOST_WORDS && words.saturating_mul(transitions) <= MOST_WORK).then(|| Modulus::first(longest))
}

impl Acyclic<'_> {
    fn interleavings(&self, account: &mut MemoryAccount) -> Result<Interleavings, Reason> {
        let rounded = self.rounded(account)?;
        let words: usize = rounded.iter().map(|number| Modulus::needed(number.bits())).sum();
        let longest = rounded.iter().map(|number| number.bits()).max().unwrap_or(0);
        let moduli = moduli(longest, words, self.graph.transitions());
        let exact = moduli.map(|moduli| self.exact(&rounded, &moduli, account)).transpose()?;
        Ok(Interleavings { rounded, roundings: self.roundings(), exact })
    }

    /// A bound on the number of roundings, one after the other, in a number that each state adds up from those of its
    /// successors. In a row of n transitions a term goes through its product and at most n - 1 sums, since adding it to nothing
    /// is exact; so a layer adds at most n roundings.
    fn roundings(&self) -> usize {
        self.layers.len().saturating_mul(self.graph.longest_row())
    }

    /// Interleavings by outcome in floating point.
    fn rounded(&self, account: &mut MemoryAccount) -> Result<Vec<Scaled>, Reason> {
        let mut numbers = vec![Scaled::default(); self.outcomes];
        let lanes = Lanes::new(self.graph.len(), 2, 2 * self.reached.len(), account)?;
        for group in self.reached.chunks(lanes.width() / 2) {
            self.layers.backwards(self.watch, |state| {
                for (at, outcome) in group.iter().enumerate() {
                    let own = match self.store.outcome_of(state) {
                        None => self.rounded_sum(&lanes, at, state),
                        Some(own) if own == *outcome => Scaled::ONE,
                        Some(_) => Scaled::default(),
                    };
                    set(&lanes, at, state, own);
                }
            })?;
            for (at, outcome) in group.iter().enumerate() {
                numbers[*outcome] = get(&lanes, at, StateId(0));
            }
        }
        Ok(numbers)
    }

    /// The sum over the successors of a state in floating point; the number of state `s` is in lanes `2 at` and `2 at + 1`.
    pub(super) fn rounded_sum(&self, lanes: &Lanes, at: usize, state: StateId) -> Scaled {
        let terms = self.graph.row(state).map(|(target, times)| get(lanes, at, target).times(times));
        terms.fold(Scaled::default(), Scaled::plus)
    }

    /// Interleavings by outcome as integers, each by as many moduli as its number in floating point asks for.
    fn exact(&self, rounded: &[Scaled], moduli: &[Modulus], account: &mut MemoryAccount) -> Result<Vec<UBig>, Reason> {
        let needed = |outcome: &usize| &moduli[..Modulus::needed(rounded[*outcome].bits())];
        let columns =
            self.reached.iter().flat_map(|outcome| needed(outcome).iter().map(move |modulus| (*outcome, *modulus)));
        let columns: Vec<(usize, Modulus)> = columns.collect();
        let mut remainders = Vec::with_capacity(columns.len());
        let lanes = Lanes::new(self.graph.len(), 1, columns.len(), account)?;
        for group in columns.chunks(lanes.width()) {
            self.layers.backwards(self.watch, |state| {
                let cells = lanes.of(state).iter().zip(group).enumerate();
                let own = self.store.outcome_of(state);
                for (at, (cell, (outcome, modulus))) in cells {
                    let number = own.map_or_else(
                        || modulus.reduce(self.graph.weighted(state, |target| lanes.get(target, at))),
                        |own| u64::from(own == *outcome),
                    );
                    cell.store(number, Relaxed);
                }
            })?;
            remainders.extend((0..group.len()).map(|at| lanes.get(StateId(0), at)));
        }
        let remainders = columns.into_iter().zip(remainders);
        let number = |outcome: usize| {
            combine(remainders.clone().filter(|((own, _), _)| *own == outcome).map(|((_, modulus), it)| (modulus, it)))
        };
        Ok((0..self.outcomes).map(number).collect())
    }
}

/// Reads a number in floating point, which takes two lanes.
pub(super) fn get(lanes: &Lanes, at: usize, state: StateId) -> Scaled {
    Scaled::from_words([lanes.get(state, 2 * at), lanes.get(state, 2 * at + 1)])
}

/// Writes a number in floating point.
pub(super) fn set(lanes: &Lanes, at: usize, state: StateId, number: Scaled) {
    for (lane, word) in (2 * at..).zip(number.to_words()) {
        lanes.set(state, lane, word);
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LOG10_E;

    use super::*;
    use crate::graph::Graph;
    use crate::graph::layers::Layers;
    use crate::limits::{Limits, Watch};
    use crate::progress::Monitor;
    use crate::store::states::{NO_OUTCOME, Store};

    /// Runs something on the graph with these rows; states without transitions end with outcomes 0, 1 and 2 in turns.
    fn with_graph<T>(rows: &[Vec<(u32, u16)>], task: impl FnOnce(&Acyclic<'_>) -> T) -> T {
        let (mut graph, mut store) = (Graph::default(), Store::new(1));
        for (at, row) in rows.iter().enumerate() {
            for (target, times) in row {
                graph.push(StateId(*target), *times);
            }
            graph.end_row();
            store.push(&[0], StateId(0), if row.is_empty() { (at % 3) as u8 } else { NO_OUTCOME });
        }
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let layers = Layers::of(&graph, |state| store.is_terminal(state), &mut MemoryAccount::new(None, 0), &watch)
            .unwrap()
            .unwrap();
        let reached = store.outcomes_reached();
        task(&Acyclic { graph: &graph, store: &store, layers, outcomes: 3, reached, watch: &watch })
    }

    /// A chain of diamonds: the number of paths is multiplied by 3 * 5 + 2 at each.
    fn diamonds(count: u32) -> Vec<Vec<(u32, u16)>> {
        let mut rows = Vec::new();
        for top in (0..count).map(|at| 2 * at) {
            rows.extend([vec![(top + 1, 3), (top + 2, 2)], vec![(top + 2, 5)]]);
        }
        rows.push(Vec::new());
        rows
    }

    /// Each state leads to some of the next ones, by multiplicities that fill a mantissa soon.
    fn tangle(states: u32) -> Vec<Vec<(u32, u16)>> {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u32
        };
        let row = |at: u32| match states - at {
            1..=3 => Vec::new(),
            left => (1..=5)
                .map(|_| (at + 1 + random() % left.min(6).saturating_sub(1), (random() % 60_000 + 1) as u16))
                .chain([(at + 1, 1)])
                .collect(),
        };
        (0..states).map(row).collect()
    }

    /// Paths from the first state to each outcome, by plain sums.
    fn plain(rows: &[Vec<(u32, u16)>]) -> Vec<UBig> {
        let mut paths = vec![UBig::ZERO; rows.len()];
        paths[0] = UBig::ONE;
        let mut by_outcome = vec![UBig::ZERO; 3];
        for (at, row) in rows.iter().enumerate() {
            for (target, times) in row {
                let onward = &paths[at] * *times;
                paths[*target as usize] += onward;
            }
            if row.is_empty() {
                by_outcome[at % 3] += &paths[at];
            }
        }
        by_outcome
    }

    #[test]
    fn numbers_by_remainders_are_those_of_plain_sums() {
        for rows in [diamonds(0), diamonds(1), diamonds(2000), tangle(7), tangle(500), tangle(3000)] {
            let expected = plain(&rows);
            for limit in [None, Some(16 * rows.len() as u64), Some(30 * rows.len() as u64)] {
                with_graph(&rows, |graph| {
                    let answer = graph.interleavings(&mut MemoryAccount::new(limit, 0)).unwrap();
                    let exact: Vec<UBig> = (0..3).filter_map(|outcome| answer.exact(outcome)).collect();
                    assert_eq!((exact, answer.log10_error()), (expected.clone(), None));
                });
            }
        }
        assert_eq!(plain(&diamonds(2000)).iter().sum::<UBig>(), UBig::from(17_u8).pow(2000));
    }

    #[test]
    fn rounded_numbers_are_off_by_no_more_than_the_bound() {
        let mut off = 0;
        for rows in [diamonds(100), diamonds(2000), tangle(50), tangle(500), tangle(5000)] {
            let exact = plain(&rows);
            with_graph(&rows, |graph| {
                let numbers = graph.rounded(&mut MemoryAccount::new(None, 0)).unwrap();
                let roundings = graph.roundings();
                for (exact, rounded) in exact.iter().zip(&numbers).filter(|(exact, _)| !exact.is_zero()) {
                    // The error of the number itself, without that of a logarithm.
                    let value = rounded.exact();
                    let difference = if value > *exact { &value - exact } else { exact - &value };
                    let error = LOG10_E * count::ratio(&difference, exact);
                    assert!(error <= rounded.log10_error(roundings), "{error} {roundings}");
                    assert!(
                        (count::log10(exact).unwrap() - rounded.log10().unwrap()).abs()
                            <= 2.0 * rounded.log10_error(roundings)
                    );
                    assert!(rounded.bits() >= dashu_int::ops::BitTest::bit_len(exact));
                    off += usize::from(error > 0.0);
                }
                let all = Interleavings { rounded: numbers, roundings, exact: None };
                assert!((0..3).map(|outcome| all.share(outcome)).sum::<f64>() - 1.0 < 1e-12);
                assert_eq!(all.exact(0), None);
                assert!(all.log10_error().unwrap() < 1e-9);
            });
        }
        assert!(off >= 8, "{off}");
    }

    /// A state for each layer, with so many transitions, all to the state of the next layer. Their multiplicities are chosen one
    /// by one, such that rounding makes the number of paths as large as it can, relative to the exact one.
    fn steered(layers: u32, transitions: usize) -> Vec<Vec<(u32, u16)>> {
        let mut rows = vec![Vec::new()];
        let (mut rounded, mut exact) = (Scaled::ONE, UBig::ONE);
        for layer in (0..layers - 1).rev() {
            let (onward, exactly) = (rounded, exact);
            (rounded, exact) = (Scaled::default(), UBig::ZERO);
            let mut row = Vec::new();
            for _ in 0..transitions {
                let with = |times: u16| (rounded.plus(onward.times(times)), &exact + &exactly * times);
                let excess = |times: &u16| {
                    let (rounded, exact) = with(*times);
                    let value = rounded.exact();
                    if value < exact {
                        -count::ratio(&(&exact - value), &exact)
                    } else {
                        count::ratio(&(value - &exact), &exact)
                    }
                };
                let times = (1..64).max_by(|left, right| excess(left).total_cmp(&excess(right))).unwrap();
                row.push((layer + 1, times));
                (rounded, exact) = with(times);
            }
            rows.push(row);
        }
        rows.reverse();
        rows
    }

    #[test]
    fn the_bound_counts_the_roundings_of_all_layers_and_of_all_transitions_of_a_row() {
        let (layers, transitions) = (12, 300);
        let rows = steered(layers, transitions);
        let exact = plain(&rows).iter().sum::<UBig>();
        with_graph(&rows, |graph| {
            let rounded = graph.rounded(&mut MemoryAccount::new(None, 0)).unwrap();
            let number = rounded.into_iter().find(|number| *number != Scaled::default()).unwrap();
            let error = LOG10_E * count::ratio(&(number.exact() - &exact), &exact);
            assert!(error <= number.log10_error(graph.roundings()));
            // Neither the roundings of one layer nor one rounding for each layer would bound it.
            assert!(error > number.log10_error(transitions) && error > number.log10_error(layers as usize), "{error}");
        });
    }

    #[test]
    fn exact_numbers_give_way_at_a_number_of_words_or_at_too_much_work() {
        assert_eq!(moduli(64_512, 1, 1).unwrap().len(), MOST_WORDS);
        assert!(moduli(64_513, 1, 1).is_none());
        assert!(moduli(630, 1 << 14, 1 << 20).is_some());
        assert!(moduli(630, 1 << 14, 1 << 21).is_none());
        // 2^17 paths at most for each of 17,000 steps.
        let answer =
            with_graph(&diamonds(17_000), |graph| graph.interleavings(&mut MemoryAccount::new(None, 0)).unwrap());
        assert_eq!(answer.exact(1), None);
        let (log10, error) = (answer.log10(1).unwrap(), answer.log10_error().unwrap());
        assert!((log10 - 17_000.0 * 17_f64.log10()).abs() < error, "{log10} {error}");
        assert!(error < 1e-10);
    }

    #[test]
    fn without_memory_there_is_a_reason_and_no_number() {
        let rows = diamonds(1000);
        let limit = Some(16 * rows.len() as u64 - 1);
        let mut account = MemoryAccount::new(limit, 0);
        account.begin("interleavings");
        let reason = with_graph(&rows, |graph| graph.interleavings(&mut account)).unwrap_err();
        assert_eq!(reason, Reason::LeftOut { figure: "interleavings", limit });
        assert_eq!(reason.to_string(), "max-memory 32015 bytes, no room for interleavings");
    }
}
