//! Who gets to know who we are: credentials on the wire, token servers, redirects, TLS, proxies, and
//! what is printed. What counts is what the servers saw, so the tests read their logs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod bearer;
mod canary;
mod helpers;
mod login;
mod mirrors;
mod proxy;
mod realms;
mod redirects;
mod secrets;
mod tls;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imgcopy::copy::{Job, Silent};
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::registry::credentials::{Credential, Environment, Keyring};
use imgcopy::store::registry::{Login, Options, Registries};
use imgcopy::store::{Memory, open_destination, open_source};

use support::registry::{Auth, Options as Kind, Registry, Server};

const REPO: &str = "team/app";

/// Nobody, who is quick to try again.
fn nobody() -> Options {
    let mut options = Options::bare();
    options.retry.delay = Duration::from_millis(1);
    options
}

fn user(name: &str, password: &str) -> Options {
    Options {
        login: Login::As(Credential::basic(name, password).unwrap()),
        ..nobody()
    }
}

/// Whoever a credentials file says, with credential helpers in `programs`.
fn from_file(authfile: &Path, programs: &Path) -> Options {
    let environment = Environment {
        authfile: Some(authfile.to_path_buf()),
        path: Some(programs.as_os_str().to_os_string()),
        ..Environment::default()
    };
    Options {
        login: Login::Keyring(Arc::new(Keyring::new(environment))),
        ..nobody()
    }
}

/// A registry with one image, that asks in this way who is there.
fn registry(auth: Auth) -> Registry {
    let registry = Registry::with(Kind {
        auth,
        ..Kind::default()
    });
    registry.add_image(REPO, "1", &[3000, 5], 1);
    registry
}

fn at(server: &Server) -> String {
    format!("docker://{}/{REPO}:1", server.host())
}

fn waiting<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// Reads a whole image. Gives its digest.
fn read(from: &str, options: Options) -> Result<String> {
    let source: Reference = from.parse()?;
    waiting(async {
        let opened = open_source(&source, &Registries::new(options))?;
        let memory = Memory::new();
        let mut job = Job::new(&*opened, &memory);
        job.name = source.name().clone();
        job.tags = source.name().tag().cloned().into_iter().collect();
        let outcome = imgcopy::copy::copy(&job, &Silent::new()).await?;
        Ok(outcome.digest.to_string())
    })
}

/// Copies, each side as somebody.
fn copy(from: &str, reading: Options, to: &str, writing: Options) -> Result<String> {
    let (source, destination): (Reference, Reference) = (from.parse()?, to.parse()?);
    waiting(async {
        let readers = Registries::new(reading);
        let writers = readers.beside(writing);
        let opened = open_source(&source, &readers)?;
        let target = open_destination(&destination, &writers, false)?;
        let mut job = Job::new(&*opened, &*target);
        job.name = source.name().clone();
        job.tags = destination.name().tag().cloned().into_iter().collect();
        let outcome = imgcopy::copy::copy(&job, &Silent::new()).await?;
        Ok(outcome.digest.to_string())
    })
}

/// It fails in this way, and says all of this.
#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind, says: &[&str]) -> String {
    let error: Error = match result {
        Ok(_) => panic!("it succeeds"),
        Err(error) => error,
    };
    let told = support::told(&error);
    assert_eq!(error.kind(), kind, "{told}");
    for text in says {
        assert!(told.contains(text), "{text:?} is not in: {told}");
    }
    told
}

/// How many requests carried an `Authorization` that begins so.
fn authorized(server: &Server, scheme: &str) -> usize {
    let log = server.log();
    let sent = log.iter().filter_map(|it| it.headers.get("authorization"));
    sent.filter(|value| value.starts_with(scheme)).count()
}

/// No request came with anything that tells who we are.
#[track_caller]
fn sees_nobody(server: &Server) {
    for request in server.log() {
        for secret in ["authorization", "cookie", "proxy-authorization", "referer"] {
            let value = request.headers.get(secret);
            assert_eq!(value, None, "{} {}", request.method, request.target);
        }
    }
}
