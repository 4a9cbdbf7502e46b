//! A minibatch: the same rows of every column that a split has, as tensors.

use tch::Tensor;

use super::Role;

/// One minibatch. Each column is read by its role.
pub struct Batch {
    rows: Tensor,
    /// What goes with the rows: at most one column a role.
    others: Vec<(Role, Tensor)>,
}

impl Batch {
    pub fn new(rows: Tensor) -> Self {
        Self {
            rows,
            others: Vec::new(),
        }
    }

    /// The same batch with this column, in place of another of its role.
    #[must_use]
    pub fn with(mut self, role: Role, column: Tensor) -> Self {
        if role == Role::Rows {
            self.rows = column;
            return self;
        }
        self.others.retain(|(other, _)| *other != role);
        self.others.push((role, column));
        self
    }

    /// `[batch, features]` f32, in model units.
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// `[batch]` i64, where the data set has them.
    pub fn labels(&self) -> Option<&Tensor> {
        self.column(Role::Labels)
    }

    /// `[batch]` f64, where the data set has them.
    pub fn targets(&self) -> Option<&Tensor> {
        self.column(Role::Targets)
    }

    fn column(&self, role: Role) -> Option<&Tensor> {
        let mut columns = self.columns();
        columns.find(|(other, _)| *other == role).map(|(_, c)| c)
    }

    /// Every column, the rows first.
    pub fn columns(&self) -> impl Iterator<Item = (Role, &Tensor)> {
        let others = self.others.iter().map(|(role, column)| (*role, column));
        std::iter::once((Role::Rows, &self.rows)).chain(others)
    }

    /// Another batch of the same columns, each changed in the same way: a share of its rows, say.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            rows: change(&self.rows),
            others: (self.others.iter())
                .map(|(role, column)| (*role, change(column)))
                .collect(),
        }
    }

    /// The rows of several batches in one, with the columns that all of them have; none of none.
    pub fn joined(batches: &[Self]) -> Option<Self> {
        let (first, _) = batches.split_first()?;
        let join = |role| {
            let parts: Option<Vec<&Tensor>> = batches.iter().map(|b| b.column(role)).collect();
            Some((role, Tensor::cat(&parts?, 0)))
        };
        let columns = first.columns().filter_map(|(role, _)| join(role));
        Some(
            columns.fold(Self::new(Tensor::new()), |batch, (role, column)| {
                batch.with(role, column)
            }),
        )
    }
}
