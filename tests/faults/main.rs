//! What goes wrong between us and registries: every row of the fault matrix in which a client has a
//! part. Each test looks at the result, at how often the registry was asked, and at what the destination
//! has in the end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod chunks;
mod commit;
mod connect;
mod download;
mod interrupt;
mod lists;
mod manifests;
mod names;
mod presence;
mod resume;
mod streams;
mod table;
mod tokens;
mod upload;
mod waits;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use imgcopy::copy::{Job, Silent, When};
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Reference;
use imgcopy::store::registry::{Limits, Options, Registries, RetryPolicy};
use imgcopy::store::{open_destination, open_source};

use support::registry::{Fault, Form, Image, Logged, Options as Kind, Registry, Request, digest};
use support::{assert_whole, told};

/// Where the image is, and where it goes.
const FROM: &str = "team/app";
const TO: &str = "mirror/app";

/// Five attempts without long pauses. Nothing is given up for being slow.
fn options() -> Options {
    let seconds = Duration::from_secs;
    Options {
        retry: RetryPolicy {
            times: 4,
            delay: Duration::from_millis(1),
            max_wait: seconds(300),
        },
        limits: Limits {
            answer: seconds(60),
            idle: seconds(60),
            commit: seconds(60),
            ..Limits::default()
        },
        ..Options::bare()
    }
}

/// The same, but nothing may stand still for long.
fn impatient() -> Options {
    let limits = Limits {
        idle: Duration::from_millis(300),
        ..options().limits
    };
    Options {
        limits,
        ..options()
    }
}

/// Copies as both sides say, and gives the digest.
async fn copied(from: &Registries, to: &Registries, way: [&str; 2]) -> Result<String> {
    let source: Reference = way[0].parse()?;
    let destination: Reference = way[1].parse()?;
    let there = open_source(&source, from)?;
    let here = open_destination(&destination, to, false)?;
    let mut job = Job::new(&*there, &*here);
    job.name = source.name().clone();
    // What belongs to the image costs requests of its own, which other tests count.
    job.companions.when = When::Never;
    job.tags = destination.name().tag().cloned().into_iter().collect();
    let outcome = imgcopy::copy::copy(&job, &Silent::new()).await?;
    Ok(outcome.digest.to_string())
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

fn copy_with(options: Options, from: &str, to: &str) -> Result<String> {
    let registries = Registries::new(options.clone());
    let beside = registries.beside(options);
    block(async {
        let copied = copied(&registries, &beside, [from, to]);
        let ended = tokio::time::timeout(Duration::from_mins(1), copied).await;
        ended.unwrap_or_else(|_| panic!("it never ends"))
    })
}

/// Everything that an error tells, and its kind.
#[track_caller]
fn failed(result: Result<String>) -> (ErrorKind, String) {
    let error: Error = result.unwrap_err();
    (error.kind(), told(&error))
}

/// Panics unless it failed so, with these words.
#[track_caller]
fn fails(result: Result<String>, kind: ErrorKind, words: &str) {
    let (found, said) = failed(result);
    assert_eq!(found, kind, "{said}");
    assert!(said.contains(words), "{said}");
}

/// A reference to a tag of a registry on this machine.
fn at(registry: &Registry, repository: &str) -> String {
    format!("docker://{}/{repository}:1", registry.host())
}

/// Two registries: an image at one, and an older one with the same tag at the other.
struct Pair {
    from: Registry,
    to: Registry,
    image: Image,
    digest: String,
    old: String,
}

/// The image with these layers, made once.
fn image(sizes: &[usize]) -> Image {
    static MADE: LazyLock<Mutex<BTreeMap<Vec<usize>, Image>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Image::new(Form::OciGzip, sizes, 7);
    made.entry(sizes.to_vec()).or_insert_with(new).clone()
}

impl Pair {
    /// The image has one layer for each size.
    fn new(sizes: &[usize]) -> Self {
        Self::of(sizes, Kind::default(), Kind::default())
    }

    fn of(sizes: &[usize], from: Kind, to: Kind) -> Self {
        let (from, to) = (Registry::with(from), Registry::with(to));
        let image = image(sizes);
        let digest = from.add(FROM, Some("1"), &image);
        let old = to.add_image(TO, "1", &[10], 99);
        Self {
            from,
            to,
            image,
            digest,
            old,
        }
    }

    /// The digest of a layer; 0 is the lowest.
    fn layer(&self, number: usize) -> String {
        digest("sha256", &self.image.blobs[number + 1])
    }

    /// The size of a layer as it travels.
    fn size(&self, number: usize) -> usize {
        self.image.blobs[number + 1].len()
    }

    /// Requests to read the lowest layer.
    fn reads(&self) -> Fault {
        Fault::on("GET", &self.layer(0))
    }

    /// Requests that carry a layer.
    fn sends() -> Fault {
        Fault::on("PUT", "/blobs/uploads/").when(carries_layer)
    }

    fn copy(&self) -> Result<String> {
        self.copy_with(options())
    }

    fn copy_with(&self, options: Options) -> Result<String> {
        copy_with(options, &at(&self.from, FROM), &at(&self.to, TO))
    }

    fn copy_to_directory(&self, options: Options, directory: &Path) -> Result<String> {
        let to = support::oci_at(directory, "1");
        copy_with(options, &at(&self.from, FROM), &to)
    }

    /// Panics unless the copy succeeded and all of the image is there.
    #[track_caller]
    fn arrived(&self, result: &Result<String>) {
        match result {
            Ok(digest) => assert_eq!(*digest, self.digest),
            Err(error) => panic!("{}", told(error)),
        }
        assert_eq!(self.to.tag_of(TO, "1").as_ref(), Some(&self.digest));
        self.to.assert_whole(TO);
    }

    /// Panics unless the destination still has the old image under the tag, and nothing wrong.
    #[track_caller]
    fn unchanged(&self) {
        assert_eq!(self.to.tag_of(TO, "1").as_ref(), Some(&self.old));
        self.to.assert_whole(TO);
    }

    /// Requests for the lowest layer at the source, as they came.
    fn asked(&self) -> Vec<Logged> {
        self.from.requests("GET", &self.layer(0))
    }

    /// The PUTs of the lowest layer at the destination.
    fn puts(&self) -> Vec<Logged> {
        let digest = self.layer(0);
        let mut puts = self.to.requests("PUT", "/blobs/uploads/");
        puts.retain(|put| put.query.contains(&("digest".to_string(), digest.clone())));
        puts
    }

    /// How often the manifest was sent.
    fn tagged(&self) -> usize {
        self.to.count("PUT", "/manifests/")
    }
}

/// Whether a request carries a layer; configs are smaller.
fn carries_layer(request: &Request) -> bool {
    let length = request.header("content-length").unwrap_or("0");
    length.parse::<usize>().unwrap() > 2000
}

/// What `Range` said.
fn range(request: &Logged) -> Option<&str> {
    request.headers.get("range")
}

/// Panics unless an OCI directory has exactly this, whole.
#[track_caller]
fn has(directory: &Path, tags: &[&str]) {
    assert_eq!(assert_whole(directory), tags);
    assert_eq!(support::stages(directory), [""; 0]);
}
