//! What threads of the engine share, in every order of their steps.
//!
//! The modules that share something are the engine's own files, compiled once more: their `crate::sync` is the one of this package,
//! whose atomics and locks are loom's. Loom runs a few threads again and again, each time with another order of their steps or with
//! another value that a load may see: a relaxed load may see an old value long after a newer one was written, as on hardware that is
//! weaker than x86. What holds in all of these runs holds for these threads, and does not depend on luck.
//!
//! The thread pool is not loom's. [`graph::layers::in_blocks`] stands for it here: two threads, and a barrier behind them.
//!
//! Each function runs one such case, with at most so many preemptions (none for no bound), and returns how many runs there were.
//!
//! Rejected: shuttle, for which every load sees the newest value, so that no ordering could ever be too weak; and `--cfg loom` for
//! the engine as a whole, which compiles all its dependencies a second time and puts a `cfg` into it.
//!
//! Source: B. Norris and B. Demsky, "`CDSChecker`: checking concurrent data structures written with C/C++ atomics" (2013).

mod graph;
mod limits;
#[expect(dead_code, reason = "of the engine's files only what threads share is called")]
mod search;
#[expect(dead_code, reason = "of the engine's files only what threads share is called")]
mod store;
mod sync;

mod bits;
mod interning;
mod marking;
mod opening;

pub use bits::threads_set_bits_of_one_word;
pub use interning::{threads_intern_the_same_values, who_reads_an_id_sees_its_value};
pub use marking::threads_mark_backward;
pub use opening::one_thread_closes_the_last_transition;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Operations on what is shared in one run, at most; a run that loops for ever exceeds it.
const MOST_STEPS: usize = 10_000;

/// Runs threads in every order.
fn every_order(preemptions: Option<usize>, threads: impl Fn() + Send + Sync + 'static) -> usize {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = MOST_STEPS;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        threads();
    });
    runs.load(Relaxed)
}
