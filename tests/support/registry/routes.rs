//! The endpoints of the distribution specification, answered as distribution answers them.

use serde_json::{Value, json};

use super::auth::{Auth, unauthorized};
use super::content::{
    OCI_INDEX, Repository, Stored, digest, is_digest, is_digest_of, is_name, is_tag, page,
};
use super::message::{Request, Response};
use super::reading::{blob_unknown, delete_manifest, get_blob, get_manifest, manifest_unknown};
use super::{Core, State};

/// Registries take manifests of 4 MiB and should not take larger ones.
const MANIFEST: usize = 4 * 1024 * 1024;

/// An endpoint, and the repository and reference in its path.
enum Route {
    Base,
    Token,
    Catalog,
    Uploads(String),
    Upload(String, String),
    Blob(String, String),
    Manifest(String, String),
    Tags(String),
    Referrers(String, String),
    Nowhere,
}

impl Route {
    fn of(path: &str) -> Self {
        let path = path.replace("%3A", ":").replace("%3a", ":");
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let last = || parts.last().copied().unwrap_or_default().to_string();
        let route = match parts.as_slice() {
            ["token"] => Self::Token,
            ["v2"] | ["v2", ""] => Self::Base,
            ["v2", "_catalog"] => Self::Catalog,
            ["v2", name @ .., "blobs", "uploads", ""] => Self::Uploads(name.join("/")),
            ["v2", name @ .., "blobs", "uploads", _] => Self::Upload(name.join("/"), last()),
            ["v2", name @ .., "blobs", _] => Self::Blob(name.join("/"), last()),
            ["v2", name @ .., "manifests", _] => Self::Manifest(name.join("/"), last()),
            ["v2", name @ .., "tags", "list"] => Self::Tags(name.join("/")),
            ["v2", name @ .., "referrers", _] => Self::Referrers(name.join("/"), last()),
            _ => Self::Nowhere,
        };
        match route.repository() {
            Some(name) if !is_name(name) => Self::Nowhere,
            _ => route,
        }
    }

    fn repository(&self) -> Option<&str> {
        match self {
            Self::Uploads(name)
            | Self::Tags(name)
            | Self::Upload(name, _)
            | Self::Blob(name, _)
            | Self::Manifest(name, _)
            | Self::Referrers(name, _) => Some(name),
            _ => None,
        }
    }

    /// The scopes of a token that a request needs.
    fn scopes(&self, request: &Request) -> Vec<String> {
        let actions = match request.method.as_str() {
            "GET" | "HEAD" => "pull",
            "DELETE" => "delete",
            _ => "pull,push",
        };
        let mut scopes = Vec::new();
        if let Some(name) = self.repository() {
            scopes.push(format!("repository:{name}:{actions}"));
        }
        if let (Self::Uploads(_), Some(from)) = (self, request.query("from")) {
            scopes.push(format!("repository:{from}:pull"));
        }
        if matches!(self, Self::Catalog) {
            scopes.push("registry:catalog:*".to_string());
        }
        scopes
    }
}

fn nowhere() -> Response {
    Response::new(404).body("text/plain; charset=utf-8", "404 page not found\n")
}

fn not_allowed(route: &Route) -> Response {
    let allowed = match route {
        Route::Uploads(_) => "POST",
        Route::Upload(..) => "DELETE, GET, PATCH, PUT",
        Route::Blob(..) => "DELETE, GET, HEAD",
        Route::Manifest(..) => "DELETE, GET, HEAD, PUT",
        _ => "GET",
    };
    let response = Response::new(405).with("Allow", allowed);
    response.body("text/plain; charset=utf-8", "Method not allowed\n")
}

fn name_unknown() -> Response {
    Response::error(404, "NAME_UNKNOWN", "repository name not known to registry")
}

impl Core {
    pub(super) fn answer(&self, request: &Request) -> Response {
        let route = Route::of(&request.path);
        if let (Route::Token, Auth::Bearer(issuer)) = (&route, &self.options.auth) {
            return issuer.answer(request);
        }
        if let Err(refused) = self.admit(&route, request) {
            return refused.with("Docker-Distribution-API-Version", "registry/2.0");
        }
        let mut state = super::server::held(&self.state);
        let response = self.route(&route, &mut state, request);
        self.placed(response, request)
            .with("Docker-Distribution-API-Version", "registry/2.0")
    }

    /// With a `Location` as this registry has them.
    fn placed(&self, mut response: Response, request: &Request) -> Response {
        let is_path = |location: &&str| location.starts_with('/');
        let path = response.headers.get("location").filter(is_path);
        if let (Some(path), false) = (path, self.options.locations.is_relative()) {
            let location = format!("{}{path}", request.origin());
            response.headers.set("Location", location);
        }
        response
    }

    fn admit(&self, route: &Route, request: &Request) -> Result<(), Response> {
        match &self.options.auth {
            Auth::Open => Ok(()),
            Auth::Basic { user, password } => match request.basic() {
                Some((name, secret)) if name == *user && secret == *password => Ok(()),
                _ => Err(unauthorized("Basic realm=\"registry.test\"")),
            },
            Auth::Bearer(issuer) => issuer.check(request, &route.scopes(request)),
        }
    }

    fn route(&self, route: &Route, state: &mut State, request: &Request) -> Response {
        let method = request.method.as_str();
        let reads = matches!(method, "GET" | "HEAD");
        match route {
            Route::Base if reads => Response::json(200, &json!({})),
            Route::Catalog if reads => self.catalog(state, request),
            Route::Uploads(name) if method == "POST" => self.start_upload(state, name, request),
            Route::Upload(name, id) => self.upload(state, (name, id), request),
            Route::Base | Route::Catalog => not_allowed(route),
            Route::Nowhere | Route::Token => nowhere(),
            Route::Blob(_, digest) | Route::Referrers(_, digest) if !is_digest(digest) => {
                Response::error(400, "DIGEST_INVALID", "not a digest")
            }
            Route::Manifest(_, reference) if reference.contains(':') && !is_digest(reference) => {
                Response::error(400, "DIGEST_INVALID", "not a digest")
            }
            Route::Manifest(_, reference) if !reference.contains(':') && !is_tag(reference) => {
                Response::error(400, "TAG_INVALID", "not a tag")
            }
            // Even a repository that is not there yet has a list of referrers.
            Route::Referrers(name, subject) if reads && !state.repositories.contains_key(name) => {
                self.referrers(&Repository::default(), (name, subject), request)
            }
            Route::Manifest(name, reference) if method == "PUT" => {
                let repository = state.repositories.entry(name.clone()).or_default();
                let response = self.put_manifest(repository, (name, reference), request);
                // A refused manifest makes no repository.
                state.repositories.retain(|_, of| !of.is_empty());
                response
            }
            other => {
                let name = other.repository().unwrap_or_default();
                match state.repositories.get_mut(name) {
                    Some(repository) => self.in_repository(route, repository, request),
                    None => match other {
                        Route::Blob(..) => blob_unknown(),
                        Route::Manifest(..) => manifest_unknown("manifest unknown"),
                        _ => name_unknown(),
                    },
                }
            }
        }
    }

    fn in_repository(&self, route: &Route, of: &mut Repository, request: &Request) -> Response {
        match (route, request.method.as_str()) {
            (Route::Blob(_, digest), "GET" | "HEAD") => get_blob(of, digest, request),
            (Route::Blob(_, digest), "DELETE") => match of.blobs.remove(digest) {
                Some(_) => Response::new(202),
                None => blob_unknown(),
            },
            (Route::Manifest(_, reference), "GET" | "HEAD") => get_manifest(of, reference, request),
            (Route::Manifest(_, reference), "DELETE") => delete_manifest(of, reference),
            (Route::Tags(name), "GET" | "HEAD") => self.tags(of, name, request),
            (Route::Referrers(name, subject), "GET" | "HEAD") => {
                self.referrers(of, (name, subject), request)
            }
            _ => not_allowed(route),
        }
    }

    /// How many entries a page has, and after which name it begins.
    fn page(&self, names: Vec<String>, request: &Request) -> Result<Page, Response> {
        let asked = match request.query("n").map(str::parse::<usize>) {
            Some(Ok(n)) => Some(n),
            Some(Err(_)) => {
                return Err(Response::error(
                    400,
                    "PAGINATION_NUMBER_INVALID",
                    "not a number",
                ));
            }
            None => None,
        };
        let most = self.options.page_size.unwrap_or(usize::MAX);
        let n = asked.unwrap_or(most).min(most);
        let (names, more) = page(names, request.query("last"), n);
        let next = names.last().filter(|_| more).map(|last| {
            let number = format!("last={}&n={n}", last.replace('/', "%2F"));
            format!("<{}?{number}>; rel=\"next\"", request.path)
        });
        Ok(Page { names, next })
    }

    fn tags(&self, of: &Repository, name: &str, request: &Request) -> Response {
        match self.page(of.tags.keys().cloned().collect(), request) {
            Ok(page) => page.response(&json!({ "name": name, "tags": page.names })),
            Err(problem) => problem,
        }
    }

    fn catalog(&self, state: &State, request: &Request) -> Response {
        match self.page(state.repositories.keys().cloned().collect(), request) {
            Ok(page) => page.response(&json!({ "repositories": page.names })),
            Err(problem) => problem,
        }
    }

    fn referrers(&self, of: &Repository, at: (&str, &str), request: &Request) -> Response {
        if !self.options.referrers_api {
            return nowhere();
        }
        let mut all = of.referrers(at.1);
        let wanted = request.query("artifactType");
        all.retain(|descriptor| wanted.is_none_or(|kind| descriptor["artifactType"] == *kind));
        let name = |descriptor: &Value| descriptor["digest"].as_str().unwrap().to_string();
        let page = match self.page(all.iter().map(name).collect(), request) {
            Ok(page) => page,
            Err(problem) => return problem,
        };
        all.retain(|descriptor| page.names.contains(&name(descriptor)));
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": all });
        let mut response = page.response(&index);
        response.headers.set("Content-Type", OCI_INDEX);
        if wanted.is_some() {
            response.headers.set("OCI-Filters-Applied", "artifactType");
        }
        response
    }

    fn put_manifest(
        &self,
        of: &mut Repository,
        (name, reference): (&str, &str),
        request: &Request,
    ) -> Response {
        let body = &request.body;
        let invalid = |message| Response::error(400, "MANIFEST_INVALID", message);
        if !request.whole {
            return invalid("it ends early");
        }
        if body.len() > MANIFEST {
            return Response::error(413, "SIZE_INVALID", "the manifest is too large");
        }
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return invalid("not JSON");
        };
        let Some(media_type) = request.header("content-type") else {
            return invalid("no media type");
        };
        if document
            .get("mediaType")
            .is_some_and(|own| own != media_type)
        {
            return invalid("it says another media type than the request");
        }
        let is_digest = is_digest(reference);
        if is_digest && !self.options.lax && !is_digest_of(reference, body) {
            return Response::error(400, "DIGEST_INVALID", "not the digest of the content");
        }
        let missing = of.missing(&document);
        if self.options.checks_references && !missing.is_empty() {
            return Response::error(400, "MANIFEST_BLOB_UNKNOWN", &missing.join(" "));
        }
        let digest = match is_digest {
            true => reference.to_string(),
            false => digest("sha256", body),
        };
        let stored = Stored {
            media_type: media_type.to_string(),
            bytes: body.clone(),
        };
        of.manifests.insert(digest.clone(), stored);
        let mut response = Response::new(201)
            .with("Location", format!("/v2/{name}/manifests/{digest}"))
            .with("Docker-Content-Digest", digest.as_str());
        let mut tags = Vec::new();
        match is_digest {
            false => tags.push(reference),
            true if self.options.tag_parameters => {
                let asked = request.query.iter().filter(|(name, _)| name == "tag");
                tags.extend(asked.map(|(_, tag)| tag.as_str()));
                for tag in &tags {
                    response.headers.add("OCI-Tag", *tag);
                }
            }
            true => {}
        }
        for tag in tags {
            of.tags.insert(tag.to_string(), digest.clone());
        }
        let subject = document["subject"]["digest"].as_str();
        if let (Some(subject), true) = (subject, self.options.referrers_api) {
            response.headers.set("OCI-Subject", subject);
        }
        response
    }
}

struct Page {
    names: Vec<String>,
    next: Option<String>,
}

impl Page {
    fn response(&self, document: &Value) -> Response {
        let mut response = Response::json(200, document);
        if let Some(next) = &self.next {
            response.headers.set("Link", next.as_str());
        }
        response
    }
}
