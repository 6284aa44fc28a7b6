//! Tables of the engine as Arrow tables. The schema is explicit: an empty or all-null column has its type all the same.
//!
//! A table is behind the Arrow `PyCapsule` interface, so that every reader of Arrow takes it without a copy.
//!
//! Rejected: the crate pyo3-arrow. It does the same, and casts, sorting, time zones and numpy come with it, which take longer
//! to build than all the rest of the extension.
//!
//! Source: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>.

use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchIterator, StringArray, UInt32Array, UInt64Array};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use tdxexplore_core::{Column, Values};

/// An Arrow table that can be read again and again.
#[pyclass(frozen, module = "tdxexplore._core")]
pub(crate) struct Table {
    batch: RecordBatch,
}

#[pymethods]
impl Table {
    /// A reader converts what it gets if it needs the requested schema: a producer may answer with its own.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(batches)), c"arrow_array_stream")
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&*self.batch.schema()).map_err(|error| internal(&error))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }
}

fn internal(error: &ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Converts a table, column by column.
pub(crate) fn export(columns: Vec<Column>) -> PyResult<Table> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().map(arrow).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    Ok(Table { batch: batch.map_err(|error| internal(&error))? })
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
