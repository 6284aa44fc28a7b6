//! The number of labelled paths from the initial state to each outcome.
//!
//! All labelled states of an orbit are reached by equally many paths, and each has `multiplicity` transitions behind
//! one of the orbit's. So the paths *into an orbit* add up like this: paths(target) = sum of paths(source) *
//! multiplicity. A number is dropped as soon as its state is done, which keeps only a front of them alive.
//!
//! The numbers are exact, with thousands of digits where it takes them. Only if the front outgrows [`EXACT_BYTES`]
//! they are counted once more as floating-point numbers with a wide exponent, which gives logarithms and shares to
//! twelve digits but no exact figure.

use dashu_int::UBig;

use super::stop_if_asked;
use crate::count;
use crate::graph::Graph;
use crate::limits::{Reason, Watch};
use crate::store::{NO_OUTCOME, StateId, Store};

/// The front of exact numbers may take this much memory.
const EXACT_BYTES: usize = 2 << 30;

/// Interleavings by outcome.
#[derive(Debug)]
pub(crate) enum Interleavings {
    /// Integers.
    Exact(Vec<UBig>),
    /// Too large for that.
    Rounded(Vec<Scaled>),
}

impl Interleavings {
    /// The number, if it is known exactly.
    pub(crate) fn exact(&self, outcome: usize) -> Option<UBig> {
        match self {
            Self::Exact(all) => Some(all[outcome].clone()),
            Self::Rounded(_) => None,
        }
    }

    /// Its decimal logarithm; none of zero.
    pub(crate) fn log10(&self, outcome: usize) -> Option<f64> {
        match self {
            Self::Exact(all) => count::log10(&all[outcome]),
            Self::Rounded(all) => all[outcome].log10(),
        }
    }

    /// Its share in the sum over all outcomes.
    pub(crate) fn share(&self, outcome: usize) -> f64 {
        match self {
            Self::Exact(all) => count::ratio(&all[outcome], &all.iter().sum()),
            Self::Rounded(all) => {
                let total = all.iter().fold(Scaled::default(), |sum, term| sum.plus(*term));
                all[outcome].over(total)
            }
        }
    }
}

/// A number of paths, exact or not.
trait PathCount: Clone + Default {
    const ONE: Self;
    fn add(&mut self, paths: &Self, times: u16);
    /// Bytes on the heap.
    fn bytes(&self) -> usize;
}

impl PathCount for UBig {
    const ONE: Self = Self::ONE;

    fn add(&mut self, paths: &Self, times: u16) {
        if times == 1 {
            *self += paths;
        } else {
            *self += paths * times;
        }
    }

    fn bytes(&self) -> usize {
        // Up to two words lie in the number itself.
        match self.as_words().len() {
            0..=2 => 0,
            words => words * size_of::<usize>(),
        }
    }
}

/// `mantissa * 2^exponent`, with a mantissa from 1 to below 2, or zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Scaled {
    mantissa: f64,
    exponent: i32,
}

impl Scaled {
    fn normal(mantissa: f64, exponent: i32) -> Self {
        if mantissa == 0.0 {
            return Self::default();
        }
        let shift = mantissa.log2().floor() as i32;
        Self { mantissa: mantissa * 2_f64.powi(-shift), exponent: exponent + shift }
    }

    fn plus(self, other: Self) -> Self {
        let (large, small) = if (self.exponent, self.mantissa) >= (other.exponent, other.mantissa) {
            (self, other)
        } else {
            (other, self)
        };
        if small.mantissa == 0.0 {
            return large;
        }
        // A difference beyond the precision leaves the larger one as it is.
        let difference = (small.exponent - large.exponent).max(-200);
        Self::normal(large.mantissa + small.mantissa * 2_f64.powi(difference), large.exponent)
    }

    fn over(self, other: Self) -> f64 {
        self.mantissa / other.mantissa * 2_f64.powi(self.exponent - other.exponent)
    }

    fn log10(self) -> Option<f64> {
        (self.mantissa > 0.0).then(|| self.mantissa.log10() + f64::from(self.exponent) * std::f64::consts::LOG10_2)
    }
}

impl PathCount for Scaled {
    const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    fn add(&mut self, paths: &Self, times: u16) {
        *self = self.plus(Self::normal(paths.mantissa * f64::from(times), paths.exponent));
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Interleavings by outcome, and the most bytes that it took; `order` is topological.
pub(super) fn count(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    order: &[StateId],
    watch: &Watch<'_>,
) -> Result<(Interleavings, usize), Reason> {
    let bytes = graph.len() * size_of::<UBig>();
    if let Some((exact, front)) = sum_up::<UBig>(graph, store, outcomes, order, EXACT_BYTES, watch)? {
        return Ok((Interleavings::Exact(exact), bytes + front));
    }
    match sum_up::<Scaled>(graph, store, outcomes, order, usize::MAX, watch)? {
        Some((rounded, _)) => Ok((Interleavings::Rounded(rounded), bytes + EXACT_BYTES)),
        None => unreachable!("rounded numbers take no memory beyond their own"),
    }
}

/// Sums by outcome, and the most bytes of the front; none if that exceeds `budget`.
fn sum_up<N: PathCount>(
    graph: &Graph,
    store: &Store,
    outcomes: usize,
    order: &[StateId],
    budget: usize,
    watch: &Watch<'_>,
) -> Result<Option<(Vec<N>, usize)>, Reason> {
    let mut by_outcome = vec![N::default(); outcomes];
    let mut paths = vec![N::default(); graph.len()];
    paths[0] = N::ONE;
    let (mut front, mut largest_front) = (0, 0);
    for (done, source) in order.iter().enumerate() {
        stop_if_asked(watch, done)?;
        let own = std::mem::take(&mut paths[source.index()]);
        for (target, multiplicity) in graph.row(*source) {
            let sum = &mut paths[target.index()];
            front -= sum.bytes();
            sum.add(&own, multiplicity);
            front += sum.bytes();
        }
        largest_front = largest_front.max(front);
        if front > budget {
            return Ok(None);
        }
        front -= own.bytes();
        let outcome = store.outcome(*source);
        if outcome != NO_OUTCOME {
            by_outcome[outcome as usize].add(&own, 1);
        }
    }
    Ok(Some((by_outcome, largest_front)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::progress::Monitor;

    /// A chain of diamonds: the number of paths is multiplied by 3 * 5 + 2 at each.
    fn diamonds(count: u32) -> (Graph, Store, Vec<StateId>) {
        let (mut graph, mut store) = (Graph::default(), Store::new(1));
        for at in 0..count {
            let [top, side, bottom] = [3 * at, 3 * at + 1, 3 * at + 3].map(StateId);
            graph.push(side, 3);
            graph.push(bottom, 2);
            graph.end_row();
            graph.push(bottom, 5);
            graph.end_row();
            // A dead end, which nothing leads to.
            graph.end_row();
            assert_eq!(graph.row(top).count(), 2);
        }
        graph.end_row();
        for _ in 0..3 * count {
            store.push(&[0], StateId(0), NO_OUTCOME);
        }
        store.push(&[0], StateId(0), 1);
        let order = (0..=3 * count).map(StateId).collect();
        (graph, store, order)
    }

    #[test]
    fn rounded_numbers_agree_with_exact_ones() {
        let monitor = Monitor::default();
        let watch = Watch::start(&monitor, &Limits::default());
        let (graph, store, order) = diamonds(2000);
        let (exact, front) = sum_up::<UBig>(&graph, &store, 2, &order, usize::MAX, &watch).unwrap().unwrap();
        assert_eq!(exact, [UBig::ZERO, UBig::from(17_u8).pow(2000)]);
        assert!(front > 1000);
        assert!(sum_up::<UBig>(&graph, &store, 2, &order, 500, &watch).unwrap().is_none());
        let (rounded, _) = sum_up::<Scaled>(&graph, &store, 2, &order, 0, &watch).unwrap().unwrap();
        let (exact, rounded) = (Interleavings::Exact(exact), Interleavings::Rounded(rounded));
        assert!((exact.log10(1).unwrap() - 2000.0 * 17_f64.log10()).abs() < 1e-9);
        assert!((exact.log10(1).unwrap() - rounded.log10(1).unwrap()).abs() < 1e-9);
        assert_eq!((exact.log10(0), rounded.log10(0), rounded.exact(1)), (None, None, None));
        for all in [exact, rounded] {
            assert!(all.share(0).abs() < f64::EPSILON && (all.share(1) - 1.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn scaled_numbers_add_up_across_magnitudes() {
        let number = |value: f64| Scaled::normal(value, 0);
        assert_eq!(number(0.75), Scaled { mantissa: 1.5, exponent: -1 });
        assert_eq!(number(3.0).plus(number(5.0)), number(8.0));
        assert_eq!(number(0.0).plus(number(5.0)), number(5.0));
        let huge = Scaled { mantissa: 1.0, exponent: 5000 };
        assert_eq!(huge.plus(number(1.0)), huge);
        assert_eq!(huge.plus(huge), Scaled { mantissa: 1.0, exponent: 5001 });
        assert!((huge.over(huge.plus(huge)) - 0.5).abs() < f64::EPSILON);
    }
}
