//! Rows of a data set as a verb's input.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape;
use super::shape::dims;
use crate::api::datasets::{read_rows, rows_there};
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::inference::Input;
use crate::keys::Scope;
use crate::store::Dataset;

/// Rows of a data set as input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsRef {
    /// Id or name.
    pub dataset: String,
    #[serde(default = "train")]
    #[schema(default = "train")]
    pub split: String,
    #[serde(default)]
    pub offset: u64,
    /// Rows. More than 4096 are streamed, and answered as `application/x-ndjson` or `application/x-npy`.
    /// Default 16.
    #[serde(default = "sixteen")]
    #[schema(minimum = 1, default = 16)]
    pub limit: u64,
}

fn train() -> String {
    "train".to_owned()
}

const fn sixteen() -> u64 {
    16
}

impl RowsRef {
    /// The data set that the rows are of, which has rows of the shape that is asked for.
    pub async fn dataset(&self, app: &AppState, row: &[i64]) -> Result<Dataset> {
        app.caller.require_scope(Scope::Read)?;
        let found = app.dataset(&self.dataset).await;
        let dataset = found.map_err(|problem| problem.at("/rows/dataset"))?;
        shape::check_stored(&dims(dataset.shape()), &dims(row))
            .map_err(|rule| Problem::field("/rows/dataset", rule))?;
        Ok(dataset)
    }

    /// How many of them there are.
    pub fn count(&self, dataset: &Dataset) -> u64 {
        rows_there(dataset, &self.split, self.offset, self.limit)
    }

    pub async fn read(&self, app: &AppState, dataset: &Dataset) -> Result<Input> {
        let slice = read_rows(app, dataset, &self.split, self.offset, self.limit, "/rows/").await?;
        Ok(Input {
            rows: slice.rows,
            values: slice.values,
            labels: slice.labels,
        })
    }
}
