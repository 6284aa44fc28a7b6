//! Results as Arrow tables with explicit schemas: an empty or all-null column has its type all the same.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tdxexplore_core::{Exploration, PredicateRow};

use crate::decimal;
use crate::table::Table;

/// A column under construction.
struct Column {
    field: Field,
    values: ArrayRef,
}

impl Column {
    fn u32(name: &str, values: impl Iterator<Item = u32>) -> Self {
        Self::new(name, DataType::UInt32, false, Arc::new(UInt32Array::from_iter_values(values)))
    }

    fn u32_or_null(name: &str, values: impl Iterator<Item = Option<u32>>) -> Self {
        Self::new(name, DataType::UInt32, true, Arc::new(values.collect::<UInt32Array>()))
    }

    fn u64(name: &str, values: impl Iterator<Item = u64>) -> Self {
        Self::new(name, DataType::UInt64, false, Arc::new(UInt64Array::from_iter_values(values)))
    }

    fn f64_or_null(name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        Self::new(name, DataType::Float64, true, Arc::new(values.collect::<Float64Array>()))
    }

    fn text(name: &str, values: impl Iterator<Item = String>) -> Self {
        Self::new(name, DataType::Utf8, false, Arc::new(StringArray::from_iter_values(values)))
    }

    fn text_or_null(name: &str, values: impl Iterator<Item = Option<String>>) -> Self {
        Self::new(name, DataType::Utf8, true, Arc::new(values.collect::<StringArray>()))
    }

    fn new(name: &str, data_type: DataType, nullable: bool, values: ArrayRef) -> Self {
        Self { field: Field::new(name, data_type, nullable), values }
    }
}

fn table(columns: Vec<Column>) -> PyResult<Table> {
    let (fields, values): (Vec<_>, Vec<_>) = columns.into_iter().map(|column| (column.field, column.values)).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), values);
    let batch = batch.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    Ok(Table::new(batch))
}

pub(crate) fn outcomes(exploration: &Exploration) -> PyResult<Table> {
    let rows = exploration.outcomes.iter();
    table(vec![
        Column::u32("outcome", rows.clone().map(|row| row.outcome as u32)),
        Column::text("terminal_states", rows.clone().map(|row| decimal(&row.terminal_states))),
        Column::u64("explored_terminals", rows.clone().map(|row| row.explored_terminals)),
        Column::text_or_null("interleavings", rows.clone().map(|row| row.interleavings.as_ref().map(decimal))),
        Column::f64_or_null("log10_interleavings", rows.clone().map(|row| row.log10_interleavings)),
        Column::f64_or_null("interleaving_share", rows.clone().map(|row| row.interleaving_share)),
        Column::f64_or_null("probability", rows.clone().map(|row| row.probability)),
        Column::u32("shortest_steps", rows.clone().map(|row| row.shortest_steps)),
        Column::text_or_null("schedule", rows.map(|row| row.schedule.clone())),
    ])
}

/// Invariants or expectations: `key` names the column of their index, `states` that of the states in which they are
/// violated or met.
pub(crate) fn predicates(key: &str, states: &str, rows: &[PredicateRow]) -> PyResult<Table> {
    table(vec![
        Column::u32(key, 0..rows.len() as u32),
        Column::text(states, rows.iter().map(|row| decimal(&row.states))),
        Column::u32_or_null("shortest_steps", rows.iter().map(|row| row.shortest_steps)),
        Column::text_or_null("schedule", rows.iter().map(|row| row.schedule.clone())),
    ])
}

/// `shut` lists facts as `field=value` by index, separated by spaces.
pub(crate) fn responses(exploration: &Exploration) -> PyResult<Table> {
    let rows = exploration.responses.iter();
    let shut = |facts: &[(usize, usize)]| {
        facts.iter().map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
    };
    table(vec![
        Column::u32("response", 0..rows.len() as u32),
        Column::text("trapped_states", rows.clone().map(|row| decimal(&row.states))),
        Column::u32_or_null("shortest_steps", rows.clone().map(|row| row.shortest_steps)),
        Column::text_or_null("schedule", rows.clone().map(|row| row.schedule.clone())),
        Column::text("shut", rows.map(|row| shut(&row.shut))),
    ])
}

pub(crate) fn prices(exploration: &Exploration) -> PyResult<Table> {
    let rows = exploration.prices.iter();
    table(vec![
        Column::u32("outcome", rows.clone().map(|row| row.outcome as u32)),
        Column::u32("price", rows.clone().map(|row| row.price as u32)),
        Column::text_or_null("total", rows.clone().map(|row| row.total.as_ref().map(decimal))),
        Column::f64_or_null("mean", rows.clone().map(|row| Some(row.mean))),
        Column::u64("least", rows.clone().map(|row| row.least)),
        Column::u64("most", rows.map(|row| row.most)),
    ])
}

pub(crate) fn levels(exploration: &Exploration) -> PyResult<Table> {
    let rows = exploration.levels.iter();
    table(vec![
        Column::u32("depth", 0..rows.len() as u32),
        Column::u64("explored", rows.clone().map(|row| row.explored)),
        Column::text("states", rows.clone().map(|row| decimal(&row.states))),
        Column::u64("generated", rows.map(|row| row.generated)),
    ])
}

pub(crate) fn rules(exploration: &Exploration) -> PyResult<Table> {
    let rows = exploration.rules.iter();
    table(vec![
        Column::u32("rule", 0..rows.len() as u32),
        Column::u64("fired", rows.clone().map(|row| row.fired)),
        Column::text("transitions", rows.map(|row| decimal(&row.transitions))),
    ])
}
