//! The Python module `tdxexplore._core`: conversions, and nothing else.
//!
//! `tdxexplore-core` decides, and the Python package presents. Programs, initial states and options come in as JSON, tables go
//! out as Arrow ([`tables`]); neither direction knows the single names, so a new option or column changes nothing here. The stub
//! `python/tdxexplore/_core.pyi` documents the classes.

mod detach;
mod errors;
mod orders;
mod tables;

use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tdxexplore_core::{self as core, LabelledState, Monitor, Options, WalkOptions};

use crate::detach::{Finished, detach_with_signals, guard_panics};
use crate::errors::{InternalError, to_python};
use crate::orders::{Orders, integers};
use crate::tables::Table;

#[pyclass(frozen, module = "tdxexplore._core")]
struct Program(core::Program);

#[pymethods]
impl Program {
    #[new]
    fn new(json: &str) -> PyResult<Self> {
        guard_panics(|| core::Program::from_json(json))?.map(Self).map_err(|error| to_python(&error))
    }

    /// The options cross as JSON, as the Program and the initial state do: the engine reads and checks all of them.
    #[pyo3(signature = (initial, *, progress = None, **options))]
    #[expect(clippy::needless_pass_by_value, reason = "the Python signature")]
    fn explore(
        &self,
        py: Python<'_>,
        initial: &str,
        progress: Option<Py<PyAny>>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Exploration> {
        let options = Options::from_json(&as_json(py, options)?).map_err(|error| to_python(&error))?;
        let monitor = Monitor::default();
        let Finished { value, interrupted } = detach_with_signals(py, &monitor, progress.as_ref(), || {
            let initial = LabelledState::from_json(&self.0, initial)?;
            core::explore(&self.0, &initial, &options, &monitor)
        })?;
        Ok(Exploration { inner: value.map_err(|error| to_python(&error))?, interrupted })
    }

    #[pyo3(signature = (initial, *, progress = None, **options))]
    #[expect(clippy::needless_pass_by_value, reason = "the Python signature")]
    fn walk(
        &self,
        py: Python<'_>,
        initial: &str,
        progress: Option<Py<PyAny>>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Walks> {
        let options = WalkOptions::from_json(&as_json(py, options)?).map_err(|error| to_python(&error))?;
        let monitor = Monitor::default();
        let Finished { value, interrupted } = detach_with_signals(py, &monitor, progress.as_ref(), || {
            let initial = LabelledState::from_json(&self.0, initial)?;
            core::walk(&self.0, &initial, &options, &monitor)
        })?;
        Ok(Walks { inner: value.map_err(|error| to_python(&error))?, interrupted })
    }

    fn replay(&self, initial: &str, schedule: &str) -> PyResult<Replay> {
        let replay = guard_panics(|| {
            let initial = LabelledState::from_json(&self.0, initial)?;
            core::replay(&self.0, &initial, schedule)
        })?;
        replay.map(Replay).map_err(|error| to_python(&error))
    }

    fn unfold(&self, py: Python<'_>, initial: &str, max_states: usize) -> PyResult<Option<Unfolded>> {
        let monitor = Monitor::default();
        let Finished { value, interrupted } = detach_with_signals(py, &monitor, None, || {
            let initial = LabelledState::from_json(&self.0, initial)?;
            Ok(core::unfold(&self.0, &initial, max_states, &monitor))
        })?;
        if interrupted {
            return Err(PyKeyboardInterrupt::new_err(()));
        }
        Ok(value.map_err(|error| to_python(&error))?.map(|unfolded| Unfolded(Arc::new(unfolded))))
    }
}

fn as_json(py: Python<'_>, options: Option<Bound<'_, PyDict>>) -> PyResult<String> {
    match options {
        Some(options) => py.import("json")?.call_method1("dumps", (options,))?.extract(),
        None => Ok("{}".to_owned()),
    }
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
        self.measured(|measured| measured.cyclic)
    }

    #[getter]
    fn log10_error(&self) -> Option<f64> {
        self.measured(|measured| measured.log10_error).flatten()
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

    fn outcomes(&self) -> PyResult<Table> {
        self.table("outcomes")
    }

    fn invariants(&self) -> PyResult<Table> {
        self.table("invariants")
    }

    fn expectations(&self) -> PyResult<Table> {
        self.table("expectations")
    }

    fn responses(&self) -> PyResult<Table> {
        self.table("responses")
    }

    fn prices(&self) -> PyResult<Table> {
        self.table("prices")
    }

    fn levels(&self) -> PyResult<Table> {
        self.table("levels")
    }

    fn rules(&self) -> PyResult<Table> {
        self.table("rules")
    }
}

impl Exploration {
    fn table(&self, name: &str) -> PyResult<Table> {
        let columns =
            self.inner.table(name).ok_or_else(|| InternalError::new_err(format!("there is no table `{name}`")))?;
        tables::export(columns)
    }

    fn measured<T>(&self, figure: impl Fn(&core::Measured) -> T) -> Option<T> {
        self.inner.measured.as_ref().map(figure)
    }
}

#[pyclass(frozen, module = "tdxexplore._core")]
struct Walks {
    inner: core::Walks,
    interrupted: bool,
}

#[pymethods]
impl Walks {
    #[getter]
    fn reason(&self) -> Option<String> {
        self.inner.incomplete.map(|reason| reason.to_string())
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.interrupted
    }

    #[getter]
    fn walks(&self) -> u64 {
        self.inner.walks
    }

    #[getter]
    fn cut(&self) -> u64 {
        self.inner.cut
    }

    #[getter]
    fn steps(&self) -> u64 {
        self.inner.steps
    }

    #[getter]
    fn longest(&self) -> u32 {
        self.inner.longest
    }

    #[getter]
    fn actors(&self) -> u32 {
        self.inner.actors
    }

    #[getter]
    fn bounded(&self) -> u64 {
        self.inner.bounded
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.inner.elapsed.as_secs_f64()
    }

    fn outcomes(&self) -> PyResult<Table> {
        self.table("outcomes")
    }

    fn invariants(&self) -> PyResult<Table> {
        self.table("invariants")
    }

    fn expectations(&self) -> PyResult<Table> {
        self.table("expectations")
    }
}

impl Walks {
    fn table(&self, name: &str) -> PyResult<Table> {
        let columns =
            self.inner.table(name).ok_or_else(|| InternalError::new_err(format!("there is no table `{name}`")))?;
        tables::export(columns)
    }
}

#[pyclass(frozen, module = "tdxexplore._core")]
struct Unfolded(Arc<core::Unfolded>);

#[pymethods]
impl Unfolded {
    fn states(&self) -> PyResult<Table> {
        tables::export(self.0.state_columns())
    }

    fn transitions(&self) -> PyResult<Table> {
        tables::export(self.0.transition_columns())
    }

    fn orders(&self, marks: &[u8]) -> PyResult<Orders> {
        let found = core::Orders::new(Arc::clone(&self.0), &integers(marks)?);
        found.map(Orders).ok_or_else(|| PyValueError::new_err("a cycle, or rows that are not as long as transitions"))
    }

    fn words(&self, state: usize) -> PyResult<Words> {
        let found = self.0.states.get(state);
        found.map(|state| words(state)).ok_or_else(|| PyIndexError::new_err(format!("there is no state {state}")))
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

#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::errors::{BadModel, BadSchedule, InternalError, Trap};
    #[pymodule_export]
    use super::orders::{Examples, Observed, Orders};
    #[pymodule_export]
    use super::tables::Table;
    #[pymodule_export]
    use super::{Exploration, Program, Replay, Unfolded, Walks};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        module.add("BUILD", format!("{profile}, {} {}", std::env::consts::ARCH, std::env::consts::OS))
    }
}
