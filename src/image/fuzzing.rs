//! What must hold of references, digests and manifests, whatever they are made from.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a body fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use bytes::Bytes;
use reqwest::Url;
use serde_json::{Map, Value};

use super::digest::{Algorithm, Digest, Hasher};
use super::{
    Body, Config, Descriptor, Format, Manifest, MediaType, Name, Platform, Reference, RepoTag,
    Repository, Tag,
};
use crate::error::fuzzing::{harmless, shown};
use crate::error::{Error, ErrorKind};

/// A text as what a user types. What is taken is printed so that it is the same again, and leads no
/// address elsewhere (S-49); what is refused is refused in a line that can be shown.
///
/// # Panics
/// If not so.
pub fn reference(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Reference>() {
        Ok(reference) => {
            // A path is the user's own and is printed as it is.
            assert_eq!(
                reference.to_string().parse::<Reference>().unwrap(),
                reference
            );
            if let Reference::Docker { repository, name } = &reference {
                stays(repository, name);
            }
        }
        // What users type may be shown in full.
        Err(error) => harmless(&error.in_one_line()),
    }
    if let Some(repository) = again::<Repository>(&text) {
        stays(&repository, &Name::Sole);
    }
    again::<RepoTag>(&text);
    again::<Platform>(&text);
    if let Some(tag) = again::<Tag>(&text) {
        assert_eq!(tag.as_str(), text);
    }
}

/// What is printed can be read, and is the same.
fn again<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Error> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(read) => {
            let printed = read.to_string();
            harmless(&printed);
            assert_eq!(printed.parse::<T>().unwrap(), read);
            Some(read)
        }
        Err(error) => {
            shown(&error);
            None
        }
    }
}

/// The address of an image is on its registry, below its repository, and nothing but a path.
fn stays(repository: &Repository, name: &Name) {
    let last = match name {
        Name::Digest(digest) | Name::Pinned(_, digest) => digest.to_string(),
        Name::Tag(tag) => tag.to_string(),
        Name::Sole | Name::At(_) => String::new(),
    };
    let path = format!("/v2/{}/manifests/{last}", repository.path());
    // What looks like an IPv4 address and is none cannot be asked.
    let Ok(url) = Url::parse(&format!("https://{}{path}", repository.registry())) else {
        return;
    };
    assert_eq!(url.path(), path);
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.query().is_none() && url.fragment().is_none());
}

/// Bytes as a digest, as content, and as a descriptor in JSON. There is one way to write a digest, and
/// none that leads out of a directory (S-01); content is hashed equally in whatever pieces it comes.
///
/// # Panics
/// If not so.
pub fn digest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(digest) = again::<Digest>(&text) {
        assert_eq!(digest.to_string(), text);
        is_plain(&digest);
    }
    for algorithm in Algorithm::ALL {
        let whole = Digest::by(algorithm, bytes);
        is_plain(&whole);
        let (one, other) = bytes.split_at(bytes.len() / 3);
        let mut hasher = Hasher::new(algorithm);
        hasher.update(one);
        hasher.update(other);
        assert_eq!(hasher.finish(), whole);
    }
    if let Ok(descriptor) = serde_json::from_slice::<Descriptor>(bytes) {
        is_named_well(&descriptor);
        let written = serde_json::to_vec(&descriptor).unwrap();
        assert_eq!(
            serde_json::from_slice::<Descriptor>(&written).unwrap(),
            descriptor
        );
    }
}

fn is_plain(digest: &Digest) {
    let hex = digest.hex();
    let length = match digest.algorithm() {
        Algorithm::Sha256 => 64,
        Algorithm::Sha512 => 128,
    };
    assert!(hex.len() == length && hex.bytes().all(|c| b"0123456789abcdef".contains(&c)));
    assert_eq!(
        Digest::from_parts(digest.algorithm(), hex).unwrap(),
        *digest
    );
    assert!(hex.starts_with(digest.short()));
}

fn is_named_well(descriptor: &Descriptor) {
    is_plain(&descriptor.digest);
    assert!(i64::try_from(descriptor.size).is_ok(), "S-09");
    harmless(&descriptor.media_type.to_string());
    if let Some(platform) = &descriptor.platform {
        harmless(&platform.to_string());
        assert_eq!(platform.normalized().normalized(), platform.normalized());
    }
}

/// Bytes as a manifest, an index, and a config. What is taken can be read in one way only: under no
/// other media type is it another kind of document (S-05), and a reader that matches keys as Go does
/// sees the same content (S-06). What is rewritten is a manifest again.
///
/// # Panics
/// If not so.
pub fn manifest(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let hints = [
        "",
        MediaType::OCI_INDEX,
        MediaType::OCI_MANIFEST,
        MediaType::DOCKER_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::OCI_CONFIG,
    ];
    let mut is_index = None;
    for hint in hints {
        match Manifest::of(bytes.clone(), hint.into()) {
            Ok(manifest) => {
                let kind = matches!(manifest.body(), Body::Index(_));
                assert_eq!(*is_index.get_or_insert(kind), kind, "it is two things");
                taken(&manifest, &bytes);
            }
            Err(error) => shown(&error),
        }
    }
    match Config::parse(&bytes) {
        Ok(config) => {
            assert_eq!(config.chain_ids().len(), config.diff_ids().len());
            assert!(config.layer_history().count() <= config.history.len());
            harmless(&config.platform.to_string());
        }
        Err(error) => shown(&error),
    }
}

fn taken(manifest: &Manifest, bytes: &Bytes) {
    let named = manifest.descriptor();
    assert_eq!(manifest.bytes(), bytes);
    assert_eq!(
        (named.size, &named.digest),
        (bytes.len() as u64, &Digest::of(bytes))
    );
    let again = Manifest::parse(bytes.clone(), named).unwrap();
    assert_eq!(again.descriptor(), named);
    let pieces = pieces(manifest);
    pieces.iter().for_each(is_named_well);
    assert_eq!(digests(&pieces), digests_as_go_reads(bytes));
    if let Some((subject, own)) = manifest.as_referrer() {
        is_named_well(subject);
        assert_eq!(own.digest, named.digest);
    }
    rewritten(manifest, &pieces);
    for format in [Format::Oci, Format::V2s2] {
        match manifest.in_format(format) {
            Ok(other) => {
                assert_eq!(digests(&self::pieces(&other)), digests(&pieces));
                let twice = other.in_format(format).unwrap();
                assert_eq!(twice.bytes(), other.bytes());
            }
            Err(error) => shown(&error),
        }
    }
}

fn rewritten(manifest: &Manifest, pieces: &[Descriptor]) {
    let same = |result: crate::error::Result<Manifest>| match result {
        Ok(other) => assert_eq!(digests(&self::pieces(&other)), digests(pieces)),
        Err(error) => is_too_large(&error),
    };
    same(manifest.with_replaced(&BTreeMap::new()));
    if let Some(last) = pieces.last() {
        let mut new = Descriptor::of(MediaType::OCI_LAYER.into(), b"new");
        if matches!(manifest.body(), Body::Index(_)) {
            new.media_type = MediaType::OCI_MANIFEST.into();
        }
        let by = BTreeMap::from([(last.digest.clone(), new)]);
        match manifest.with_replaced(&by) {
            Ok(other) => assert_eq!(self::pieces(&other).len(), pieces.len()),
            Err(error) => is_too_large(&error),
        }
    }
    match (manifest.body(), manifest.with_entries(&|_| false)) {
        (Body::Image(_), kept) => assert!(kept.is_err()),
        (Body::Index(_), Ok(kept)) => assert!(kept.children().is_empty()),
        // An index may lack its list: there is nothing to choose from.
        (Body::Index(_), Err(_)) => assert!(pieces.is_empty()),
    }
    if matches!(manifest.body(), Body::Index(_)) && !pieces.is_empty() {
        same(manifest.with_entries(&|_| true));
    }
}

/// Numbers are written anew, so a document can grow.
fn is_too_large(error: &Error) {
    shown(error);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("over the limit"), "{error}");
}

fn pieces(manifest: &Manifest) -> Vec<Descriptor> {
    manifest
        .blobs()
        .chain(manifest.children())
        .cloned()
        .collect()
}

fn digests(pieces: &[Descriptor]) -> Vec<String> {
    pieces
        .iter()
        .map(|piece| piece.digest.to_string())
        .collect()
}

/// What `encoding/json` makes of the document: keys match in any case, and the last one counts.
fn digests_as_go_reads(bytes: &[u8]) -> Vec<String> {
    let document: Map<String, Value> = serde_json::from_slice(bytes).unwrap();
    let list = |name: &str| match as_go_finds(&document, name) {
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    let config = as_go_finds(&document, "config").cloned().into_iter();
    let all = config.chain(list("layers")).chain(list("manifests"));
    all.filter_map(|piece| {
        let digest = as_go_finds(piece.as_object()?, "digest")?;
        digest.as_str().map(String::from)
    })
    .collect()
}

fn as_go_finds<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    // Go folds by Unicode's simple folding, in which two letters meet ASCII.
    let folded = |key: &str| {
        let key = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
        key.eq_ignore_ascii_case(name)
    };
    let mut found = map.iter().rev().filter(|(key, _)| folded(key));
    found.next().map(|(_, value)| value)
}
