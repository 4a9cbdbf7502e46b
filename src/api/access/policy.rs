//! All that a request is held against before a handler sees it.

use axum::extract::Request;

use super::address;
use super::hosts::Hosts;
use super::keyring::Keyring;
use super::needs::Rows;
use crate::api::prefix;
use crate::config::Network;

/// What requests are held against before a handler sees them.
pub struct Access {
    pub hosts: Hosts,
    pub keyring: Keyring,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<Network>,
    pub operations: Rows,
    /// Where a proxy shows the service, unless it says so itself.
    pub base_path: String,
}

impl Access {
    /// The path under which whoever asks finds the service; mostly there is none.
    pub fn prefix(&self, request: &Request) -> Option<String> {
        if !self.trusted_proxies.is_empty()
            && address::is_from(request.extensions(), &self.trusted_proxies)
            && let Some(said) = prefix::forwarded(request.headers())
        {
            return (!said.is_empty()).then_some(said);
        }
        (!self.base_path.is_empty()).then(|| self.base_path.clone())
    }
}
