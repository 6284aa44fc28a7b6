//! Labelled states, in which every CPU and package has its number: initial states, traces, schedules and replays.

pub(crate) mod enabled;
pub(crate) mod machine;
pub(crate) mod replay;
pub(crate) mod schedule;
pub(crate) mod state;
pub(crate) mod unfold;
