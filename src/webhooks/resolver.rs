//! Looking names up, for the HTTP client: it is given only addresses that may be reached, and it
//! connects to these and no others, so a name cannot come to mean something else in between.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::target::Reach;

#[derive(Debug, Error)]
#[error("the host's addresses are of this machine or of a private network")]
pub struct Forbidden;

pub struct DnsResolver {
    pub reach: Reach,
}

impl Resolve for DnsResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            // The client puts the port in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|at| reach.allows(at.ip())).collect();
            if open.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}
