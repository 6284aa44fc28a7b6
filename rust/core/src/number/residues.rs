//! Integers of any size, represented by their remainders modulo several numbers of 64 bits.
//!
//! Sums and products are computed on the remainders, each modulus on its own, at a cost that does not depend on the integer. The
//! moduli are pairwise coprime, so the remainders determine every integer below the product of the moduli; it is put together
//! at the end. A modulus is `2^64 - c` with a small `c`, so that reducing takes two multiplications and no division.
//!
//! Source: the Chinese remainder theorem; Knuth, *The Art of Computer Programming* 2, section 4.3.2.

use dashu_int::UBig;

/// A modulus: `2^64 - c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modulus {
    /// Odd, and below 2^20.
    c: u64,
}

impl Modulus {
    /// Every modulus exceeds `2^63`, so `n` of them determine all integers of `63 n` bits.
    const BITS: usize = 63;

    /// The number of moduli that determine every integer below `2^bits`.
    pub(crate) fn needed(bits: usize) -> usize {
        bits.div_ceil(Self::BITS).max(1)
    }

    /// The first `count` moduli: of the smallest possible `c`.
    pub(crate) fn first(count: usize) -> Vec<Self> {
        let mut moduli: Vec<Self> = Vec::with_capacity(count);
        for c in (1..).step_by(2) {
            if moduli.len() == count {
                break;
            }
            // A common divisor divides the difference.
            let modulus = Self { c };
            if moduli.iter().all(|other| gcd(modulus.value(), c - other.c) == 1) {
                moduli.push(modulus);
            }
        }
        moduli
    }

    fn value(self) -> u64 {
        self.c.wrapping_neg()
    }

    /// The remainder of a number.
    #[inline]
    pub(crate) fn reduce(self, number: u128) -> u64 {
        let c = u128::from(self.c);
        // 2^64 is c: 128 bits fold to 84, and these to a little more than 64.
        let fold = |number: u128| (number >> u64::BITS) * c + u128::from(number as u64);
        let number = fold(fold(number));
        let value = u128::from(self.value());
        (if number >= value { number - value } else { number }) as u64
    }
}

/// The smallest number with these remainders: Garner's form of the Chinese remainder theorem.
pub(crate) fn combine(remainders: impl Iterator<Item = (Modulus, u64)>) -> UBig {
    let (mut number, mut product) = (UBig::ZERO, UBig::ONE);
    for (modulus, remainder) in remainders {
        let m = modulus.value();
        // How often the product of the moduli so far has to be added to make the remainder right.
        let missing = modulus.reduce(u128::from(remainder) + u128::from(m - &number % m));
        let times = modulus.reduce(u128::from(missing) * u128::from(inverse(&product % m, m)));
        number += &product * times;
        product *= m;
    }
    number
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The number whose product with `a`, which is coprime to `m`, is 1 modulo `m`.
fn inverse(a: u64, m: u64) -> u64 {
    let (mut old, mut new) = ((i128::from(m), 0), (i128::from(a), 1));
    while new.0 > 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    old.1.rem_euclid(i128::from(m)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moduli_are_coprime_and_remainders_right() {
        let moduli = Modulus::first(100);
        for (at, modulus) in moduli.iter().enumerate() {
            assert!(moduli[..at].iter().all(|other| gcd(modulus.value(), other.value()) == 1));
            let m = u128::from(modulus.value());
            for number in [0, 1, m - 1, m, m + 1, m * m - 1, m * m, u128::MAX, u128::MAX / 3, 1 << 64, (1 << 64) - 1] {
                assert_eq!(u128::from(modulus.reduce(number)), number % m);
            }
        }
        assert!(Modulus::first(1024).iter().all(|modulus| modulus.c < 1 << 20));
    }

    #[test]
    fn integers_are_put_together_from_their_remainders() {
        for bits in [0, 1, 62, 63, 64, 65, 200, 1000, 5000] {
            for number in [(UBig::ONE << bits) - 1_u8, UBig::from(3_u8).pow(bits * 5 / 8)] {
                let moduli = Modulus::first(Modulus::needed(bits));
                let remainders = moduli.iter().map(|modulus| (*modulus, &number % modulus.value()));
                assert_eq!(combine(remainders), number);
            }
        }
    }
}
