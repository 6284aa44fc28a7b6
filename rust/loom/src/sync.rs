//! The types of the engine's `sync`, watched by loom.

use Ordering::{Acquire, Release};
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::PoisonError;

/// Like the standard library's, of which loom has none: whoever sees that it is full sees the value.
///
/// The value itself lies in the real one, as only one thread runs at a time. Whether a thread sees it is up to loom's flag: a thread
/// to which the writing has not happened may see an empty one.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    full: AtomicBool,
    filling: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), full: AtomicBool::new(false), filling: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.full.load(Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let filling = self.filling.lock();
        let set = self.value.set(value);
        if set.is_ok() {
            self.full.store(true, Release);
        }
        drop(filling);
        set
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let filling = self.filling.lock();
        if !self.full.load(Acquire) {
            assert!(self.value.set(make()).is_ok());
            self.full.store(true, Release);
        }
        drop(filling);
        self.value.get().expect("it was full or has been filled")
    }
}
