//! Binomial and multinomial coefficients, exact.

use dashu_int::UBig;

/// Pascal's triangle up to a fixed row.
#[derive(Debug)]
pub(super) struct Binomials {
    /// Row `n` starts at `n (n + 1) / 2`.
    triangle: Vec<UBig>,
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
        Self { triangle }
    }

    pub(super) fn choose(&self, n: u32, k: u32) -> &UBig {
        &self.triangle[(n * (n + 1) / 2 + k) as usize]
    }
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
    }
}
