//! The requests. All are without a version in their path, so that each engine answers as its own.

use std::time::Duration;

use reqwest::{Body, Client, Method, Response, Url};
use serde::de::DeserializeOwned;

use super::access::Access;
use super::answers::{Inspected, Listed, broken, failed_load, refused};
use super::export::Export;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::{Digest, RepoTag};

/// How much an engine may answer, in bytes: a list of tens of thousands of images.
const LIMIT: usize = 32 << 20;
/// How long an engine may take to say what it knows. How long it takes to collect or to store an image
/// nobody can tell.
const PATIENCE: Duration = Duration::from_mins(1);

/// A Docker engine.
pub(super) struct Engine {
    client: Client,
    base: Url,
    /// Where it is, as users know it.
    shown: String,
}

impl Engine {
    pub(super) fn new(access: &Access) -> Result<Self> {
        Ok(Self {
            client: access.client()?,
            base: access.base()?,
            shown: access.to_string(),
        })
    }

    /// The ID of an image; `None` if it has none of this name.
    pub(super) async fn image_id(&self, name: &str) -> Result<Option<Digest>> {
        let what = || format!("cannot ask the engine at {} for {name}", self.shown);
        match self.told::<Inspected>(&format!("images/{name}/json")).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            told => Ok(Some(told.attempting(what)?.id)),
        }
    }

    /// The names of all images.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let what = || format!("cannot list the images of the engine at {}", self.shown);
        let listed: Vec<Listed> = self.told("images/json").await.attempting(what)?;
        let names = listed.into_iter().filter_map(|it| it.repo_tags);
        let mut names: Vec<String> = names.flatten().collect();
        // Images without a name are listed as `<none>:<none>`.
        names.retain(|name| name.parse::<RepoTag>().is_ok());
        names.sort();
        Ok(names)
    }

    /// Gives an image another name.
    pub(super) async fn tag(&self, image: &Digest, name: &RepoTag) -> Result<()> {
        let what = || format!("cannot name {image} {name} in the engine at {}", self.shown);
        let mut url = self.url(&format!("images/{image}/tag")).attempting(what)?;
        let whole = name.to_string();
        let (repository, tag) = whole.rsplit_once(':').unwrap_or((&whole, "latest"));
        url.query_pairs_mut()
            .append_pair("repo", repository)
            .append_pair("tag", tag);
        let request = self.client.request(Method::POST, url).timeout(PATIENCE);
        let answer = accepted(request.send().await).await.attempting(what)?;
        body(answer).await.attempting(what)?;
        Ok(())
    }

    /// The archive of an image, which begins to come.
    pub(super) async fn export(&self, name: &str) -> Result<Export> {
        let what = || format!("cannot export {name} from the engine at {}", self.shown);
        let url = self.url(&format!("images/{name}/get")).attempting(what)?;
        let answer = accepted(self.client.get(url).send().await).await;
        answer.map(Export).attempting(what)
    }

    /// Loads an archive, and waits until the engine has stored it.
    pub(super) async fn load(&self, archive: Body) -> Result<()> {
        let what = || format!("the engine at {} did not load the image", self.shown);
        let url = self.url("images/load?quiet=1").attempting(what)?;
        let request = self.client.post(url).body(archive);
        let request = request.header("content-type", "application/x-tar");
        let answer = accepted(request.send().await).await.attempting(what)?;
        let answer = body(answer).await.attempting(what)?;
        failed_load(&answer).map_or(Ok(()), |error| Err(error.attempting(what())))
    }

    async fn told<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.client.get(self.url(path)?).timeout(PATIENCE);
        let answer = body(accepted(request.send().await).await?).await?;
        serde_json::from_slice(&answer)
            .attempting(|| "the engine's answer is not what it should be")
    }

    fn url(&self, path: &str) -> Result<Url> {
        let joined = self.base.join(path);
        joined.map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))
    }
}

async fn accepted(answer: reqwest::Result<Response>) -> Result<Response> {
    let answer = answer.map_err(broken)?;
    let status = answer.status();
    match status.is_success() {
        true => Ok(answer),
        false => Err(refused(status, &body(answer).await.unwrap_or_default())),
    }
}

/// All that the engine says.
async fn body(mut answer: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > LIMIT {
            let what = format!("the engine's answer is longer than {LIMIT} bytes");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
