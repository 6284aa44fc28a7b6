//! The number of labelled paths from the initial state to each outcome.
//!
//! A labelled state has as many paths to an outcome as its successors have, and `multiplicity` labelled transitions lead to
//! each of a transition of the orbit space: paths(source) = sum of multiplicity * paths(target), and 1 at the end.
//!
//! The numbers are exact, with thousands of digits where it takes them. They are computed by their remainders for several
//! moduli ([`super::residues`]), some at a time: a state never has more than 64 bytes, whatever its number. How many
//! moduli it takes is known beforehand, since all paths are counted in floating point first.
//!
//! Beyond [`MOST_WORDS`] or [`MOST_WORK`] the exact figure is not computed, and logarithms and shares come from floating
//! point, with a wide exponent and a proven bound on the error ([`Scaled::log10_error`]). Neither depends on the machine,
//! on the number of threads, or on the limit on memory: as long as there is room for one number a state, the figure is
//! the same, and only the number of passes differs.

use std::sync::atomic::Ordering::Relaxed;

use dashu_int::UBig;

use super::Acyclic;
use super::memory_limit::{Lanes, Room};
use crate::limits::Reason;
use crate::number::count;
use crate::number::residues::{Modulus, combine};
use crate::number::scaled::Scaled;
use crate::store::states::StateId;

/// Exact numbers have at most so many words of 64 bits: about 19,700 digits.
const MOST_WORDS: usize = 1024;
/// Words of all outcomes, times transitions, that exact numbers may take: half a minute on one thread.
const MOST_WORK: usize = 1 << 34;

/// Interleavings by outcome.
#[derive(Debug)]
pub(crate) enum Interleavings {
    /// Integers.
    Exact(Vec<UBig>),
    /// Too large for that.
    Rounded {
        /// By outcome.
        numbers: Vec<Scaled>,
        /// One after the other, at most, in any of them.
        roundings: usize,
    },
}

impl Interleavings {
    /// The number, if it is known exactly.
    pub(crate) fn exact(&self, outcome: usize) -> Option<UBig> {
        match self {
            Self::Exact(all) => Some(all[outcome].clone()),
            Self::Rounded { .. } => None,
        }
    }

    /// Its decimal logarithm; none of zero.
    pub(crate) fn log10(&self, outcome: usize) -> Option<f64> {
        match self {
            Self::Exact(all) => count::log10(&all[outcome]),
            Self::Rounded { numbers, .. } => numbers[outcome].log10(),
        }
    }

    /// How far a logarithm may be off; none if numbers are exact.
    pub(crate) fn log10_error(&self) -> Option<f64> {
        match self {
            Self::Exact(_) => None,
            Self::Rounded { numbers, roundings } => {
                Some(numbers.iter().map(|number| number.log10_error(*roundings)).fold(0.0, f64::max))
            }
        }
    }

    /// Its share in the sum over all outcomes.
    pub(crate) fn share(&self, outcome: usize) -> f64 {
        match self {
            Self::Exact(all) => count::ratio(&all[outcome], &all.iter().sum()),
            Self::Rounded { numbers, .. } => {
                let total = numbers.iter().fold(Scaled::default(), |sum, term| sum.plus(*term));
                numbers[outcome].over(total)
            }
        }
    }
}

/// Moduli for exact numbers of up to so many bits, if so many words of them are computed; none if that is too much work.
pub(super) fn moduli(bits: usize, words: usize, transitions: usize) -> Option<Vec<Modulus>> {
    let longest = Modulus::needed(bits);
    (longest <= MOST_WORDS && words.saturating_mul(transitions) <= MOST_WORK).then(|| Modulus::first(longest))
}

impl Acyclic<'_> {
    /// Interleavings by outcome; `rounded` are those in floating point.
    pub(super) fn interleavings(&self, rounded: &[Scaled], room: &mut Room) -> Result<Interleavings, Reason> {
        let words: usize = rounded.iter().map(|number| Modulus::needed(number.bits())).sum();
        let longest = rounded.iter().map(|number| number.bits()).max().unwrap_or(0);
        match moduli(longest, words, self.graph.transitions()) {
            Some(moduli) => self.exact(rounded, &moduli, room).map(Interleavings::Exact),
            None => Ok(Interleavings::Rounded { numbers: rounded.to_vec(), roundings: self.roundings() }),
        }
    }

    /// Roundings one after the other in a number that each state adds up from its successors': a product and a sum for each
    /// transition, of which the first sum is exact.
    fn roundings(&self) -> usize {
        self.layers.len().saturating_mul(self.graph.longest_row())
    }

    /// Interleavings by outcome in floating point.
    pub(super) fn rounded(&self, room: &mut Room) -> Result<Vec<Scaled>, Reason> {
        let mut numbers = vec![Scaled::default(); self.outcomes];
        let lanes = room.lanes(self.graph.len(), 2, 2 * self.reached.len())?;
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

    pub(super) fn rounded_sum(&self, lanes: &Lanes, at: usize, state: StateId) -> Scaled {
        let terms = self.graph.row(state).map(|(target, times)| get(lanes, at, target).times(times));
        terms.fold(Scaled::default(), Scaled::plus)
    }

    fn exact(&self, rounded: &[Scaled], moduli: &[Modulus], room: &mut Room) -> Result<Vec<UBig>, Reason> {
        let needed = |outcome: &usize| &moduli[..Modulus::needed(rounded[*outcome].bits())];
        let columns =
            self.reached.iter().flat_map(|outcome| needed(outcome).iter().map(move |modulus| (*outcome, *modulus)));
        let columns: Vec<(usize, Modulus)> = columns.collect();
        let mut remainders = Vec::with_capacity(columns.len());
        let lanes = room.lanes(self.graph.len(), 1, columns.len())?;
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

pub(super) fn get(lanes: &Lanes, at: usize, state: StateId) -> Scaled {
    Scaled::from_words([lanes.get(state, 2 * at), lanes.get(state, 2 * at + 1)])
}

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
    use crate::limits::{Limits, Measure, Watch};
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
        let layers = Layers::of(&graph, &mut Room::new(None, 0), &watch).unwrap().unwrap();
        let reached = store.outcomes_reached();
        task(&Acyclic { graph: &graph, store: &store, layers, outcomes: 3, reached, watch: &watch })
    }

    fn measured(graph: &Acyclic<'_>, room: &mut Room) -> Result<Interleavings, Reason> {
        graph.interleavings(&graph.rounded(room)?, room)
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
                    let answer = measured(graph, &mut Room::new(limit, 0)).unwrap();
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
                let numbers = graph.rounded(&mut Room::new(None, 0)).unwrap();
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
                let all = Interleavings::Rounded { numbers, roundings };
                assert!((0..3).map(|outcome| all.share(outcome)).sum::<f64>() - 1.0 < 1e-12);
                assert_eq!(all.exact(0), None);
                assert!(all.log10_error().unwrap() < 1e-9);
            });
        }
        assert!(off >= 8, "{off}");
    }

    #[test]
    fn exact_numbers_give_way_at_a_number_of_words_or_at_too_much_work() {
        assert_eq!(moduli(64_512, 1, 1).unwrap().len(), MOST_WORDS);
        assert!(moduli(64_513, 1, 1).is_none());
        assert!(moduli(630, 1 << 14, 1 << 20).is_some());
        assert!(moduli(630, 1 << 14, 1 << 21).is_none());
        // 2^17 paths at most for each of 17,000 steps.
        let answer = with_graph(&diamonds(17_000), |graph| measured(graph, &mut Room::new(None, 0)).unwrap());
        assert_eq!(answer.exact(1), None);
        let (log10, error) = (answer.log10(1).unwrap(), answer.log10_error().unwrap());
        assert!((log10 - 17_000.0 * 17_f64.log10()).abs() < error, "{log10} {error}");
        assert!(error < 1e-10);
    }

    #[test]
    fn without_room_there_is_a_reason_and_no_number() {
        let rows = diamonds(1000);
        let limit = Some(16 * rows.len() as u64 - 1);
        let mut room = Room::new(limit, 0);
        room.enter(Measure::Interleavings);
        let reason = with_graph(&rows, |graph| measured(graph, &mut room)).unwrap_err();
        assert_eq!(reason, Reason::NoRoom { measure: Measure::Interleavings, limit });
        assert_eq!(reason.to_string(), "max-memory 32015 bytes, no room for interleavings");
    }
}
