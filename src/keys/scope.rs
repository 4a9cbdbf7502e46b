//! What a key may do.

use crate::jobs::words;

words! {
    /// What a key may do: `read` looks at everything but keys; `infer` asks models; `data` uploads and deletes data
    /// sets; `train` posts jobs, and publishes and deletes models; `admin` does all of it, and manages keys and
    /// webhooks.
    Scope {
        Read = "read",
        Infer = "infer",
        Data = "data",
        Train = "train",
        Admin = "admin",
    }
}

impl Scope {
    /// Whether whoever has this scope may do what needs the other.
    pub fn covers(self, needed: Self) -> bool {
        self == needed || self == Self::Admin
    }
}
