//! Two threads in the place of the thread pool.

#![allow(unsafe_code)]

use crate::limits::{Reason, Watch};
use crate::store::states::StateId;

/// The graphs here have cycles, and no layers.
#[derive(Debug)]
pub(crate) enum Layers {}

impl Layers {
    pub(crate) fn backwards(&self, _: &Watch<'_>, _: impl Fn(StateId) + Sync) -> Result<(), Reason> {
        match *self {}
    }
}

/// Visits each state: those of the first half in one thread, the others in another.
#[expect(clippy::unnecessary_wraps, reason = "the engine's own may be interrupted")]
pub(crate) fn in_blocks<W>(
    states: usize,
    _: &Watch<'_>,
    workspace: impl Fn() -> W + Sync,
    visit: impl Fn(&mut W, StateId) + Sync,
) -> Result<(), Reason> {
    let half = |states: std::ops::Range<usize>| {
        let mut workspace = workspace();
        states.for_each(|state| visit(&mut workspace, StateId(state as u32)));
    };
    let half: &(dyn Fn(std::ops::Range<usize>) + Sync) = &half;
    // SAFETY: loom has no scoped threads. The thread that gets this reference is joined before the function returns. If a panic
    // comes before, the run is over: loom resumes no thread of it.
    let shared: &'static (dyn Fn(std::ops::Range<usize>) + Sync) = unsafe { std::mem::transmute(half) };
    let other = loom::thread::spawn(move || shared(states / 2..states));
    half(0..states / 2);
    other.join().expect("a panic ends the run");
    Ok(())
}
