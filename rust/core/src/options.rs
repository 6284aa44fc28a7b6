//! The options of a search, and their JSON form.
//!
//! A caller in another language passes one text, so a new option changes nothing between that caller and the engine.
//!
//! Invariant: a key that is left out has the value of [`Options::default`], and a key that does not exist is an error.

use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::limits::Limits;
use crate::program::read_json;
use crate::space::{SpaceKind, Symmetry};

/// How to explore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How states are represented.
    pub space: SpaceKind,
    /// Which CPUs and packages are interchangeable; [`Symmetry::All`] needs the orbit space.
    pub symmetry: Symmetry,
    /// Threads of the search, at least 1.
    pub threads: usize,
    /// Resources.
    pub limits: Limits,
    /// Whether to compute interleavings, probabilities and responses, which needs the transitions in memory.
    pub measuring: Measuring,
    /// Whether to compute what runs cost, if measures are on.
    pub prices: bool,
}

/// Whether measures are computed. In [`SpaceKind::Bits`] there are none, whatever is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measuring {
    /// They are, if the search is complete.
    #[default]
    On,
    /// They are not, and transitions are not kept.
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            space: SpaceKind::Orbit,
            symmetry: Symmetry::Start,
            threads: 1,
            limits: Limits::default(),
            measuring: Measuring::On,
            prices: false,
        }
    }
}

impl Options {
    /// Fails if a value or a combination of values is not allowed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.threads == 0 {
            return Err(Error::options("threads is 0, at least 1 is needed"));
        }
        if self.limits.max_states == Some(0) {
            return Err(Error::options("max_states is 0, at least the initial state must be stored"));
        }
        if self.symmetry == Symmetry::All && self.space != SpaceKind::Orbit {
            return Err(Error::options(
                "symmetry is `all`, which needs the orbit space; elsewhere only `start` is allowed",
            ));
        }
        Ok(())
    }
}

/// The JSON form: one flat object, with the names that users of the engine know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    space: SpaceKind,
    symmetry: Symmetry,
    threads: usize,
    max_states: Option<u64>,
    max_depth: Option<u32>,
    max_memory: Option<u64>,
    /// In seconds.
    timeout: Option<f64>,
    measures: bool,
    prices: bool,
}

impl Default for Document {
    fn default() -> Self {
        let Options { space, symmetry, threads, limits, measuring, prices } = Options::default();
        let Limits { max_states, max_depth, max_memory, timeout } = limits;
        let (timeout, measures) = (timeout.map(|timeout| timeout.as_secs_f64()), measuring == Measuring::On);
        Self { space, symmetry, threads, max_states, max_depth, max_memory, timeout, measures, prices }
    }
}

impl Options {
    /// Reads the JSON form: an object with the keys `space`, `symmetry`, `threads`, `max_states`, `max_depth`, `max_memory`
    /// (bytes), `timeout` (seconds), `measures` and `prices`.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let document: Document = read_json(text).map_err(|reason| Error::options(format!("options: {reason}")))?;
        let Document { space, symmetry, threads, max_states, max_depth, max_memory, timeout, measures, prices } =
            document;
        let timeout = timeout.map(duration).transpose()?;
        let limits = Limits { max_states, max_depth, max_memory, timeout };
        let measuring = if measures { Measuring::On } else { Measuring::Off };
        Ok(Self { space, symmetry, threads, limits, measuring, prices })
    }
}

pub(crate) fn duration(seconds: f64) -> Result<Duration, Error> {
    let duration = Duration::try_from_secs_f64(seconds);
    duration.map_err(|_| Error::options(format!("timeout is {seconds} s, 0 or more is allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(Options::from_json("{}").unwrap(), Options::default());
        let given = r#"{"space": "concrete", "symmetry": "all", "threads": 3, "max_states": 5, "max_depth": 6, "max_memory": 7, "timeout": 0.5,
            "measures": false, "prices": true}"#;
        let limits = Limits {
            max_states: Some(5),
            max_depth: Some(6),
            max_memory: Some(7),
            timeout: Some(Duration::from_millis(500)),
        };
        let (space, symmetry, measuring) = (SpaceKind::Concrete, Symmetry::All, Measuring::Off);
        let expected = Options { space, symmetry, threads: 3, limits, measuring, prices: true };
        assert_eq!(Options::from_json(given).unwrap(), expected);
        assert_eq!(Options::from_json(r#"{"timeout": null}"#).unwrap(), Options::default());
    }

    #[test]
    fn a_wrong_option_is_named_with_its_value_and_what_is_allowed() {
        for (given, words) in [
            (r#"{"space": "cube"}"#, ["at `space`", "`cube`", "`orbit`"]),
            (r#"{"threads": -1}"#, ["at `threads`", "-1", "usize"]),
            (r#"{"timeout": -1.5}"#, ["timeout", "-1.5 s", "0 or more"]),
            (r#"{"timeout": 1e300}"#, ["timeout", "1000000", "0 or more"]),
            (r#"{"max_stats": 1}"#, ["max_stats", "max_states", "expected"]),
        ] {
            let error = Options::from_json(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Options);
            for word in words {
                assert!(error.to_string().contains(word), "`{error}` lacks `{word}`");
            }
        }
    }
}
