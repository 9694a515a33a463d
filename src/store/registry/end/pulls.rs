//! Reading manifests where the registry counts that.

use reqwest::Method;
use reqwest::header::ACCEPT;
use tracing::debug;

use super::super::quota::{InFlight, May};
use super::super::trouble::Trouble;
use super::{End, accepted};
use crate::error::Result;

impl End {
    /// Waits until one more manifest may be read: while too few pulls are left, one of all who want
    /// any looks now and then whether there are more, by a question about this manifest, which is
    /// free. No other try helps whoever is refused.
    pub(super) async fn may_pull(&self, path: &str) -> Result<InFlight<'_>, Trouble> {
        let pulls = &self.host.gate.pulls;
        let registry = &self.host.registry;
        match pulls.may(registry) {
            May::Pull(pull) => return Ok(pull),
            May::No(error) => return Err(error.into()),
            May::AfterOthers | May::Wait => {}
        }
        let mut waited = pulls.waited.lock().await;
        loop {
            match pulls.may(registry) {
                May::Pull(pull) => return Ok(pull),
                May::No(error) => return Err(error.into()),
                May::AfterOthers => {
                    pulls.landed().await;
                    continue;
                }
                May::Wait => {}
            }
            let Some(pause) = pulls.pause(*waited) else {
                continue;
            };
            debug!(registry, ?waited, "waiting for more pulls");
            tokio::time::sleep(pause).await;
            *waited += pause;
            if let Err(trouble) = self.look_at_quota(path).await {
                debug!(error = %trouble.error, "cannot tell how many pulls are left");
            }
        }
    }

    /// A question whose answer tells, in its head, how many pulls are left.
    async fn look_at_quota(&self, path: &str) -> Result<(), Trouble> {
        let mut call = self.call(Method::HEAD, path).await?;
        call.headers.insert(ACCEPT, accepted());
        self.host.send(&call).await?;
        Ok(())
    }
}
