//! The Python module `tdxexplore._core`: conversions, and nothing else.
//!
//! Everything that decides anything is in `tdxexplore-core`; everything that users see is in the Python package. The
//! docs of the classes are in the stub `python/tdxexplore/_core.pyi`.

mod detach;
mod errors;
mod tables;

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tdxexplore_core::{self as core, LabelledState, Limits, Measuring, Monitor, Options, SpaceKind, Symmetry, UBig};

use crate::detach::{Finished, detach_with_signals, guard_panics};
use crate::errors::to_python;
use crate::tables::Table;

#[pyclass(frozen, module = "tdxexplore._core")]
struct Program(core::Program);

#[pymethods]
impl Program {
    #[new]
    fn new(json: &str) -> PyResult<Self> {
        guard_panics(|| core::Program::from_json(json))?.map(Self).map_err(|error| to_python(&error))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn rule_count(&self) -> usize {
        self.0.rules.len()
    }

    #[pyo3(signature = (
        initial, *, space = "orbit", symmetry = "start", threads = 1, max_states = None, max_depth = None, max_memory = None,
        timeout = None, measures = true, prices = false, progress = None
    ))]
    #[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "the Python signature")]
    fn explore(
        &self,
        py: Python<'_>,
        initial: &str,
        space: &str,
        symmetry: &str,
        threads: usize,
        max_states: Option<u64>,
        max_depth: Option<u32>,
        max_memory: Option<u64>,
        timeout: Option<f64>,
        measures: bool,
        prices: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Exploration> {
        let options = Options {
            space: space_kind(space)?,
            symmetry: symmetry_kind(symmetry)?,
            threads,
            limits: Limits { max_states, max_depth, max_memory, timeout: timeout.map(seconds).transpose()? },
            measuring: if measures { Measuring::On } else { Measuring::Off },
            prices,
        };
        let monitor = Monitor::default();
        let Finished { value, interrupted } = detach_with_signals(py, &monitor, progress.as_ref(), || {
            let initial = LabelledState::from_json(&self.0, initial)?;
            core::explore(&self.0, &initial, &options, &monitor)
        })?;
        Ok(Exploration { inner: value.map_err(|error| to_python(&error))?, interrupted })
    }

    fn replay(&self, initial: &str, schedule: &str) -> PyResult<Replay> {
        let replay = guard_panics(|| {
            let initial = LabelledState::from_json(&self.0, initial)?;
            core::replay(&self.0, &initial, schedule)
        })?;
        replay.map(Replay).map_err(|error| to_python(&error))
    }
}

fn space_kind(name: &str) -> PyResult<SpaceKind> {
    match name {
        "orbit" => Ok(SpaceKind::Orbit),
        "concrete" => Ok(SpaceKind::Concrete),
        "bits" => Ok(SpaceKind::Bits),
        _ => Err(PyValueError::new_err(format!("space is `{name}`, `orbit`, `concrete` and `bits` are allowed"))),
    }
}

fn symmetry_kind(name: &str) -> PyResult<Symmetry> {
    match name {
        "start" => Ok(Symmetry::Start),
        "all" => Ok(Symmetry::All),
        _ => Err(PyValueError::new_err(format!("symmetry is `{name}`, `start` and `all` are allowed"))),
    }
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    let duration = Duration::try_from_secs_f64(seconds);
    duration.map_err(|_| PyValueError::new_err(format!("timeout is {seconds} s, 0 or more is allowed")))
}

#[pyclass(frozen, module = "tdxexplore._core")]
struct Exploration {
    inner: core::Exploration,
    interrupted: bool,
}

#[pymethods]
impl Exploration {
    #[getter]
    fn complete(&self) -> bool {
        self.inner.incomplete.is_none()
    }

    #[getter]
    fn reason(&self) -> Option<String> {
        self.inner.incomplete.map(|reason| reason.to_string())
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.interrupted
    }

    #[getter]
    fn cyclic(&self) -> Option<bool> {
        self.inner.measured.map(|measured| measured.cyclic)
    }

    #[getter]
    fn diverging(&self) -> Option<f64> {
        self.inner.measured.and_then(|measured| measured.diverging)
    }

    #[getter]
    fn log10_error(&self) -> Option<f64> {
        self.inner.measured.and_then(|measured| measured.log10_error)
    }

    #[getter]
    fn states(&self) -> String {
        self.inner.states.to_string()
    }

    #[getter]
    fn transitions(&self) -> String {
        self.inner.transitions.to_string()
    }

    #[getter]
    fn explored(&self) -> u64 {
        self.inner.explored
    }

    #[getter]
    fn generated(&self) -> u64 {
        self.inner.generated
    }

    #[getter]
    fn depth(&self) -> u32 {
        self.inner.depth
    }

    #[getter]
    fn state_bits(&self) -> u64 {
        self.inner.state_bits
    }

    #[getter]
    fn memory_bytes(&self) -> u64 {
        self.inner.memory_bytes
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.inner.elapsed.as_secs_f64()
    }

    #[getter]
    fn threads(&self) -> usize {
        self.inner.threads
    }

    fn outcomes(&self, py: Python<'_>) -> PyResult<Table> {
        tables::outcomes(py, &self.inner)
    }

    fn invariants(&self, py: Python<'_>) -> PyResult<Table> {
        tables::predicates(py, "invariant", "violating_states", &self.inner.invariants)
    }

    fn responses(&self, py: Python<'_>) -> PyResult<Table> {
        tables::responses(py, &self.inner)
    }

    fn prices(&self, py: Python<'_>) -> PyResult<Table> {
        tables::prices(py, &self.inner)
    }

    fn expectations(&self, py: Python<'_>) -> PyResult<Table> {
        tables::predicates(py, "expectation", "states", &self.inner.expectations)
    }

    fn levels(&self, py: Python<'_>) -> PyResult<Table> {
        tables::levels(py, &self.inner)
    }

    fn rules(&self, py: Python<'_>) -> PyResult<Table> {
        tables::rules(py, &self.inner)
    }
}

/// Global word, package words, CPU words of each package.
type Words = (u128, Vec<u64>, Vec<Vec<u64>>);
/// Rule, package or -1, CPU or -1.
type Step = (u32, i64, i64);

#[pyclass(frozen, module = "tdxexplore._core")]
struct Replay(core::Replay);

#[pymethods]
impl Replay {
    #[getter]
    fn steps(&self) -> Vec<Step> {
        self.0.steps.iter().map(step).collect()
    }

    #[getter]
    fn states(&self) -> Vec<Words> {
        self.0.states.iter().map(words).collect()
    }

    #[getter]
    fn terminal(&self) -> bool {
        self.0.is_terminal()
    }

    #[getter]
    fn outcome(&self) -> Option<usize> {
        self.0.outcome
    }

    #[getter]
    fn enabled(&self) -> Vec<Step> {
        self.0.enabled.iter().map(step).collect()
    }
}

fn step(transition: &core::Transition) -> Step {
    let or_none = |id: Option<usize>| id.map_or(-1, |id| id as i64);
    (transition.rule.0, or_none(transition.package), or_none(transition.cpu))
}

fn words(state: &LabelledState) -> Words {
    let packages = state.packages.iter().map(|package| package.word).collect();
    let cpus = state.packages.iter().map(|package| package.cpus.clone()).collect();
    (state.global, packages, cpus)
}

/// Decimal digits: no Arrow integer is wide enough.
fn decimal(number: &UBig) -> String {
    number.to_string()
}

#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::errors::{BadModel, BadSchedule, InternalError, Trap};
    #[pymodule_export]
    use super::tables::Table;
    #[pymodule_export]
    use super::{Exploration, Program, Replay};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
