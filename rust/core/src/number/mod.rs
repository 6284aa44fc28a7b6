//! Numbers: exact sums and weights, remainders of large integers, floating point with a wide exponent, binomial coefficients.
//!
//! This folder knows nothing of states, graphs or Programs.

pub(crate) mod binomial;
pub(crate) mod count;
pub(crate) mod residues;
pub(crate) mod scaled;
