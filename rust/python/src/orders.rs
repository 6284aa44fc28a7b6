//! Conditions on the order of steps: arrays of integers in, tables out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use tdxexplore_core::{self as core, Condition, Monitor, Observing, PACKED};

use crate::detach::{Finished, detach_with_signals};
use crate::tables::{self, Table};

#[pyclass(frozen, module = "tdxexplore._core")]
pub(crate) struct Orders(pub(crate) core::Orders);

#[pymethods]
impl Orders {
    #[pyo3(signature = (causes, most, *, any_of = false, count = false, within = None))]
    #[expect(clippy::needless_pass_by_value, reason = "the Python signature")]
    fn observe(
        &self,
        py: Python<'_>,
        causes: Vec<Vec<[i32; PACKED]>>,
        most: usize,
        any_of: bool,
        count: bool,
        within: Option<&[u8]>,
    ) -> PyResult<Option<Observed>> {
        let causes = causes.iter().map(|cause| cause.iter().map(condition).collect());
        let causes: Vec<Vec<Condition>> = causes.collect::<PyResult<_>>()?;
        let within: Option<Vec<bool>> = within.map(|flags| flags.iter().map(|flag| *flag != 0).collect());
        let how = Observing { any_of, count, within: within.as_deref(), most };
        let found = long(py, |monitor| self.0.observe(&causes, how, monitor))?;
        Ok(found.map(Observed))
    }

    fn examples(this: Py<Self>, named: u32, candidates: &[u8], costs: &[u8]) -> PyResult<Examples> {
        let candidates: Vec<Condition> = rows(candidates)?.iter().map(condition).collect::<PyResult<_>>()?;
        let costs = rows(costs)?.into_iter().map(|cost: [i32; 3]| cost.map(i32::cast_unsigned));
        let table = this.get().0.table(named, candidates.into_iter().zip(costs));
        Ok(Examples { orders: this, table: Mutex::new(table) })
    }
}

/// Runs a call that heeds the monitor.
fn long<T: Send>(py: Python<'_>, call: impl FnOnce(&Monitor) -> T + Send) -> PyResult<T> {
    let monitor = Monitor::default();
    let Finished { value, interrupted } = detach_with_signals(py, &monitor, None, || call(&monitor))?;
    if interrupted { Err(PyKeyboardInterrupt::new_err(())) } else { Ok(value) }
}

fn condition(fields: &[i32; PACKED]) -> PyResult<Condition> {
    Condition::from_packed(fields).ok_or_else(|| PyValueError::new_err(format!("no condition: {fields:?}")))
}

/// Rows of integers of 32 bits.
fn rows<const WIDTH: usize>(bytes: &[u8]) -> PyResult<Vec<[i32; WIDTH]>> {
    let numbers = integers(bytes)?;
    let rows = numbers.chunks(WIDTH).map(<[i32; WIDTH]>::try_from);
    rows.collect::<Result<_, _>>().map_err(|_| PyValueError::new_err(format!("rows of {WIDTH} numbers")))
}

/// Integers of 32 bits, as this machine writes them.
pub(crate) fn integers(bytes: &[u8]) -> PyResult<Vec<i32>> {
    let words = bytes.chunks(4).map(|word| word.try_into().map(i32::from_ne_bytes));
    words.collect::<Result<_, _>>().map_err(|_| PyValueError::new_err("numbers of 4 bytes"))
}

#[pyclass(frozen, module = "tdxexplore._core")]
pub(crate) struct Observed(core::Observed);

#[pymethods]
impl Observed {
    #[getter]
    fn nodes(&self) -> usize {
        self.0.nodes()
    }

    fn ends(&self) -> PyResult<Table> {
        tables::export(self.0.end_columns())
    }

    fn ways(&self) -> PyResult<Table> {
        tables::export(self.0.node_columns())
    }

    fn path(&self, node: usize) -> Vec<u32> {
        self.0.path(node)
    }
}

#[pyclass(frozen, module = "tdxexplore._core")]
pub(crate) struct Examples {
    orders: Py<Orders>,
    table: Mutex<core::Examples>,
}

#[pymethods]
impl Examples {
    #[expect(clippy::needless_pass_by_value, reason = "the Python signature")]
    fn add(&self, run: Vec<u32>, bad: bool, by: Option<u16>) {
        self.orders.get().0.add(&mut self.table(), &run, bad, by);
    }

    fn single(&self, py: Python<'_>, most: usize) -> PyResult<Option<Vec<usize>>> {
        long(py, |monitor| self.table().single(most, monitor))
    }

    fn several(&self, py: Python<'_>, most: usize) -> PyResult<(usize, Vec<Vec<usize>>)> {
        long(py, |monitor| self.table().several(most, monitor))
    }

    fn shared(&self, py: Python<'_>, most: usize) -> PyResult<Vec<usize>> {
        long(py, |monitor| self.table().shared(most, monitor))
    }
}

impl Examples {
    fn table(&self) -> MutexGuard<'_, core::Examples> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
