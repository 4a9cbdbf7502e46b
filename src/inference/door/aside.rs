//! Versions that somebody had dropped from memory and nobody asked for since.

use std::collections::VecDeque;

/// The oldest first.
#[derive(Default)]
pub(in crate::inference) struct SetAside(VecDeque<(String, i64)>);

/// Versions remembered. Forgetting one makes it look ready, which it is: it is loaded when asked.
const MOST: usize = 4096;

impl SetAside {
    pub fn put(&mut self, name: &str, version: i64) {
        self.take_up(name, version);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((name.to_owned(), version));
    }

    pub fn take_up(&mut self, name: &str, version: i64) {
        self.0.retain(|(n, v)| n != name || *v != version);
    }

    pub fn holds(&self, name: &str, version: i64) -> bool {
        self.0.iter().any(|(n, v)| n == name && *v == version)
    }
}
