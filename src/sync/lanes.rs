//! How much is done at once, and who does not answer. Each pair of hosts has a lane of its own, so a
//! slow or limited one holds up nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, ErrorKind, Result};
use crate::store::locked;

use super::config::{From, Place};

/// How many tags are asked about at once in one lane. The registries' own gates let fewer through.
const QUESTIONS: usize = 64;
/// How many images are copied at once in one lane.
const COPIES: usize = 8;
/// How many failures in a row mean that a host is down.
const DOWN: usize = 4;
/// How many copies that fail in a row mean that one of their hosts is down. Images that a registry has
/// lost fail in a row, too, while those beside them take their time.
const CUT: usize = 2 * COPIES;

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    questions: Semaphore,
    copies: Semaphore,
}

impl Lane {
    fn new(copies: usize) -> Self {
        Self {
            questions: Semaphore::new(QUESTIONS),
            copies: Semaphore::new(copies),
        }
    }

    /// A place for asking.
    pub(super) async fn ask(&self) -> Result<SemaphorePermit<'_>> {
        self.questions.acquire().await.map_err(|_| closed())
    }

    /// A place for copying.
    pub(super) async fn copy(&self) -> Result<SemaphorePermit<'_>> {
        self.copies.acquire().await.map_err(|_| closed())
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Interrupted, "the run has ended")
}

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<BTreeMap<(String, String), Arc<Lane>>>);

impl Lanes {
    /// The lane between two places. An archive takes one image after the other.
    pub(super) fn between(&self, from: &str, to: &str, is_single: bool) -> Arc<Lane> {
        let key = match is_single {
            true => (String::new(), to.to_string()),
            false => (from.to_string(), to.to_string()),
        };
        let new = || Arc::new(Lane::new(if is_single { 1 } else { COPIES }));
        Arc::clone(locked(&self.0).entry(key).or_insert_with(new))
    }
}

/// Which hosts answer. Whoever failed often enough in a row is not asked again until the next pass.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<BTreeMap<String, Failures>>);

#[derive(Debug, Default)]
struct Failures {
    in_a_row: usize,
    last: String,
}

impl Health {
    /// Asks a host, unless it is down.
    pub(super) async fn ask<T>(
        &self,
        host: &str,
        question: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.check(host)?;
        let answer = question.await;
        self.note(host, &answer);
        answer
    }

    /// Copies something, unless nothing gets through any more. Whose fault that is cannot be told.
    pub(super) async fn copy<T>(
        &self,
        from: &str,
        to: &str,
        copying: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let way = format!("{from} -> {to}");
        if let Some(failures) = locked(&self.0).get(&way).filter(|way| way.in_a_row >= CUT) {
            let what = format!(
                "{} copies in a row failed between these places ({}), and no other is tried in this pass",
                failures.in_a_row, failures.last
            );
            return Err(Error::new(ErrorKind::Unreachable, what));
        }
        let copied = copying.await;
        self.note(&way, &copied);
        copied
    }

    fn note<T>(&self, host: &str, answer: &Result<T>) {
        let mut hosts = locked(&self.0);
        let failures = hosts.entry(host.to_string()).or_default();
        match answer {
            Err(error) if is_silence(error) => {
                failures.in_a_row += 1;
                failures.last = error.root_cause();
            }
            _ => failures.in_a_row = 0,
        }
    }

    /// Whether a host is worth asking.
    ///
    /// # Errors
    /// `Unreachable` if it is down.
    pub(super) fn check(&self, host: &str) -> Result<()> {
        let hosts = locked(&self.0);
        let Some(failures) = hosts.get(host).filter(|host| host.in_a_row >= DOWN) else {
            return Ok(());
        };
        let what = format!(
            "{host} did not answer {} times in a row ({}), and is not asked again in this pass",
            failures.in_a_row, failures.last
        );
        Err(Error::new(ErrorKind::Unreachable, what))
    }

    /// Everybody may have come back.
    pub(super) fn forget(&self) {
        locked(&self.0).clear();
    }
}

/// What a lane is between: hosts, or a place on this machine. A source there has no name.
pub(super) fn ends(from: &From, to: &Place) -> (String, String) {
    let from = match from {
        From::Registry(repository) => repository.registry().to_string(),
        From::Local(_) => String::new(),
    };
    let to = match to {
        Place::Registry(repository) => repository.registry().to_string(),
        place => place.to_string(),
    };
    (from, to)
}

/// Whether the host itself is the trouble.
fn is_silence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fails(health: &Health, kind: ErrorKind) {
        let failed = health.ask("a", async { Err::<(), _>(Error::new(kind, "no answer")) });
        failed.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_host_that_is_down_is_not_asked_again() {
        let health = Health::default();
        for _ in 0..DOWN {
            health.check("a").unwrap();
            fails(&health, ErrorKind::Unreachable).await;
        }
        let error = health
            .ask("a", async { panic!("it is asked") as Result<()> })
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("(no answer)"), "{error}");
        health.check("b").unwrap();
        health.forget();
        health.check("a").unwrap();
    }

    #[tokio::test]
    async fn nothing_is_copied_any_more_where_nothing_gets_through() {
        let health = Health::default();
        let failed = || async { Err::<(), _>(Error::new(ErrorKind::Io, "reset")) };
        for _ in 0..CUT - 1 {
            health.copy("a", "b", failed()).await.unwrap_err();
        }
        health.copy("a", "b", async { Ok(()) }).await.unwrap();
        for _ in 0..CUT {
            health.copy("a", "b", failed()).await.unwrap_err();
        }
        let never = async { panic!("it is tried") as Result<()> };
        let error = health.copy("a", "b", never).await.unwrap_err();
        assert!(error.to_string().contains("(reset)"), "{error}");
        health.copy("a", "c", async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_answers_is_not_down_whatever_it_says() {
        let health = Health::default();
        for _ in 0..DOWN * 2 {
            fails(&health, ErrorKind::Io).await;
            fails(&health, ErrorKind::Unauthorized).await;
        }
        health.check("a").unwrap();
    }
}
