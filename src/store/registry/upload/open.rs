//! An upload that the registry keeps open for us.

use std::time::Duration;

use reqwest::Method;
use tokio::runtime::Handle;
use tracing::debug;

use super::super::end::End;
use super::super::trouble::Trouble;
use super::Session;

/// How long a registry may take to forget an upload.
const LIMIT: Duration = Duration::from_secs(2);

/// An upload that was begun. Whoever drops it on the way, such as by an interrupt, has the registry
/// told that nothing more comes.
pub(super) struct Open<'e> {
    end: &'e End,
    /// Where it goes on.
    pub(super) session: Session,
    is_over: bool,
}

impl<'e> Open<'e> {
    pub(super) fn new(end: &'e End, session: Session) -> Self {
        Self {
            end,
            session,
            is_over: false,
        }
    }

    /// It was completed, or refused.
    pub(super) fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // Nothing is deleted where the registry merely sent us.
        if self.is_over || !self.session.to_registry {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (end, session) = (self.end.clone(), self.session.clone());
        runtime.spawn(async move {
            let ended = tokio::time::timeout(LIMIT, given_up(&end, session)).await;
            debug!(?ended, "an upload was given up");
        });
    }
}

async fn given_up(end: &End, session: Session) -> Result<(), Trouble> {
    let mut call = end.call(Method::DELETE, "").await?;
    call.url = session.url;
    end.host.send(&call).await?.expect(&[202, 204]).await?;
    Ok(())
}
