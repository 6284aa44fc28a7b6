//! Random numbers of one walk: the same ones for the same seed and number of the walk, on any machine.
//!
//! Each walk has a generator of its own, so that it does not matter which thread makes which walk. xoshiro256++ gives the
//! numbers, and splitmix64 its first state.
//!
//! Rejected: a crate of generators. They promise the same numbers only within a version, and a seed is kept in commands.
//!
//! Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2019; Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators", 2014; Lemire, "Fast random integer generation in an interval", 2019.

/// A generator.
#[derive(Debug, Clone)]
pub(super) struct Dice([u64; 4]);

impl Dice {
    /// The generator of one walk.
    pub(super) fn of(seed: u64, walk: u64) -> Self {
        // Both go through the mixer once before they meet: neighbouring seeds and walks have nothing in common.
        let mut state = splitmix(&mut { seed }) ^ walk.rotate_left(32);
        Self([(); 4].map(|()| splitmix(&mut state)))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let sum = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        sum
    }

    /// A number from 0 to `bound` - 1, each equally likely; `bound` is at least 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            // Of the 2^64 draws, those at the lower end of each interval would make some results likelier than others.
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_others_compute() {
        // splitmix64 from 0, and xoshiro256++ from 1, 2, 3, 4: the first outputs of the authors' programs.
        let mut state = 0;
        assert_eq!([(); 2].map(|()| splitmix(&mut state)), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let mut dice = Dice([1, 2, 3, 4]);
        assert_eq!(
            [(); 4].map(|()| dice.bits()),
            [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]
        );
    }

    #[test]
    fn every_number_below_a_bound_is_equally_likely() {
        let mut dice = Dice::of(1, 2);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[dice.below(7) as usize] += 1;
        }
        let chi_square: f64 = seen.iter().map(|count| (f64::from(*count) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi_square < 30.0, "{seen:?}"); // six degrees of freedom: seven standard deviations
    }

    #[test]
    fn neighbouring_seeds_and_walks_differ() {
        let first = |seed, walk| Dice::of(seed, walk).bits();
        let mut all: Vec<u64> = (0..64).flat_map(|seed| (0..64).map(move |walk| first(seed, walk))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 64 * 64);
        assert_eq!(first(3, 4), first(3, 4));
    }
}
