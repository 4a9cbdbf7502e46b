//! What a training job is told that was taken but may not be what was meant.

use serde_json::Value;

use crate::document::Warning;
use crate::families::Family;
use crate::nn::model::DataFacts;

/// Of a job with this settled spec; `told` is what the data set was told when it was uploaded.
pub fn of(family: &Family, spec: &Value, facts: &DataFacts, told: &[Warning]) -> Vec<Warning> {
    let code = (family.bottleneck)(spec, facts).ok().flatten();
    let wide = code.filter(|code| *code >= facts.features()).map(|code| {
        let features = facts.features();
        let detail = format!(
            "the code has {code} values and a row {features}: the model can copy its rows, and learns nothing of them"
        );
        Warning::new("code_as_wide_as_rows", "/model", detail)
    });
    let scales = told
        .iter()
        .find(|warning| warning.code == "scales_differ")
        .filter(|_| family.weighs_by_scale && !facts.is_unit_interval())
        .map(|warning| {
            let kind = family.kind;
            let detail = format!(
                "{}; {kind} takes the columns as they are, so that those of the greatest scale decide: standardise \
                them before the upload",
                warning.detail
            );
            Warning::new("scales_differ", "/dataset", detail)
        });
    wide.into_iter().chain(scales).collect()
}
