//! The columns of a data set: which roles there are.

/// What a column is to a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is learnt to be represented: every data set has them.
    Rows,
    /// The class of each row.
    Labels,
    /// A number for each row, to regress on.
    Targets,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Rows, Self::Labels, Self::Targets];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Labels => "labels",
            Self::Targets => "targets",
        }
    }
}
