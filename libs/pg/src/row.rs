//! Values of a row, read without a panic.
//!
//! A column can have another type than this program was written for: a release migrates the schema while the one before
//! still runs. That fails one transaction; `tokio_postgres::Row::get` would end the task, and a lint bans it.

use std::fmt::Display;

use tokio_postgres::{Row, row::RowIndex, types::FromSql};

use crate::Error;

/// Reads the columns of a row.
pub trait Columns {
    /// Returns the value of a column, by its name or its index.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the column is missing, has another type, or is NULL where `T` cannot be.
    fn column<'a, T, I>(&'a self, column: I) -> Result<T, Error>
    where
        T: FromSql<'a>,
        I: RowIndex + Display;
}

impl Columns for Row {
    fn column<'a, T, I>(&'a self, column: I) -> Result<T, Error>
    where
        T: FromSql<'a>,
        I: RowIndex + Display,
    {
        self.try_get(&column)
            .map_err(|error| Error::Unreadable { column: column.to_string(), source: Box::new(error) })
    }
}
