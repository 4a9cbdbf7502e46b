//! How Rust values sit in columns: enums as words, JSON as text; and a new row, each column beside its value.

use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::types::Json;
use sqlx::{Decode, Encode, Row, Type};

use super::db::{Arguments, Db, DbRow, TypeInfo, ValueRef};
use super::events::EventKind;
use crate::jobs::{DeliveryStatus, Status, Task};

macro_rules! word_columns {
    ($($kind:ty),+) => {$(
        impl Type<Db> for $kind {
            fn type_info() -> TypeInfo {
                <str as Type<Db>>::type_info()
            }
        }

        impl Encode<'_, Db> for $kind {
            fn encode_by_ref(&self, arguments: &mut Arguments) -> Result<IsNull, BoxDynError> {
                Encode::<Db>::encode(self.as_str(), arguments)
            }
        }

        impl Decode<'_, Db> for $kind {
            fn decode(value: ValueRef<'_>) -> Result<Self, BoxDynError> {
                let word = <&str as Decode<Db>>::decode(value)?;
                Self::parse(word).ok_or_else(|| format!("{word:?}").into())
            }
        }
    )+};
}

word_columns!(Status, Task, DeliveryStatus, EventKind);

/// The statement that adds a row: `insert!("table" { column: value })`, and what SQL follows, if any does.
macro_rules! insert {
    ($table:literal { $first:ident: $value:expr $(, $column:ident: $more:expr)* $(,)? } $($rest:literal)?) => {
        sqlx::query(concat!(
            "INSERT INTO ", $table, " (", stringify!($first) $(, ", ", stringify!($column))*,
            ") VALUES (?" $(, insert!(@placeholder $column))*, ") " $(, $rest)?
        ))
        .bind($value)
        $(.bind($more))*
    };
    (@placeholder $column:ident) => { ", ?" };
}

pub(super) use insert;

pub(super) fn json<T: DeserializeOwned>(row: &DbRow, column: &str) -> sqlx::Result<T> {
    row.try_get(column).map(|Json(value)| value)
}
