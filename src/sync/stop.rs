//! Ending a run early, from outside.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

/// Tells a run that it is to end. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Option<String>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Ends the run: copies that are under way are given up, and what is not done is put off. `why` is
    /// a clause for the report: `"it was interrupted"`. Only the first one counts.
    pub fn now(&self, why: impl Into<String>) {
        self.0.send_if_modified(|reason| {
            let is_first = reason.is_none();
            reason.get_or_insert_with(|| why.into());
            is_first
        });
    }

    /// Why the run is to end, if it is.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Waits until somebody wants it to end.
    pub async fn asked(&self) -> String {
        let mut heard = self.0.subscribe();
        loop {
            if let Some(why) = heard.borrow_and_update().clone() {
                return why;
            }
            // The sender is ours, so it does not go away.
            let _ = heard.changed().await;
        }
    }

    /// Does something until it is done, the time is over, or it is to end; then gives why.
    pub(super) async fn cuts<T>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = T>,
    ) -> Result<T, String> {
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            why = self.asked() => Err(why),
            () = late => Err("its time was over".into()),
            done = work => Ok(done),
        }
    }
}
