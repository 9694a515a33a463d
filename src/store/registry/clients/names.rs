//! Where names lead.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::policy::{is_metadata, is_public};
use super::super::shown;

/// Who says where names lead: the program that uses us, or the system.
#[derive(Clone)]
pub(in super::super) struct Names(pub(in super::super) Option<Arc<dyn Resolve>>);

impl Names {
    /// The addresses of a name, with a port.
    pub(in super::super) async fn look_up(
        &self,
        name: Name,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        Ok(match &self.0 {
            Some(own) => own.resolve(name).await?.collect(),
            None => tokio::net::lookup_host((name.as_str(), port))
                .await?
                .collect(),
        })
    }
}

/// Finds public addresses only, whatever a name resolves to (S-32).
pub(super) struct PublicOnly {
    pub(super) names: Names,
    /// Whether private ones count, too; those of a cloud's metadata never do.
    pub(super) private: bool,
    /// Proxies, which usually have other addresses.
    pub(super) except: Vec<String>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_string();
        let mut except = self.except.iter();
        let is_proxy = except.any(|proxy| proxy.eq_ignore_ascii_case(&host));
        let (names, private) = (self.names.clone(), self.private);
        let may_be_asked = move |ip| is_public(ip) || (private && !is_metadata(ip));
        Box::pin(async move {
            let mut found = names.look_up(name, 0).await?;
            found.retain(|address| is_proxy || may_be_asked(address.ip()));
            if found.is_empty() {
                let what = format!("{} has no public address", shown::text(&host));
                return Err(what.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
