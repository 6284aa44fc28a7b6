//! Where states are kept: their contents, the set of those that were visited, and the memory below both.

pub(crate) mod account;
pub(crate) mod interner;
pub(crate) mod memory;
pub(crate) mod states;
pub(crate) mod table;
pub(crate) mod visited;
