//! The engine's bits.

#[path = "../../core/src/search/bits/row.rs"]
pub(crate) mod row;
