//! Where states are kept: their words by id, the set of those that were visited, interned parts, and the memory below them.
//!
//! Everything here that grows counts its own bytes: a limit on memory is kept by adding these up.

pub(crate) mod account;
pub(crate) mod interner;
pub(crate) mod memory;
pub(crate) mod states;
pub(crate) mod table;
pub(crate) mod visited;
