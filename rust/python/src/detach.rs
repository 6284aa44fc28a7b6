//! Long calls: the only place that releases the interpreter.
//!
//! The work runs on a thread of its own, while the calling thread waits for it without holding the interpreter. Every [`POLL`]
//! the calling thread attaches for a moment, so that Python can handle signals, which it does on its main thread only. Twice a
//! second, and when another figure is computed, it also calls the progress callback. An interrupt asks the work to stop, and the call returns what the work returns
//! then.
//!
//! Invariant: the worker is joined before anything is returned or raised, and no panic crosses into Python.
//!
//! Rejected: a process-wide signal handler. It belongs to the application, and threads other than the main one would still not
//! see Ctrl-C.
//!
//! Source: `wait_for_future` of datafusion-python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tdxexplore_core::{Monitor, Progress};

use crate::errors::InternalError;

const POLL: Duration = Duration::from_millis(50);
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// The result of a long call.
pub(crate) struct Finished<T> {
    pub(crate) value: T,
    /// Whether Ctrl-C came while it ran.
    pub(crate) interrupted: bool,
}

/// Runs `work`, which must heed `monitor`, without holding the interpreter.
pub(crate) fn detach_with_signals<T: Send>(
    py: Python<'_>,
    monitor: &Monitor,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce() -> T + Send,
) -> PyResult<Finished<T>> {
    let mut observer = Observer { monitor, progress, figure: None, interrupted: false, error: None };
    let result = py.detach(|| {
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let worker = scope.spawn(move || {
                // The receiver outlives the worker, so the value always arrives.
                let _ = sender.send(work());
            });
            // The first call comes early: it tells what the search will need.
            let mut next_progress = Instant::now() + POLL;
            let value = loop {
                match receiver.recv_timeout(POLL) {
                    Ok(value) => break Some(value),
                    Err(RecvTimeoutError::Disconnected) => break None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let begins = observer.figure != monitor.progress().figure;
                let due = begins || Instant::now() >= next_progress;
                if due {
                    next_progress = Instant::now() + PROGRESS_EVERY;
                }
                Python::attach(|py| observer.look(py, due));
            };
            match (worker.join(), value) {
                (Ok(()), Some(value)) => Ok(value),
                (Err(panic), _) => Err(panic_message(panic.as_ref())),
                (Ok(()), None) => Err("the worker ended without a value".to_owned()),
            }
        })
    });
    let value = result.map_err(InternalError::new_err)?;
    observer.call_progress(py);
    match observer.error {
        Some(error) => Err(error),
        None => Ok(Finished { value, interrupted: observer.interrupted }),
    }
}

/// The Python side of a call under way.
struct Observer<'a> {
    monitor: &'a Monitor,
    progress: Option<&'a Py<PyAny>>,
    /// The figure that the last progress call named.
    figure: Option<&'static str>,
    interrupted: bool,
    /// The first exception that is not an interrupt.
    error: Option<PyErr>,
}

impl Observer<'_> {
    fn look(&mut self, py: Python<'_>, progress_due: bool) {
        self.note(py, py.check_signals());
        if progress_due {
            self.call_progress(py);
        }
    }

    fn call_progress(&mut self, py: Python<'_>) {
        if let Some(callback) = self.progress
            && self.error.is_none()
        {
            let progress = self.monitor.progress();
            self.figure = progress.figure;
            let called = counters(py, progress).and_then(|counters| callback.call1(py, (counters,)));
            self.note(py, called.map(drop));
        }
    }

    /// An interrupt, wherever it surfaces, stops the work; any other exception does too and is raised in the end.
    fn note(&mut self, py: Python<'_>, result: PyResult<()>) {
        let Err(error) = result else { return };
        self.monitor.cancel();
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            self.interrupted = true;
        } else {
            self.error.get_or_insert(error);
        }
    }
}

fn counters(py: Python<'_>, progress: Progress) -> PyResult<Bound<'_, PyDict>> {
    let counters = PyDict::new(py);
    counters.set_item("depth", progress.depth)?;
    counters.set_item("explored", progress.explored)?;
    counters.set_item("generated", progress.generated)?;
    counters.set_item("frontier", progress.frontier)?;
    counters.set_item("memory_bytes", progress.memory_bytes)?;
    counters.set_item("seconds", progress.elapsed.as_secs_f64())?;
    counters.set_item("state_bits", progress.plan.state_bits)?;
    counters.set_item("bytes_per_state", progress.plan.bytes_per_state)?;
    counters.set_item("expected_states", progress.plan.expected_states)?;
    counters.set_item("figure", progress.figure)?;
    Ok(counters)
}

/// Runs a short call; a panic becomes the internal error.
pub(crate) fn guard_panics<T>(call: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| InternalError::new_err(panic_message(panic.as_ref())))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the engine panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}
