//! An engine to write to: an archive for `docker load` goes to it while it is made.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinHandle};

use super::access::Access;
use super::engine::Engine;
use super::source::path;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Descriptor, Digest, Manifest, Name, RepoTag, Tag};
use crate::store::archive::{Kind, NewArchive};
use crate::store::blob::Blob;
use crate::store::{Destination, Form, KnownLayer, Presence, Role, Store, WantedLayers, locked};

/// The images of a Docker engine, to write to. What is put there is loaded when it is finished, all of
/// it by one request.
pub struct DaemonLoad {
    engine: Arc<Engine>,
    loading: Mutex<Option<Arc<Loading>>>,
}

/// An archive on its way to the engine.
struct Loading {
    archive: NewArchive,
    end: Sender<Piece>,
    request: AbortHandle,
    answer: tokio::sync::Mutex<Option<JoinHandle<Result<()>>>>,
}

/// What is on its way. Without the end, the request breaks off, so that no engine takes a part of an
/// archive for all of it.
enum Piece {
    Bytes(Bytes),
    End,
}

/// How many pieces wait for the engine.
const WAITING: usize = 8;

impl DaemonLoad {
    /// The engine that is reached so. It is not asked anything yet.
    ///
    /// # Errors
    /// `Invalid` if its certificates are no good.
    pub fn new(access: &Access) -> Result<Self> {
        Ok(Self {
            engine: Arc::new(Engine::new(access)?),
            loading: Mutex::default(),
        })
    }

    fn loading(&self) -> Option<Arc<Loading>> {
        locked(&self.loading).clone()
    }

    /// The archive that is on its way; it begins now if there is none.
    fn begun(&self) -> Arc<Loading> {
        let mut loading = locked(&self.loading);
        Arc::clone(loading.get_or_insert_with(|| Arc::new(Loading::new(&self.engine))))
    }

    /// Names an image that the engine had when it was asked.
    async fn name(&self, id: &Digest, tags: &[Tag]) -> Result<()> {
        if self.engine.image_id(&id.to_string()).await?.as_ref() != Some(id) {
            let what = format!("image {id} has gone from the engine meanwhile");
            return Err(Error::new(ErrorKind::Changed, what));
        }
        for tag in tags {
            let name: RepoTag = tag.as_str().parse()?;
            self.engine.tag(id, &name).await?;
        }
        Ok(())
    }
}

impl Loading {
    fn new(engine: &Arc<Engine>) -> Self {
        let (sender, pieces) = channel(WAITING);
        let out = Box::new(Out(sender.clone()));
        let place = "the archive for docker-daemon:".to_string();
        let request = tokio::spawn(load(Arc::clone(engine), pieces));
        Self {
            archive: NewArchive::into_stream(Kind::Docker, place, out),
            end: sender,
            request: request.abort_handle(),
            answer: tokio::sync::Mutex::new(Some(request)),
        }
    }

    /// What the engine says to all of it.
    async fn answer(&self) -> Result<()> {
        let gone = || Error::new(ErrorKind::Io, "the engine has answered already");
        let answer = self.answer.lock().await.take().ok_or_else(gone)?;
        let died = |error| Error::new(ErrorKind::Io, format!("a task died: {error}"));
        answer.await.map_err(died)?
    }

    /// What went wrong: if the engine takes no more, it has said why, or the connection has.
    async fn reason(&self, error: Error) -> Error {
        if !self.end.is_closed() {
            return error;
        }
        self.answer().await.err().unwrap_or(error)
    }
}

impl Drop for Loading {
    /// An engine that takes nothing would not notice that nothing more comes.
    fn drop(&mut self) {
        self.request.abort();
    }
}

/// Asks the engine only once there is something to load.
async fn load(engine: Arc<Engine>, mut pieces: Receiver<Piece>) -> Result<()> {
    let Some(first) = pieces.recv().await else {
        return Ok(());
    };
    let state = (Some(first), pieces);
    let body = stream::try_unfold(state, |(first, mut pieces)| async move {
        let next = match first {
            Some(first) => Some(first),
            None => pieces.recv().await,
        };
        match next {
            Some(Piece::Bytes(bytes)) => Ok(Some((bytes, (None, pieces)))),
            Some(Piece::End) => Ok(None),
            None => Err(io::Error::other("the copy was given up")),
        }
    });
    engine.load(Body::wrap_stream(body)).await
}

/// The way from the thread that writes the archive.
struct Out(Sender<Piece>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Piece::Bytes(Bytes::copy_from_slice(bytes));
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(piece).map_err(closed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for DaemonLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("docker-daemon:")
    }
}

#[async_trait]
impl Store for DaemonLoad {
    /// An engine tells no manifests: only what is on its way has one.
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        match self.loading() {
            Some(loading) => loading.archive.resolve(name).await,
            None => Ok(None),
        }
    }

    async fn names(&self) -> Result<Vec<Name>> {
        match self.loading() {
            Some(loading) => loading.archive.names().await,
            None => Ok(Vec::new()),
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        match self.loading() {
            Some(loading) => loading.archive.manifest(descriptor).await,
            None => {
                let what = format!("an engine tells no manifest {}", descriptor.digest);
                Err(Error::new(ErrorKind::NotFound, what))
            }
        }
    }

    async fn image_id(&self, name: &Name) -> Result<Option<Digest>> {
        // What is on its way may take the name.
        let is_coming = self.resolve(name).await?.is_some();
        match path(name)?.filter(|_| !is_coming) {
            Some(path) => self.engine.image_id(&path).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Destination for DaemonLoad {
    fn form(&self) -> Form {
        Form::PlainImages
    }

    fn takes_one_at_a_time(&self) -> bool {
        true
    }

    fn takes_companions(&self) -> bool {
        false
    }

    fn own_digest(&self, manifest: &Manifest) -> Option<Digest> {
        Some(manifest.as_image()?.config.digest.clone())
    }

    async fn presence(&self, blob: &Descriptor) -> Result<Presence> {
        match self.loading() {
            Some(loading) => loading.archive.presence(blob).await,
            None => Ok(Presence::Absent),
        }
    }

    async fn known_layers(&self, wanted: &WantedLayers<'_>) -> Result<Vec<KnownLayer>> {
        match self.loading() {
            Some(loading) => loading.archive.known_layers(wanted).await,
            None => Ok(Vec::new()),
        }
    }

    async fn put_blob(&self, blob: Blob) -> Result<Descriptor> {
        let loading = self.begun();
        match loading.archive.put_blob(blob).await {
            Err(error) => Err(loading.reason(error).await),
            put => put,
        }
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role<'_>) -> Result<()> {
        if let (Role::Root(tags), Some(id)) = (role, self.own_digest(manifest)) {
            let config = manifest.as_image().map(|image| &image.config);
            let is_coming = match (self.loading(), config) {
                (Some(loading), Some(config)) => {
                    loading.archive.presence(config).await? != Presence::Absent
                }
                _ => false,
            };
            if !is_coming {
                return self.name(&id, tags).await;
            }
        }
        self.begun().archive.put_manifest(manifest, role).await
    }

    async fn delete(&self, _: &Name) -> Result<()> {
        let what = "images of an engine are not deleted: docker image rm does that";
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    async fn finish(&self) -> Result<()> {
        let Some(loading) = locked(&self.loading).take() else {
            return Ok(());
        };
        if loading.archive.names().await?.is_empty() {
            return Ok(());
        }
        if let Err(error) = loading.archive.finish().await {
            return Err(loading.reason(error).await);
        }
        // Where nobody takes the end, the answer says why.
        let _ = loading.end.send(Piece::End).await;
        loading
            .answer()
            .await
            .attempting(|| format!("cannot finish {self}"))
    }

    async fn discard(&self) -> Result<()> {
        locked(&self.loading).take();
        Ok(())
    }
}
