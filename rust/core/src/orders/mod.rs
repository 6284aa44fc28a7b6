//! Conditions on the order of steps: which of them the runs of an unfolded graph meet, and which tell runs apart.
//!
//! [`Orders`] is a graph whose transitions are events. [`Orders::observe`] looks at every run, so that what it says is a proof;
//! [`Table`] looks at some runs, so that what it finds is a guess. Which events there are, and what conditions may be guessed, the
//! caller says.

pub(crate) mod beam;
pub(crate) mod condition;
pub(crate) mod events;
pub(crate) mod examples;
pub(crate) mod observe;
mod observer;
