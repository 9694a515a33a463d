//! What was asked of a registry, in numbers.

use std::time::{Duration, SystemTime};

use reqwest::Method;

/// What was asked of one registry so far, by all that share its gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests to the registry itself, those included that were repeated or refused.
    pub requests: Requests,
    /// Requests to where it sent us on for content.
    pub elsewhere: u64,
    /// Requests for tokens, whoever gives them.
    pub tokens: u64,
    /// Manifests that it gave: what Docker Hub counts as pulls.
    pub pulls: u64,
    /// Bytes of bodies that came, from the registry or from where it sent us on. Tokens do not count.
    pub read: u64,
    /// Bytes of blobs and manifests that went.
    pub written: u64,
    /// What it said last of its own limit, if it says that.
    pub allowance: Option<Allowance>,
}

/// How many requests there were, by their method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// GET.
    pub get: u64,
    /// HEAD.
    pub head: u64,
    /// POST.
    pub post: u64,
    /// PUT.
    pub put: u64,
    /// PATCH.
    pub patch: u64,
    /// DELETE.
    pub delete: u64,
}

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.get + self.head + self.post + self.put + self.patch + self.delete
    }

    pub(super) fn count(&mut self, method: &Method) {
        let counter = match *method {
            Method::HEAD => &mut self.head,
            Method::POST => &mut self.post,
            Method::PUT => &mut self.put,
            Method::PATCH => &mut self.patch,
            Method::DELETE => &mut self.delete,
            // No others are sent.
            _ => &mut self.get,
        };
        *counter += 1;
    }
}

/// What a registry says of its limit on pulls: Docker Hub's `ratelimit-limit` and
/// `ratelimit-remaining`. It calls that its best effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many pulls a window allows.
    pub limit: Option<u64>,
    /// How many of them were left.
    pub remaining: Option<u64>,
    /// How long a window is.
    pub window: Option<Duration>,
    /// When it said so.
    pub at: SystemTime,
}
