//! One page of a list, and how it knows that there are more.

/// What a page of a list holds, in the list's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub has_more: bool,
}

/// How many rows to ask for: one more than wanted tells whether there are more.
pub(super) fn rows_for(limit: u32) -> i64 {
    i64::from(limit) + 1
}

impl<T> Page<T> {
    /// Of the rows that `rows_for(limit)` brought.
    pub(super) fn of(mut rows: Vec<T>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Self {
            items: rows,
            has_more,
        }
    }
}
