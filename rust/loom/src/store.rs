//! The engine's store, as far as threads share it.

#[path = "../../core/src/store/interner.rs"]
pub(crate) mod interner;
#[path = "../../core/src/store/states.rs"]
pub(crate) mod states;
#[path = "../../core/src/store/table.rs"]
mod table;

/// A prefetch shares nothing.
mod memory {
    pub(crate) fn prefetch<T>(_: &[T], _: usize) {}
}
