//! Binomial and multinomial coefficients, exact.

use dashu_int::UBig;

use crate::count::Weight;

/// Pascal's triangle up to a fixed row.
#[derive(Debug)]
pub(super) struct Binomials {
    /// Row `n` starts at `n (n + 1) / 2`.
    triangle: Vec<UBig>,
    /// The same where it fits, else 0.
    small: Vec<u64>,
}

impl Binomials {
    pub(super) fn new(rows: usize) -> Self {
        let mut triangle: Vec<UBig> = vec![UBig::ONE];
        for n in 1..=rows {
            let above = n * (n - 1) / 2;
            triangle.push(UBig::ONE);
            for k in 1..n {
                triangle.push(&triangle[above + k - 1] + &triangle[above + k]);
            }
            triangle.push(UBig::ONE);
        }
        let small = triangle.iter().map(|number| u64::try_from(number).unwrap_or(0)).collect();
        Self { triangle, small }
    }

    pub(super) fn choose(&self, n: u32, k: u32) -> &UBig {
        &self.triangle[index(n, k)]
    }

    /// The same as a weight.
    #[inline]
    pub(super) fn weight(&self, n: u32, k: u32) -> Weight {
        let at = index(n, k);
        if self.small[at] > 0 { Weight::Small(self.small[at]) } else { Weight::from(self.triangle[at].clone()) }
    }
}

fn index(n: u32, k: u32) -> usize {
    (n * (n + 1) / 2 + k) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomials_follow_pascals_triangle() {
        let binomials = Binomials::new(256);
        assert_eq!(*binomials.choose(5, 2), UBig::from(10_u8));
        assert_eq!(*binomials.choose(0, 0), UBig::ONE);
        let row: UBig = (0..=256).map(|k| binomials.choose(256, k).clone()).sum();
        assert_eq!(row, UBig::ONE << 256);
        assert!(matches!(binomials.weight(67, 33), Weight::Small(14_226_520_737_620_288_370)));
        assert!(matches!(binomials.weight(68, 34), Weight::Wide(_)));
    }
}
