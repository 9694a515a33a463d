//! A registry for tests: it is true to the distribution specification, and goes wrong on demand.
//!
//! ```ignore
//! let registry = Registry::start();
//! let digest = registry.add_image("team/app", "1", &[100_000, 5], 1);
//! let cut = registry.fail(Fault::on("GET", "/blobs/").then(Action::cut(1000, Hangup::Reset)));
//! // ... copy from registry.host() ...
//! assert_eq!(cut.count(), 1);
//! assert_eq!(registry.count("GET", "/manifests/"), 1);
//! ```
//!
//! A [`Server`] is the part with the sockets, the log and the script; what it answers is a closure, so
//! it serves as a CDN or a proxy too. [`Registry`] and [`TokenServer`] are servers. All speak HTTP/1.1
//! over their own sockets, because that is where things break; with TLS, HTTP/2 too if they are told.

mod auth;
mod content;
mod exchange;
mod fault;
mod image;
mod inside;
mod link;
mod message;
mod reading;
mod routes;
mod server;
mod streams;
mod tls;
mod uploads;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::json;

pub use auth::{Auth, Issuer, TokenField, TokenRules, TokenServer};
pub use content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Stored, digest};
pub use exchange::Logged;
pub use fault::{Action, Fault, Gate, Hangup, Hits, Midway, soon};
pub use image::{Form, Image, descriptor};
pub use inside::Inside;
pub use message::{Framing, Headers, Request, Response};
pub use server::Server;
pub use streams::Upset;
pub use tls::{Authority, Flaw, Tls};

use content::Repository;
use server::held;
use uploads::Uploads;

/// What the `Location` of an upload looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Locations {
    /// As distribution has it: scheme, host, and a state in the query, which is good for one offset.
    #[default]
    Stateful,
    /// The same, but the state must come back byte for byte, as if it were signed as text (Q-73).
    Signed,
    Absolute,
    /// The path only.
    Relative,
    RelativeStateful,
}

impl Locations {
    fn is_relative(self) -> bool {
        matches!(self, Self::Relative | Self::RelativeStateful)
    }

    fn is_stateful(self) -> bool {
        matches!(self, Self::Stateful | Self::Signed | Self::RelativeStateful)
    }
}

/// What kind of registry it is. The default is like distribution, and has the referrers API.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Options {
    pub tls: Option<Tls>,
    pub auth: Auth,
    /// Whether a blob can be mounted from another repository; if not, that begins an upload (202).
    pub mounts: bool,
    pub referrers_api: bool,
    /// Whether `POST ?digest=` with the whole blob is taken (zot, Quay); if not, it begins an upload.
    pub single_post: bool,
    /// Whether `PUT manifests/<digest>?tag=` sets tags (`OCI-Tag`, Q-96).
    pub tag_parameters: bool,
    /// Whether anything is stored under any digest.
    pub lax: bool,
    /// Whether a manifest needs its blobs and children.
    pub checks_references: bool,
    /// The smallest chunk, except the last one. It is announced (`OCI-Chunk-Min-Length`) and insisted on.
    pub chunk_min: Option<usize>,
    pub locations: Locations,
    /// The most entries of a list, whatever is asked.
    pub page_size: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            auth: Auth::Open,
            mounts: true,
            referrers_api: true,
            single_post: false,
            tag_parameters: false,
            lax: false,
            checks_references: true,
            chunk_min: None,
            locations: Locations::default(),
            page_size: None,
        }
    }
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    uploads: Uploads,
    next_upload: usize,
}

struct Core {
    options: Options,
    state: Mutex<State>,
}

/// A registry on 127.0.0.1. It ends when dropped. Digests are text here, so that nothing depends on
/// what is tested.
pub struct Registry {
    core: Arc<Core>,
    server: Server,
}

impl Deref for Registry {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Registry {
    /// Over plain HTTP, open to everybody.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let state = Mutex::default();
        let core = Arc::new(Core { options, state });
        let server = Server::with(core.options.tls.as_ref(), {
            let core = core.clone();
            move |request| core.answer(request)
        });
        Self { core, server }
    }

    /// The certificate that clients of a TLS registry must trust.
    pub fn ca_pem(&self) -> String {
        self.core.options.tls.as_ref().unwrap().authority.pem()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.core.state)
    }

    fn change<T>(&self, repository: &str, change: impl FnOnce(&mut Repository) -> T) -> T {
        let mut state = self.state();
        change(
            state
                .repositories
                .entry(repository.to_string())
                .or_default(),
        )
    }

    fn read<T>(&self, repository: &str, read: impl FnOnce(&Repository) -> T) -> Option<T> {
        self.state().repositories.get(repository).map(read)
    }

    pub fn add_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = digest("sha256", &bytes);
        self.add_blob_as(repository, &digest, bytes);
        digest
    }

    /// Stores bytes under any digest, right or wrong.
    pub fn add_blob_as(&self, repository: &str, digest: &str, bytes: impl Into<Bytes>) {
        let (digest, bytes) = (digest.to_string(), bytes.into());
        self.change(repository, |of| of.blobs.insert(digest, bytes));
    }

    /// Stores a manifest or an index, whether or not what it refers to is there.
    pub fn add_manifest(
        &self,
        repository: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
        tag: Option<&str>,
    ) -> String {
        let bytes = bytes.into();
        let digest = digest("sha256", &bytes);
        self.add_manifest_as(repository, &digest, media_type, bytes);
        if let Some(tag) = tag {
            self.set_tag(repository, tag, &digest);
        }
        digest
    }

    /// Stores a manifest under any digest, right or wrong.
    pub fn add_manifest_as(
        &self,
        repository: &str,
        digest: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) {
        let stored = Stored {
            media_type: media_type.to_string(),
            bytes: bytes.into(),
        };
        self.change(repository, |of| {
            of.manifests.insert(digest.to_string(), stored)
        });
    }

    /// Adds an OCI image of gzip layers; see [`Image::new`].
    pub fn add_image(&self, repository: &str, tag: &str, sizes: &[usize], seed: u64) -> String {
        self.add(
            repository,
            Some(tag),
            &Image::new(Form::OciGzip, sizes, seed),
        )
    }

    pub fn add(&self, repository: &str, tag: Option<&str>, image: &Image) -> String {
        for blob in &image.blobs {
            self.add_blob(repository, blob.clone());
        }
        self.add_manifest(repository, image.media_type, image.manifest.clone(), tag)
    }

    /// Adds an OCI index of manifests that are here, for these architectures of Linux.
    pub fn add_index(&self, repository: &str, tag: &str, of: &[(&str, &str)]) -> String {
        let child = |(architecture, digest): &(&str, &str)| {
            let stored = self.manifest(repository, digest).unwrap();
            let mut child = descriptor(&stored.media_type, &stored.bytes);
            child["platform"] = json!({ "architecture": architecture, "os": "linux" });
            child
        };
        let manifests: Vec<_> = of.iter().map(child).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        self.add_manifest(repository, OCI_INDEX, index.to_string(), Some(tag))
    }

    /// Moves a tag.
    pub fn set_tag(&self, repository: &str, tag: &str, digest: &str) {
        let (tag, digest) = (tag.to_string(), digest.to_string());
        self.change(repository, |of| of.tags.insert(tag, digest));
    }

    pub fn delete_tag(&self, repository: &str, tag: &str) {
        self.change(repository, |of| of.tags.remove(tag));
    }

    pub fn tag_of(&self, repository: &str, tag: &str) -> Option<String> {
        self.read(repository, |of| of.tags.get(tag).cloned())?
    }

    /// All tags, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let tags = self.read(repository, |of| of.tags.keys().cloned().collect());
        tags.unwrap_or_default()
    }

    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.read(repository, |of| of.blobs.get(digest).cloned())?
    }

    /// The digests of all blobs, sorted.
    pub fn blobs(&self, repository: &str) -> Vec<String> {
        let blobs = self.read(repository, |of| of.blobs.keys().cloned().collect());
        blobs.unwrap_or_default()
    }

    /// A manifest by its digest or tag.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Stored> {
        let found = |of: &Repository| of.manifests.get(&of.resolve(reference)?).cloned();
        self.read(repository, found)?
    }

    /// The digests of all manifests, sorted.
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        let manifests = self.read(repository, |of| of.manifests.keys().cloned().collect());
        manifests.unwrap_or_default()
    }

    pub fn delete_blob(&self, repository: &str, digest: &str) {
        self.change(repository, |of| of.blobs.remove(digest));
    }

    /// Deletes a manifest, but leaves tags that point to it.
    pub fn delete_manifest(&self, repository: &str, digest: &str) {
        self.change(repository, |of| of.manifests.remove(digest));
    }

    /// For what happens to its content while it answers.
    pub fn inside(&self) -> Inside {
        Inside(self.core.clone())
    }

    /// How many uploads were begun and neither finished nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Ends all uploads, as a restart or another replica would (F-67, F-68).
    pub fn forget_uploads(&self) {
        self.state().uploads.clear();
    }

    /// Panics unless all blobs and manifests are what they are called, and all that the tags of a
    /// repository lead to is there.
    #[track_caller]
    pub fn assert_whole(&self, repository: &str) {
        self.read(repository, Repository::assert_whole);
    }
}
