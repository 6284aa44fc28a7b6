//! Floating-point numbers with an exponent of 64 bits, and a bound on their error.
//!
//! Interleavings of large models exceed the range of an `f64` and, beyond [exact integers](super::residues), are only computed so.
//! Every operation is rounded once, to nearest, so the error of a number follows from the number of roundings that it went
//! through one after the other.
//!
//! Source: Higham, *Accuracy and Stability of Numerical Algorithms* (2002), section 3.1, for `n u / (1 - n u)`.

use std::f64::consts::{LOG10_2, LOG10_E};

/// `mantissa * 2^exponent`, with a mantissa from 1 to below 2, or zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Scaled {
    mantissa: f64,
    exponent: i64,
}

/// The bits after the point of a mantissa.
const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
/// The stored exponent of an `f64` from 1 to below 2.
const BIAS: i64 = f64::MAX_EXP as i64 - 1;
/// The largest relative error of one rounding.
const UNIT: f64 = f64::EPSILON / 2.0;

impl Scaled {
    pub(crate) const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    /// Brings the mantissa into its range, which is exact. It must be zero, or positive and normal.
    #[inline]
    fn normal(mantissa: f64, exponent: i64) -> Self {
        if mantissa == 0.0 {
            return Self::default();
        }
        let shift = (mantissa.to_bits() >> FRACTION) as i64 - BIAS;
        let mantissa = f64::from_bits(mantissa.to_bits() & ((1 << FRACTION) - 1) | 1_f64.to_bits());
        Self { mantissa, exponent: exponent + shift }
    }

    /// The product, rounded once.
    #[inline]
    pub(crate) fn times(self, factor: u16) -> Self {
        Self::normal(self.mantissa * f64::from(factor), self.exponent)
    }

    /// The sum, rounded once.
    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (large, small) = if other.mantissa == 0.0 || (self.mantissa != 0.0 && self.exponent >= other.exponent) {
            (self, other)
        } else {
            (other, self)
        };
        if small.mantissa == 0.0 {
            return large;
        }
        // A number that is far below the last digit of the larger one does not change it.
        let difference = (small.exponent - large.exponent).max(-200);
        Self::normal(large.mantissa + small.mantissa * 2_f64.powi(difference as i32), large.exponent)
    }

    /// The quotient as an `f64`. It must be below `2^1000`, and is 0 if it is too small for an `f64`.
    pub(crate) fn over(self, other: Self) -> f64 {
        let difference = (self.exponent - other.exponent).clamp(-2000, 1000);
        // In two steps, since the power alone may be too small for an `f64`.
        let half = 2_f64.powi(difference as i32 / 2);
        self.mantissa / other.mantissa * half * 2_f64.powi(difference as i32 - difference as i32 / 2)
    }

    /// The decimal logarithm; none of zero.
    pub(crate) fn log10(self) -> Option<f64> {
        (self.mantissa > 0.0).then(|| self.mantissa.log10() + self.exponent as f64 * LOG10_2)
    }

    /// A bound on the error of [`log10`](Self::log10), if the number comes from sums and products of positive numbers with at
    /// most `roundings` roundings one after the other.
    ///
    /// Each rounding changes a number by a factor from `1 - u` to `1 + u`, and a sum of positive numbers changes by no larger
    /// factor than its terms. So n roundings change the natural logarithm by at most `n u / (1 - n u)`. The logarithm itself is
    /// rounded four times: constant, product, library function and sum.
    pub(crate) fn log10_error(self, roundings: usize) -> f64 {
        let shift = roundings as f64 * UNIT;
        let shown = self.log10().unwrap_or(0.0).abs();
        LOG10_E * shift / (1.0 - shift).max(UNIT) + 4.0 * UNIT * (shown + 1.0)
    }

    /// A bound on the bits of the exact number, if at most `2^50` roundings came one after the other.
    pub(crate) fn bits(self) -> usize {
        if self.mantissa == 0.0 { 0 } else { usize::try_from(self.exponent).unwrap_or(0) + 2 }
    }

    /// The number as two words.
    #[inline]
    pub(crate) fn to_words(self) -> [u64; 2] {
        [self.mantissa.to_bits(), self.exponent.cast_unsigned()]
    }

    /// The number of these two words.
    #[inline]
    pub(crate) fn from_words(words: [u64; 2]) -> Self {
        Self { mantissa: f64::from_bits(words[0]), exponent: words[1].cast_signed() }
    }
}

#[cfg(test)]
impl Scaled {
    /// The integer part, of a number from 2^53 up all of it.
    pub(crate) fn exact(self) -> dashu_int::UBig {
        // A mantissa is the integer of its fraction bits, and the one above them.
        let digits = dashu_int::UBig::from(self.mantissa.to_bits() & ((1 << FRACTION) - 1) | 1 << FRACTION);
        let shift = self.exponent - i64::from(FRACTION);
        let places = shift.unsigned_abs() as usize;
        if shift >= 0 { digits << places } else { digits >> places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_across_magnitudes() {
        let number = |value: f64| Scaled::normal(value, 0);
        assert_eq!(number(0.75), Scaled { mantissa: 1.5, exponent: -1 });
        assert_eq!(number(3.0).plus(number(5.0)), number(8.0));
        assert_eq!(number(1.0).times(0), number(0.0));
        assert_eq!(number(1.5).times(6), number(9.0));
        for (left, right) in [(0.0, 5.0), (5.0, 0.0), (0.0, 0.25), (0.25, 0.0)] {
            assert_eq!(number(left).plus(number(right)), number(left + right));
        }
        let huge = Scaled { mantissa: 1.0, exponent: 1 << 40 };
        assert_eq!(huge.plus(number(1.0)), huge);
        assert_eq!(huge.plus(huge), huge.times(2));
        assert!((huge.over(huge.plus(huge)) - 0.5).abs() < f64::EPSILON);
        assert!(number(1.0).over(huge).abs() < f64::MIN_POSITIVE);
        assert_eq!(Scaled::from_words(huge.to_words()), huge);
        assert_eq!((huge.bits(), number(0.0).bits(), number(7.0).bits()), ((1 << 40) + 2, 0, 4));
    }

    #[test]
    fn an_error_grows_with_roundings_and_with_the_logarithm() {
        assert!((number_error(0, 0) - 4.0 * UNIT).abs() < UNIT);
        let thousand = number_error(1000, 0);
        assert!(thousand > 1000.0 * UNIT * LOG10_E && thousand < 1100.0 * UNIT);
        assert!(number_error(0, 1 << 20) > f64::from(1 << 20) * LOG10_2 * UNIT);
    }

    fn number_error(roundings: usize, exponent: i64) -> f64 {
        Scaled { mantissa: 1.0, exponent }.log10_error(roundings)
    }
}
