//! Exact sums of numbers that are usually small and sometimes enormous.
//!
//! A concrete total of the orbit space easily exceeds 64 bits and, from some dozens of CPUs, 128 bits. Sums are kept
//! in a `u128` as long as they fit.

use dashu_int::UBig;

/// A sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// What has not been carried into `high` yet.
    low: u128,
    high: UBig,
}

/// How many labelled states a state stands for.
#[derive(Debug, Clone)]
pub(crate) enum Weight {
    Small(u64),
    Large(UBig),
}

impl Total {
    /// Adds `times` times the weight.
    #[inline]
    pub(crate) fn add(&mut self, weight: &Weight, times: u32) {
        match weight {
            Weight::Small(size) => self.add_small(u128::from(*size) * u128::from(times)),
            Weight::Large(size) => self.high += size * times,
        }
    }

    #[inline]
    fn add_small(&mut self, term: u128) {
        if let Some(low) = self.low.checked_add(term) {
            self.low = low;
        } else {
            self.high += self.low;
            self.low = term;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.add_small(other.low);
        if !other.high.is_zero() {
            self.high += &other.high;
        }
    }

    pub(crate) fn into_exact(self) -> UBig {
        self.high + self.low
    }
}

/// The decimal logarithm; none of zero.
#[must_use]
pub(crate) fn log10(number: &UBig) -> Option<f64> {
    let bits = bit_length(number);
    if bits == 0 {
        return None;
    }
    let excess = bits.saturating_sub(64);
    let leading = u64::try_from(number >> excess).unwrap_or(u64::MAX);
    Some((leading as f64).log10() + excess as f64 * std::f64::consts::LOG10_2)
}

/// `part / whole`, correct to the last bits even where neither fits an `f64`.
#[must_use]
pub(crate) fn ratio(part: &UBig, whole: &UBig) -> f64 {
    const PRECISION: usize = 80;
    /// Bits below the point that an `f64` can reach, with a margin.
    const SMALLEST: usize = 1000;
    // The quotient has about `PRECISION` bits, and the point is `shift` bits from its end.
    let shift = (PRECISION + bit_length(whole)).saturating_sub(bit_length(part));
    if part.is_zero() || shift > SMALLEST {
        return 0.0;
    }
    let quotient = (part << shift) / whole;
    quotient.to_f64().value() / 2_f64.powi(shift as i32)
}

fn bit_length(number: &UBig) -> usize {
    use dashu_int::ops::BitTest;
    number.bit_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_carries_into_big_integers() {
        let mut total = Total::default();
        let huge = Weight::Large(UBig::ONE << 200);
        let small = Weight::Small(u64::MAX);
        let mut expected = UBig::ZERO;
        for times in 1..100 {
            total.add(&huge, times);
            total.add(&small, u32::MAX);
            expected += (UBig::ONE << 200) * times + UBig::from(u64::MAX) * u32::MAX;
        }
        total.add_small(u128::MAX);
        total.add_small(u128::MAX);
        expected += UBig::from(u128::MAX) * 2_u8;
        let mut doubled = total.clone();
        doubled.merge(&total);
        assert_eq!(total.into_exact(), expected);
        assert_eq!(doubled.into_exact(), expected * 2_u8);
    }

    #[test]
    fn logarithms_and_ratios_hold_for_numbers_beyond_f64() {
        let huge = UBig::from(10_u8).pow(1000);
        assert!((log10(&huge).unwrap() - 1000.0).abs() < 1e-9);
        assert_eq!(log10(&UBig::ZERO), None);
        assert_eq!(log10(&UBig::ONE), Some(0.0));
        assert!((ratio(&huge, &(&huge * 3_u8)) - 1.0 / 3.0).abs() < 1e-16);
        for (part, whole, expected) in [(&huge, &huge, 1.0), (&UBig::ZERO, &huge, 0.0), (&UBig::ONE, &huge, 0.0)] {
            assert!((ratio(part, whole) - expected).abs() < f64::EPSILON);
        }
    }
}
