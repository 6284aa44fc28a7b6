//! The one place where errors of the engine become Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tdxexplore_core::{Error, ErrorKind};

create_exception!(
    tdxexplore._core,
    BadModel,
    PyValueError,
    "A Program or an initial state that the engine cannot run."
);
create_exception!(
    tdxexplore._core,
    BadSchedule,
    PyValueError,
    "A schedule that cannot be read or does not fit the Program."
);
create_exception!(
    tdxexplore._core,
    Trap,
    BadModel,
    "A Program that is wrong about itself in a reachable state; `schedule` leads there."
);
create_exception!(tdxexplore._core, InternalError, PyRuntimeError, "A defect of the engine itself.");

/// Maps an error by its kind.
pub(crate) fn to_python(error: &Error) -> PyErr {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::Program | ErrorKind::Initial => BadModel::new_err(message),
        ErrorKind::Schedule => BadSchedule::new_err(message),
        ErrorKind::Trap => Python::attach(|py| {
            let trap = Trap::new_err(message);
            match trap.value(py).setattr("schedule", error.schedule_to_state()) {
                Ok(()) => trap,
                Err(failed) => failed,
            }
        }),
        // ErrorKind::Options, and whatever may be added.
        _ => PyValueError::new_err(message),
    }
}
