//! Explicit-state exploration of guarded commands over packages of interchangeable CPUs.
//!
//! A [`Program`] is a list of guarded commands, and a [`LabelledState`] says where it starts. [`explore`] visits every state that
//! can be reached, in the [orbit space](SpaceKind::Orbit) or with the [identity of every CPU](SpaceKind::Concrete). The answer,
//! an [`Exploration`], holds exact totals, the outcomes of all terminal states with the number of interleavings that lead
//! there, and for each outcome a shortest schedule, which [`replay()`] runs step by step. Where there are too many states to visit,
//! [`walk()`] makes random runs, and the answer, [`Walks`], says what they met.
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
//! The crate prints nothing, reads no files and knows nothing of the meaning of its Programs. `docs/engine.md` explains how its
//! parts fit together.

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod columns;
mod error;
mod exploration;
mod graph;
mod labelled;
mod limits;
mod measure;
mod number;
mod options;
mod orders;
pub mod program;
mod progress;
mod search;
mod space;
mod store;
mod sync;
mod walk;

pub use dashu_int::UBig;

pub use columns::{Column, Values};
pub use error::{Error, ErrorKind};
pub use exploration::{Exploration, LevelRow, OutcomeRow, PredicateRow, RuleRow};
pub use labelled::machine::Transition;
pub use labelled::replay::{Replay, replay};
pub use labelled::state::{LabelledPackage, LabelledState};
pub use labelled::unfold::{Unfolded, unfold};
pub use limits::{Limits, Reason};
pub use measure::{Measured, PriceRow, ResponseRow};
pub use options::{Measuring, Options};
pub use orders::condition::{Condition, PACKED};
pub use orders::events::Orders;
pub use orders::examples::Table as Examples;
pub use orders::observe::{Observed, Observing};
pub use program::{Program, RuleId};
pub use progress::{Monitor, Plan, Progress};
pub use search::explore;
pub use space::{SpaceKind, Symmetry};
pub use walk::{MetRow, Scheduling, WalkOptions, Walks, walk};
