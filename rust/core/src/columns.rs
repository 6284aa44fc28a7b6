//! Tables of an answer: named columns of plain values, made from rows.
//!
//! Each kind of row describes its columns beside its definition, and whoever shows an answer converts [`Values`] without knowing
//! what they mean. So a new table, or a new column, touches no code outside the module that computes it.
//!
//! Invariant: all columns of a table have the same length, and a column has the same kind of values in every answer, also in an
//! empty one.
//!
//! Rejected: Arrow arrays. They would tie the engine to one table format and its versions.

use dashu_int::UBig;

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, unique within the table.
    pub name: &'static str,
    /// One value for each row.
    pub values: Values,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Indices and numbers of steps.
    U32(Vec<u32>),
    /// The same; none where there is no answer.
    U32OrNone(Vec<Option<u32>>),
    /// Counts.
    U64(Vec<u64>),
    /// Real numbers; none where there is no answer.
    F64OrNone(Vec<Option<f64>>),
    /// Texts, and integers of any size as decimal digits.
    Text(Vec<String>),
    /// The same; none where there is no answer.
    TextOrNone(Vec<Option<String>>),
}

impl Column {
    pub(crate) fn u32(name: &'static str, values: impl Iterator<Item = u32>) -> Self {
        Self { name, values: Values::U32(values.collect()) }
    }

    /// Indices into the Program.
    pub(crate) fn index(name: &'static str, values: impl Iterator<Item = usize>) -> Self {
        Self::u32(name, values.map(|value| value as u32))
    }

    pub(crate) fn u32_or_none(name: &'static str, values: impl Iterator<Item = Option<u32>>) -> Self {
        Self { name, values: Values::U32OrNone(values.collect()) }
    }

    pub(crate) fn u64(name: &'static str, values: impl Iterator<Item = u64>) -> Self {
        Self { name, values: Values::U64(values.collect()) }
    }

    pub(crate) fn f64_or_none(name: &'static str, values: impl Iterator<Item = Option<f64>>) -> Self {
        Self { name, values: Values::F64OrNone(values.collect()) }
    }

    pub(crate) fn text(name: &'static str, values: impl Iterator<Item = String>) -> Self {
        Self { name, values: Values::Text(values.collect()) }
    }

    pub(crate) fn text_or_none(name: &'static str, values: impl Iterator<Item = Option<String>>) -> Self {
        Self { name, values: Values::TextOrNone(values.collect()) }
    }

    /// Integers of any size, as decimal digits: no table format has integers that are wide enough.
    pub(crate) fn decimal<'r>(name: &'static str, values: impl Iterator<Item = &'r UBig>) -> Self {
        Self::text(name, values.map(UBig::to_string))
    }

    pub(crate) fn decimal_or_none<'r>(name: &'static str, values: impl Iterator<Item = Option<&'r UBig>>) -> Self {
        Self::text_or_none(name, values.map(|value| value.map(UBig::to_string)))
    }
}
