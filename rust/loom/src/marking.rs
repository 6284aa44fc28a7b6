//! Marks that sweeps carry backward.

use crate::every_order;
use crate::graph::Graph;
use crate::graph::backward::mark_backward;
use crate::limits::Watch;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;

/// The way from 0 to the marked state, 1, goes up and down; no way leads there from 3.
const GRAPH: &[&[u32]] = &[&[2], &[0], &[1, 3], &[3]];

/// Sweeps of two threads end with the least fixed point: a mark that a thread has not seen is found by the next sweep.
#[must_use]
pub fn threads_mark_backward(preemptions: Option<usize>) -> usize {
    every_order(preemptions, || {
        let marks: Vec<AtomicBool> = (0..GRAPH.len()).map(|state| AtomicBool::new(state == 1)).collect();
        mark_backward(&marks, &Graph(GRAPH), None, &Watch::new()).unwrap();
        let marked: Vec<bool> = marks.iter().map(|mark| mark.load(Relaxed)).collect();
        assert_eq!(marked, [true, true, true, false]);
    })
}
