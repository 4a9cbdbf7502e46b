//! All that a request is held against before a handler sees it.

use super::hosts::Hosts;
use super::keyring::Keyring;
use super::needs::Rows;
use crate::config::Network;

/// What requests are held against before a handler sees them.
pub struct Access {
    pub hosts: Hosts,
    pub keyring: Keyring,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<Network>,
    pub operations: Rows,
}
