//! Copies an image with another client, oci-client, as the source: whoever can list, fetch and read
//! is a place to copy from, and everything that comes from there is checked.
//!
//! `cargo run --example oci_client [HOST/REPOSITORY:TAG [DIRECTORY]]`, of a registry that is asked in
//! the clear, as one on this machine is
#![allow(clippy::print_stdout)]

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use imgcopy::copy::{Job, Silent, copy};
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::{Descriptor, Manifest, MediaType, Name};
use imgcopy::store::blob::{Blob, Content, Pieces};
use imgcopy::store::registry::{Options, Registries};
use imgcopy::store::{Source, Store, open_destination};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

/// A repository, as oci-client reaches it.
#[derive(Clone)]
struct Repository {
    client: Client,
    image: Reference,
}

const ACCEPTED: [&str; 4] = [
    MediaType::OCI_INDEX,
    MediaType::OCI_MANIFEST,
    MediaType::DOCKER_INDEX,
    MediaType::DOCKER_MANIFEST,
];

fn failed(error: &OciDistributionError) -> Error {
    let is_unknown = |error: &OciError| error.code == OciErrorCode::ManifestUnknown;
    let kind = match error {
        OciDistributionError::RegistryError { envelope, .. }
            if envelope.errors.iter().any(is_unknown) =>
        {
            ErrorKind::NotFound
        }
        OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::UnauthorizedError { .. } => ErrorKind::Unauthorized,
        _ => ErrorKind::Io,
    };
    Error::new(kind, error.to_string())
}

impl Repository {
    fn named(&self, name: &Name) -> Reference {
        match name {
            Name::Tag(tag) => Reference::with_tag(
                self.image.registry().to_string(),
                self.image.repository().to_string(),
                tag.to_string(),
            ),
            Name::Digest(digest) => self.image.clone_with_digest(digest.to_string()),
            _ => self.image.clone(),
        }
    }

    async fn fetch(&self, name: &Name) -> Result<Bytes> {
        let (image, nobody) = (self.named(name), RegistryAuth::Anonymous);
        let fetched = self.client.pull_manifest_raw(&image, &nobody, &ACCEPTED);
        let (bytes, _) = fetched.await.map_err(|error| failed(&error))?;
        Ok(bytes)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (by oci-client)", self.image)
    }
}

#[async_trait]
impl Store for Repository {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        match self.fetch(name).await {
            // Which kind of manifest it is, the manifest says itself.
            Ok(bytes) => Ok(Some(Descriptor::of("".into(), &bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn names(&self) -> Result<Vec<Name>> {
        let nobody = RegistryAuth::Anonymous;
        let listed = self.client.list_tags(&self.image, &nobody, None, None);
        let listed = listed.await.map_err(|error| failed(&error))?;
        let names = listed.tags.iter().map(|tag| Ok(Name::Tag(tag.parse()?)));
        names.collect()
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let name = Name::Digest(descriptor.digest.clone());
        Manifest::parse(self.fetch(&name).await?, descriptor)
    }
}

#[async_trait]
impl Source for Repository {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        let content = RemoteBlob {
            repository: self.clone(),
            digest: blob.digest.to_string(),
        };
        Ok(Blob::content(blob.clone(), Arc::new(content)))
    }
}

/// A blob that is read when it is copied.
struct RemoteBlob {
    repository: Repository,
    digest: String,
}

impl Content for RemoteBlob {
    fn open(&self) -> BoxFuture<'static, Result<Pieces>> {
        let repository = self.repository.clone();
        let blob = OciDescriptor {
            digest: self.digest.clone(),
            ..OciDescriptor::default()
        };
        async move {
            let opened = repository.client.pull_blob_stream(&repository.image, &blob);
            let stream = opened.await.map_err(|error| failed(&error))?.stream;
            Ok(stream.map_err(Error::from).boxed())
        }
        .boxed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn StdError>> {
    let mut args = std::env::args().skip(1);
    let Some(image) = args.next() else {
        println!("usage: oci_client HOST/REPOSITORY:TAG [DIRECTORY]");
        return Ok(());
    };
    let temporary = tempfile::tempdir()?;
    let directory = args
        .next()
        .unwrap_or_else(|| temporary.path().join("oci").display().to_string());

    let config = ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    };
    let source = Repository {
        client: Client::new(config),
        image: image.parse()?,
    };
    let to = format!("oci:{directory}").parse()?;
    let destination = open_destination(&to, &Registries::new(Options::bare()), false)?;
    let mut job = Job::new(&source, &*destination);
    job.tags = vec!["latest".parse()?];
    let outcome = copy(&job, &Silent::new()).await?;
    println!("{source}: {}", outcome.digest);
    println!("{} blobs, {} bytes", outcome.moved, outcome.bytes_written);
    Ok(())
}
