//! Who is answered: hosts and origins first, then keys.
//!
//! Each operation says in the one table that makes the router and the OpenAPI document what a key needs for it, and
//! what its path names. A route without that does not compile, and a path that is in no table is for `admin` alone.

mod address;
mod audit;
mod caller;
mod check;
pub mod hosts;
mod keyring;
mod needs;
mod operations;
mod policy;

pub use audit::record;
pub use caller::Caller;
pub use check::{Admitted, admit};
pub use keyring::Keyring;
pub use needs::{About, Needs, Rows, SCHEMES};
pub use operations::Operations;
pub use policy::Access;
