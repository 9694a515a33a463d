//! Where credentials may be kept: the search order of containers tools, as pure data.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::document::Form;
use crate::error::{Error, ErrorKind, Result};

/// What of a process's surroundings decides where credentials are. The default has none: nothing is
/// searched, and every access is anonymous.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The file that the user named (`--authfile`); then there is no other.
    pub authfile: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: as `authfile`, for all that runs in a shell.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, which goes when the user logs out.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// Stands in for a runtime directory: `/run/containers/UID`.
    pub user_run_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, in place of `~/.config`.
    pub xdg_config_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`, in place of `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// `PATH`, by which credential helpers are found.
    pub path: Option<OsString>,
}

/// What it means that a file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The user named it: an error.
    Demanded,
    /// A variable names it, and a login may create it later: a warning.
    Announced,
    /// One of the usual places: it need not exist.
    Usual,
}

/// A file that may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    pub(super) need: Need,
}

impl Environment {
    /// That of this process. A variable that is set to nothing counts as not set.
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let directory = |name| path(name).map(PathBuf::from);
        // The owner of what belongs to this process is its user.
        let user = std::fs::metadata("/proc/self").map(|process| process.uid());
        Self {
            authfile: None,
            registry_auth_file: directory("REGISTRY_AUTH_FILE"),
            xdg_runtime_dir: directory("XDG_RUNTIME_DIR"),
            user_run_dir: user
                .ok()
                .map(|user| PathBuf::from(format!("/run/containers/{user}"))),
            xdg_config_home: directory("XDG_CONFIG_HOME"),
            docker_config: directory("DOCKER_CONFIG"),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            path: path("PATH"),
        }
    }

    /// The files to read, in this order, until one knows the registry (containers-auth.json(5)).
    pub(super) fn places(&self) -> Vec<Place> {
        let place = |path, need| Place {
            path,
            form: Form::Wrapped,
            need,
        };
        if let Some(named) = &self.authfile {
            return vec![place(named.clone(), Need::Demanded)];
        }
        if let Some(named) = &self.registry_auth_file {
            return vec![place(named.clone(), Need::Announced)];
        }
        let docker = self.docker_config.clone().or(self.at_home(".docker"));
        let usual = [
            self.runtime_file(),
            self.config_file(),
            docker.map(|directory| directory.join("config.json")),
        ];
        let mut places: Vec<Place> = usual
            .into_iter()
            .flatten()
            .map(|path| place(path, Need::Usual))
            .collect();
        places.extend(self.at_home(".dockercfg").map(|path| Place {
            form: Form::Bare,
            ..place(path, Need::Usual)
        }));
        places
    }

    /// The file that `login` writes: what `podman login` would write, or `auth.json` in the user's
    /// configuration where that cannot be. Either is read before all other files that exist.
    ///
    /// # Errors
    /// `NoPlace` if there is neither a runtime directory nor a home.
    pub(super) fn login_file(&self, exists: impl Fn(&Path) -> bool) -> Result<PathBuf> {
        let named = self.authfile.as_ref().or(self.registry_auth_file.as_ref());
        if let Some(named) = named {
            return Ok(named.clone());
        }
        // A runtime directory must be there. Its stand-in only counts if it is in use already,
        // because then it hides the configuration, and most users could not create it.
        let runtime = self.runtime_file().filter(|file| {
            let must_exist = self.xdg_runtime_dir.as_deref().unwrap_or(file);
            exists(must_exist)
        });
        runtime.or(self.config_file()).ok_or_else(|| {
            let what = "there is no place for credentials: set HOME, or name a file by --authfile";
            Error::new(ErrorKind::NoPlace, what)
        })
    }

    fn runtime_file(&self) -> Option<PathBuf> {
        let in_runtime = self
            .xdg_runtime_dir
            .as_ref()
            .map(|it| it.join("containers"));
        let directory = in_runtime.or(self.user_run_dir.clone())?;
        Some(directory.join("auth.json"))
    }

    fn config_file(&self) -> Option<PathBuf> {
        let config = self.xdg_config_home.clone().or(self.at_home(".config"))?;
        Some(config.join("containers/auth.json"))
    }

    fn at_home(&self, name: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(name))
    }
}
