//! Explicit-state exploration of guarded commands over packages of interchangeable CPUs.
//!
//! A [`Program`] says what may happen, a [`LabelledState`] where it starts, and [`explore`] visits every state
//! that can be reached, in the [orbit space](SpaceKind::Orbit) or with the identity of every CPU. The answer, an
//! [`Exploration`], holds exact totals, the outcomes of all terminal states with the number of interleavings that lead
//! there, and for each outcome a shortest schedule, which [`replay()`] runs step by step.
//!
//! ```
//! use tdxexplore_core::{LabelledState, Monitor, Options, Program, explore, replay};
//!
//! // Each CPU goes up once; when all are up, that is the end.
//! let program = Program::from_json(r#"{
//!     "format": 1, "name": "all up",
//!     "widths": {"global": 0, "package": 0, "cpu": 1},
//!     "fields": [{"name": "up", "scope": "cpu", "offset": 0, "width": 1, "values": ["no", "yes"]}],
//!     "actors": ["hotplug"],
//!     "rules": [{
//!         "actor": 0, "label": "go up", "scope": "cpu",
//!         "guard": {"cpu": {"care": "0x1", "value": "0x0"}},
//!         "effect": {"cpu": {"set": "0x1"}}
//!     }],
//!     "outcomes": [{"name": "done", "severity": 5, "fatal": false, "when": [{}]}]
//! }"#)?;
//! let initial = r#"{"global": "0x0", "packages": [{"word": "0x0", "cpus": ["0x0", "0x0", "0x0"]}]}"#;
//! let initial = LabelledState::from_json(&program, initial)?;
//!
//! let exploration = explore(&program, &initial, &Options::default(), &Monitor::default())?;
//! assert_eq!(exploration.explored, 4); // orbits: 0, 1, 2 or 3 CPUs are up,
//! assert_eq!(exploration.states, 8_u8.into()); // which stand for 2^3 states
//! let done = &exploration.outcomes[0];
//! assert_eq!(done.interleavings, Some(6_u8.into())); // 3! orders
//! assert_eq!(done.schedule.as_deref(), Some("000"));
//! assert_eq!(replay(&program, &initial, "000")?.states[3].packages[0].cpus, [1, 1, 1]);
//! # Ok::<(), tdxexplore_core::Error>(())
//! ```
//!
//! The crate prints nothing, reads no files and knows nothing of what its Programs mean.

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod error;
mod exploration;
mod graph;
mod labelled;
mod limits;
mod measure;
mod number;
pub mod program;
mod progress;
mod search;
mod space;
mod store;

pub use dashu_int::UBig;

pub use error::{Error, ErrorKind};
pub use exploration::{Exploration, LevelRow, Measured, OutcomeRow, PredicateRow, PriceRow, ResponseRow, RuleRow};
pub use labelled::machine::Transition;
pub use labelled::replay::{Replay, replay};
pub use labelled::state::{LabelledPackage, LabelledState};
pub use limits::{Limits, Measure, Reason};
pub use program::{Program, RuleId};
pub use progress::{Monitor, Plan, Progress};
pub use search::{Measuring, Options, explore};
pub use space::{SpaceKind, Symmetry};
