//! Tables of the engine as Arrow tables. The schema is explicit: an empty or all-null column has its type all the same.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::PyTable;
use tdxexplore_core::{Column, Values};

/// An Arrow table that can be read again and again.
#[pyclass(frozen, module = "tdxexplore._core")]
pub(crate) struct Table {
    inner: Py<PyTable>,
    rows: usize,
}

#[pymethods]
impl Table {
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__(
        &self,
        py: Python<'_>,
        requested_schema: Option<Bound<'_, PyCapsule>>,
    ) -> PyResult<Py<PyAny>> {
        self.inner.call_method1(py, "__arrow_c_stream__", (requested_schema,))
    }

    fn __arrow_c_schema__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner.call_method0(py, "__arrow_c_schema__")
    }

    fn __len__(&self) -> usize {
        self.rows
    }
}

/// Converts a table, column by column.
pub(crate) fn export(py: Python<'_>, columns: Vec<Column>) -> PyResult<Table> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().map(arrow).unzip();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    let batch = batch.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let rows = batch.num_rows();
    Ok(Table { inner: Py::new(py, PyTable::try_new(vec![batch], schema)?)?, rows })
}

/// The field of a column, which is nullable exactly if its kind of values is, and its array.
fn arrow(column: Column) -> (Field, ArrayRef) {
    let (data_type, nullable, array): (_, _, ArrayRef) = match column.values {
        Values::U32(values) => (DataType::UInt32, false, Arc::new(UInt32Array::from(values))),
        Values::U32OrNone(values) => (DataType::UInt32, true, Arc::new(UInt32Array::from(values))),
        Values::U64(values) => (DataType::UInt64, false, Arc::new(UInt64Array::from(values))),
        Values::F64OrNone(values) => (DataType::Float64, true, Arc::new(Float64Array::from(values))),
        Values::Text(values) => (DataType::Utf8, false, Arc::new(StringArray::from(values))),
        Values::TextOrNone(values) => (DataType::Utf8, true, Arc::new(StringArray::from(values))),
    };
    (Field::new(column.name, data_type, nullable), array)
}
