//! Counters of open transitions.

use std::sync::Arc;

use crate::every_order;
use crate::graph::open::Open;
use crate::store::states::StateId;
use crate::sync::AtomicU32;

/// The targets of the transitions that each thread opens and closes.
const TARGETS: [&[u32]; 2] = [&[0, 1, 1, 2], &[1, 0, 3]];

/// Runs both threads and waits for them; returns what each of them found.
fn both(counters: &Arc<Vec<AtomicU32>>, visit: fn(Open<'_>, StateId) -> bool) -> Vec<u32> {
    let threads = TARGETS.map(|targets| {
        let counters = Arc::clone(counters);
        loom::thread::spawn(move || {
            let open = Open(&counters);
            targets.iter().copied().filter(|target| visit(open, StateId(*target))).collect::<Vec<_>>()
        })
    });
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

/// Of the threads that close transitions to a state, exactly one closes the last.
#[must_use]
pub fn one_thread_closes_the_last_transition(preemptions: Option<usize>) -> usize {
    every_order(preemptions, || {
        let counters: Arc<Vec<AtomicU32>> = Arc::new((0..4).map(|_| AtomicU32::new(0)).collect());
        let add = |open: Open<'_>, target| {
            open.add(target);
            false
        };
        assert!(both(&counters, add).is_empty());
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime")]
        let mut closed = both(&counters, |open, target| open.close(target));
        closed.sort_unstable();
        assert_eq!(closed, [0, 1, 2, 3]);
        assert!((0..4).all(|state| Open(&counters).has_none(StateId(state))));
    })
}
