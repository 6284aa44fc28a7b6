//! Labelled states: every CPU and package has its number. Traces, schedules and replays are made of these.

pub(crate) mod enabled;
pub(crate) mod machine;
pub(crate) mod replay;
pub(crate) mod schedule;
pub(crate) mod state;
