//! Where a repository is read and written, as `registries.conf` has it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::debug;

use super::file::{self, Part, Pull, Rule};
use super::{Places, is_missing, read};
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Repository;

/// The configuration of registries that containers tools share: containers-registries.conf(5).
///
/// Names are completed as Docker does it, so aliases of short names and lists of registries to
/// search are not read.
#[derive(Debug, Clone, Default)]
pub struct RegistriesConf {
    rules: Vec<Rule>,
}

/// A repository at a server that is really asked. Credentials belong to that server, not to the
/// name that the user wrote (S-39).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The server: `host` or `host:port`.
    pub registry: String,
    /// The repository there.
    pub path: String,
    /// Whether HTTP, and TLS that cannot be verified, are allowed.
    pub insecure: bool,
    /// Whether it is a mirror, which may be out of date or out of order.
    pub is_mirror: bool,
}

impl Endpoint {
    fn of(repository: &Repository, insecure: bool, is_mirror: bool) -> Self {
        Self {
            registry: repository.registry().to_string(),
            path: repository.path().to_string(),
            insecure,
            is_mirror,
        }
    }
}

impl RegistriesConf {
    /// Reads the file that the environment names, else that of the user, else that of the system;
    /// then what is in `registries.conf.d`. A table of a later file replaces one with the same
    /// prefix. If the user has a `registries.conf`, the system's drop-ins are left out
    /// (containers-registries.conf.d(5), "Configuration precedence").
    ///
    /// Files that are not there are no error, except for the one that the environment names.
    ///
    /// # Errors
    /// `Invalid`, with file and line, if a file breaks the format; otherwise whatever reading gives.
    pub fn load(places: &Places) -> Result<Self> {
        let mut conf = Self::default();
        let user = places.of_user("registries.conf");
        let user_parts = places.of_user("registries.conf.d");
        let mut folders = vec![places.of_system("registries.conf.d")];
        if let Some(named) = &places.registries_conf {
            let text = read(named)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
            let text = text.attempting(|| {
                format!(
                    "cannot read {}, which the environment names as registries.conf",
                    named.display()
                )
            })?;
            conf.rules = file::rules(&text, named, Part::Main)?;
        } else if let Some(path) = user
            && let Some(text) = read(&path)?
        {
            conf.rules = file::rules(&text, &path, Part::Main)?;
            folders.clear();
        } else {
            let path = places.of_system("registries.conf");
            if let Some(text) = read(&path)? {
                conf.rules = file::rules(&text, &path, Part::Main)?;
            }
        }
        folders.extend(user_parts);
        for folder in folders {
            conf.add_folder(&folder)?;
        }
        Ok(conf)
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        for path in drop_ins(folder)? {
            let Some(text) = read(&path)? else {
                continue;
            };
            let rules = file::rules(&text, &path, Part::DropIn)?;
            self.rules
                .retain(|old| !rules.iter().any(|new| new.prefix == old.prefix));
            self.rules.extend(rules);
        }
        Ok(())
    }

    /// Where to read a repository, in the order to try: mirrors first, the place itself last.
    /// `by_digest` says whether the image is named by its digest, for mirrors that are meant only
    /// for such names, or only for others.
    ///
    /// If the place itself is blocked, the mirrors remain: that is how clusters are kept from
    /// asking the source (`NeverContactSource` of `OpenShift`'s mirror sets is written so).
    ///
    /// # Errors
    /// `Denied` if all is blocked; `Invalid` if a location gives no repository; `Unsupported` if a
    /// table is for a single tag or digest of this repository.
    pub fn endpoints(&self, repository: &Repository, by_digest: bool) -> Result<Vec<Endpoint>> {
        let mut found = Vec::new();
        if let Some((rule, rest)) = self.rule(repository)? {
            for mirror in &rule.mirrors {
                if mirror.pull == Pull::All || by_digest == (mirror.pull == Pull::DigestOnly) {
                    let join = mirror.location.join(rest);
                    let at = join.attempting(|| moving(repository, rule))?;
                    found.extend(self.mirror(&at, mirror.insecure)?);
                }
            }
        }
        match self.place(repository) {
            Ok(itself) => found.push(itself),
            Err(error) if error.kind() == ErrorKind::Denied && !found.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    /// Where to write a repository: at the place that its name says. Locations and mirrors are for
    /// reading (containers-registries.conf(5), "Remapping and mirroring registries").
    ///
    /// # Errors
    /// As [`RegistriesConf::endpoints`].
    pub fn destination(&self, repository: &Repository) -> Result<Endpoint> {
        match self.rule(repository)? {
            None => Ok(Endpoint::of(repository, false, false)),
            Some((rule, _)) if rule.blocked => Err(blocked(repository, rule)),
            Some((rule, _)) => Ok(Endpoint::of(repository, rule.insecure, false)),
        }
    }

    /// Where a repository is read last: its location.
    fn place(&self, repository: &Repository) -> Result<Endpoint> {
        let Some((rule, rest)) = self.rule(repository)? else {
            return Ok(Endpoint::of(repository, false, false));
        };
        if rule.blocked {
            return Err(blocked(repository, rule));
        }
        let Some(location) = &rule.location else {
            return Ok(Endpoint::of(repository, rule.insecure, false));
        };
        let at = location
            .join(rest)
            .attempting(|| moving(repository, rule))?;
        let insecure = self.is_insecure(&at, rule.insecure)?;
        Ok(Endpoint::of(&at, insecure, false))
    }

    /// A mirror; `None` if it is itself blocked.
    fn mirror(&self, at: &Repository, insecure: bool) -> Result<Option<Endpoint>> {
        match self.is_insecure(at, insecure) {
            Ok(insecure) => Ok(Some(Endpoint::of(at, insecure, true))),
            Err(error) if error.kind() == ErrorKind::Denied => {
                debug!(%error, "leaving out a mirror");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a server that another rule led to may go without verified TLS. It has a rule of its
    /// own perhaps, which may block it.
    fn is_insecure(&self, at: &Repository, insecure: bool) -> Result<bool> {
        match self.rule(at)? {
            Some((rule, _)) if rule.blocked => Err(blocked(at, rule)),
            Some((rule, _)) => Ok(insecure || rule.insecure),
            None => Ok(insecure),
        }
    }

    /// The rule that fits best, and what follows its prefix.
    fn rule<'a>(&self, repository: &'a Repository) -> Result<Option<(&Rule, &'a str)>> {
        let fitting = self.rules.iter().filter_map(|rule| {
            let rest = rule.prefix.rest(repository)?;
            Some((rule, rest))
        });
        let best = fitting.max_by_key(|(rule, _)| rule.prefix.closeness());
        match best {
            Some((rule, _)) if rule.prefix.is_for_one_image() => {
                let what = format!(
                    "{} has a table for \"{}\": tables for a single tag or digest are not \
                     supported, make it one for the repository",
                    rule.file.display(),
                    rule.shown()
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
            best => Ok(best),
        }
    }
}

fn blocked(repository: &Repository, rule: &Rule) -> Error {
    let what = format!(
        "{repository} is blocked by the prefix \"{}\" in {}",
        rule.shown(),
        rule.file.display()
    );
    Error::new(ErrorKind::Denied, what)
}

fn moving(repository: &Repository, rule: &Rule) -> String {
    format!(
        "cannot apply the locations of \"{}\" in {} to {repository}",
        rule.shown(),
        rule.file.display()
    )
}

/// The files `*.conf` of a folder, in the order of their names.
fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = || format!("cannot list {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        entries => entries.attempting(listing)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.attempting(listing)?.path();
        if path.extension() == Some(OsStr::new("conf")) && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
