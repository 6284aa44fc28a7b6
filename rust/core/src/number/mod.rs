//! Numbers: exact counts, remainders of large ones, floating point with an exponent of its own, binomial coefficients.

pub(crate) mod binomial;
pub(crate) mod count;
pub(crate) mod residues;
pub(crate) mod scaled;
