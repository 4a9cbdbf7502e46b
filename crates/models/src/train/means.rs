//! Metrics of a batch, and their means over an epoch or a split.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Means over a batch, by metric name.
#[derive(Debug, Clone, Default)]
pub struct Report(pub Vec<(&'static str, f64)>);

/// Row-weighted means of metrics; a metric that is not in every report counts the rows of those it
/// is in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Means(BTreeMap<String, (f64, u64)>);

impl Means {
    pub fn add(&mut self, report: &Report, rows: u64) {
        for &(name, value) in &report.0 {
            let (sum, count) = self.0.entry(name.to_owned()).or_default();
            *sum += value * rows as f64;
            *count += rows;
        }
    }

    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0
            .iter()
            .map(|(name, (sum, count))| (name.as_str(), sum / (*count).max(1) as f64))
    }

    /// All of them, by name.
    pub fn told(&self) -> Vec<(String, f64)> {
        self.values().map(|(n, v)| (n.to_owned(), v)).collect()
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.values().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}
