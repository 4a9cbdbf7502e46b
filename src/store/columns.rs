//! How Rust values sit in columns: JSON as text, states as words.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::db::DbRow;
use super::{Result, StoreError};
use crate::jobs::Status;

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn to_json_opt<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(to_json).transpose()
}

pub(super) fn json<T: DeserializeOwned>(row: &DbRow, column: &str) -> Result<T> {
    read_json(column, row.try_get(column)?)
}

pub(super) fn json_opt<T: DeserializeOwned>(row: &DbRow, column: &str) -> Result<Option<T>> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| read_json(column, text)).transpose()
}

pub(super) fn status(row: &DbRow) -> Result<Status> {
    read_status(row.try_get("status")?)
}

pub(super) fn read_status(word: &str) -> Result<Status> {
    Status::parse(word).ok_or_else(|| StoreError::Corrupt(format!("status {word:?}")))
}

fn read_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}
