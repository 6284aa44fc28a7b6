//! Exact binomial coefficients: orbit sizes are products of them.

use dashu_int::UBig;

use crate::number::count::Weight;

/// Pascal's triangle up to a fixed row, computed once.
#[derive(Debug)]
pub(crate) struct Binomials {
    /// The rows one after the other; row `n` starts at index `n (n + 1) / 2`.
    triangle: Vec<Weight>,
}

impl Binomials {
    /// All coefficients of `n` up to `rows`.
    pub(crate) fn new(rows: usize) -> Self {
        let mut triangle: Vec<UBig> = vec![UBig::ONE];
        for n in 1..=rows {
            let above = n * (n - 1) / 2;
            triangle.push(UBig::ONE);
            for k in 1..n {
                triangle.push(&triangle[above + k - 1] + &triangle[above + k]);
            }
            triangle.push(UBig::ONE);
        }
        Self { triangle: triangle.into_iter().map(Weight::from).collect() }
    }

    /// The number of subsets of size `k` of a set of size `n`.
    #[inline]
    pub(crate) fn choose(&self, n: u32, k: u32) -> &Weight {
        &self.triangle[(n * (n + 1) / 2 + k) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomials_follow_pascals_triangle() {
        let binomials = Binomials::new(256);
        assert_eq!(binomials.choose(5, 2).exact(), UBig::from(10_u8));
        assert_eq!(binomials.choose(0, 0).exact(), UBig::ONE);
        let row: UBig = (0..=256).map(|k| binomials.choose(256, k).exact()).sum();
        assert_eq!(row, UBig::ONE << 256);
        assert!(matches!(binomials.choose(67, 33), Weight::Small(14_226_520_737_620_288_370)));
        assert!(matches!(binomials.choose(68, 34), Weight::Wide(_)));
    }
}
