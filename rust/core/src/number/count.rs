//! Exact sums of weights that are usually small and sometimes enormous.
//!
//! A concrete total of the orbit space easily exceeds 64 bits and, from some dozens of CPUs, 128 bits. The search computes a
//! weight for each state and adds it up for each transition, so weights and sums have a fixed size as long as they fit.
//!
//! Rejected: big integers throughout. Each takes an allocation.

use dashu_int::UBig;

/// Words of the fixed part of a sum: those of a wide weight, and one for its carries.
const LIMBS: usize = 5;

/// A sum of weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// The sum is this number, with its lowest word first, plus `high`: large weights, and carries out of the highest word.
    low: [u64; LIMBS],
    high: UBig,
}

/// The number of labelled states that a stored state stands for.
#[derive(Debug, Clone)]
pub(crate) enum Weight {
    Small(u64),
    /// Words, the lowest first.
    Wide([u64; 4]),
    Large(UBig),
}

impl Weight {
    /// The product.
    #[inline]
    pub(crate) fn times(&self, other: &Self) -> Self {
        let (left, right) = match (self, other) {
            (Self::Small(left), Self::Small(right)) => {
                let (low, high) = left.carrying_mul(*right, 0);
                return if high == 0 { Self::Small(low) } else { Self::Wide([low, high, 0, 0]) };
            }
            (Self::Wide(wide), Self::Small(small)) | (Self::Small(small), Self::Wide(wide)) => {
                ([*small, 0, 0, 0], *wide)
            }
            (Self::Wide(left), Self::Wide(right)) => (*left, *right),
            _ => return Self::from(self.exact() * other.exact()),
        };
        let mut product = [0; 8];
        for (at, factor) in left.into_iter().enumerate().filter(|(_, factor)| *factor > 0) {
            let mut carry = 0;
            for (limb, sum) in right.into_iter().zip(&mut product[at..]) {
                (*sum, carry) = limb.carrying_mul_add(factor, *sum, carry);
            }
            product[at + right.len()] = carry;
        }
        match product {
            [a, b, c, d, 0, 0, 0, 0] => Self::Wide([a, b, c, d]),
            product => Self::Large(exact(&product)),
        }
    }

    pub(crate) fn exact(&self) -> UBig {
        match self {
            Self::Small(size) => UBig::from(*size),
            Self::Wide(limbs) => exact(limbs),
            Self::Large(size) => size.clone(),
        }
    }
}

impl From<UBig> for Weight {
    fn from(size: UBig) -> Self {
        let bits = bit_length(&size);
        let limb = |at: u32| (&size >> (64 * at as usize)) & UBig::from(u64::MAX);
        let limb = |at: u32| u64::try_from(limb(at)).unwrap_or_default();
        match bits {
            0..=64 => Self::Small(limb(0)),
            65..=256 => Self::Wide([limb(0), limb(1), limb(2), limb(3)]),
            _ => Self::Large(size),
        }
    }
}

/// The number with these words, lowest first.
fn exact(limbs: &[u64]) -> UBig {
    let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    UBig::from_le_bytes(&bytes)
}

/// A number times a word: the low words of the product, and the carry out of them.
#[inline]
fn scaled<const N: usize>(limbs: &[u64; N], factor: u64) -> ([u64; N], u64) {
    let mut carry = 0;
    let product = limbs.map(|limb| {
        let (low, high) = limb.carrying_mul(factor, carry);
        carry = high;
        low
    });
    (product, carry)
}

impl Total {
    /// Adds `times` times the weight.
    #[inline]
    pub(crate) fn add(&mut self, weight: &Weight, times: u32) {
        match weight {
            Weight::Small(size) => {
                let (low, high) = size.carrying_mul(u64::from(times), 0);
                self.add_limbs([low, high, 0, 0, 0]);
            }
            Weight::Wide(limbs) => {
                let ([a, b, c, d], high) = scaled(limbs, u64::from(times));
                self.add_limbs([a, b, c, d, high]);
            }
            Weight::Large(size) => self.high += size * times,
        }
    }

    #[inline]
    fn add_limbs(&mut self, term: [u64; LIMBS]) {
        let mut carry = false;
        for (limb, term) in self.low.iter_mut().zip(term) {
            (*limb, carry) = limb.carrying_add(term, carry);
        }
        if carry {
            self.high += UBig::ONE << (LIMBS * u64::BITS as usize);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.add_limbs(other.low);
        if !other.high.is_zero() {
            self.high += &other.high;
        }
    }

    pub(crate) fn into_exact(self) -> UBig {
        self.high + exact(&self.low)
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

/// `part / whole`; all but the last bits are right, also where neither number fits an `f64`.
#[must_use]
pub(crate) fn ratio(part: &UBig, whole: &UBig) -> f64 {
    const PRECISION: usize = 80;
    /// Quotients below `2^-1000` count as 0: an `f64` hardly reaches further.
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
        let weights = [0, 63, 64, 65, 127, 200, 255, 256, 300].map(|bits| (UBig::ONE << bits) - 1_u8);
        let mut expected = UBig::ZERO;
        for times in (1..100).chain([u32::MAX]) {
            for weight in &weights {
                total.add(&Weight::from(weight.clone()), times);
                expected += weight * times;
            }
        }
        total.add_limbs([u64::MAX; LIMBS]);
        total.add_limbs([u64::MAX; LIMBS]);
        expected += ((UBig::ONE << (64 * LIMBS)) - 1_u8) * 2_u8;
        let mut doubled = total.clone();
        doubled.merge(&total);
        assert_eq!(total.into_exact(), expected);
        assert_eq!(doubled.into_exact(), expected * 2_u8);
    }

    #[test]
    fn the_first_carry_out_of_the_words_makes_a_big_integer() {
        let (mut total, mut one) = (Total::default(), [0; LIMBS]);
        one[0] = 1;
        total.add_limbs([u64::MAX; LIMBS]);
        total.add_limbs(one);
        assert_eq!(total.into_exact(), UBig::ONE << (64 * LIMBS));
    }

    #[test]
    fn products_of_weights_are_exact_at_every_size() {
        let sizes: Vec<UBig> = (0..300).step_by(13).map(|bits| (UBig::ONE << bits) + 3 * bits).collect();
        for (left, right) in sizes.iter().flat_map(|left| sizes.iter().map(move |right| (left, right))) {
            let product = Weight::from(left.clone()).times(&Weight::from(right.clone()));
            assert_eq!(product.exact(), left * right);
            let bits = bit_length(&product.exact());
            assert!(match product {
                Weight::Small(_) => bits <= 64,
                Weight::Wide(_) => bits > 64 && bits <= 256,
                Weight::Large(_) => bits > 256,
            });
        }
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
