//! Where configuration is looked for, as data.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where configuration is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The `registries.conf` that the environment names: `CONTAINERS_REGISTRIES_CONF`, or
    /// `REGISTRIES_CONFIG_PATH`, which is its older name.
    pub registries_conf: Option<PathBuf>,
    /// The home directory of the user.
    pub home: Option<PathBuf>,
    /// What holds `etc`: `/`, except in tests and for whoever prepares another system's disk.
    pub root: PathBuf,
}

impl Places {
    /// The places that an environment names. `variable` gives the value of a variable, as
    /// `|name| std::env::var_os(name)` does. An empty value is as good as none.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        Self {
            registries_conf: path("CONTAINERS_REGISTRIES_CONF")
                .or_else(|| path("REGISTRIES_CONFIG_PATH")),
            home: path("HOME"),
            root: PathBuf::from("/"),
        }
    }

    /// A path below the user's `.config/containers`, if there is a home.
    pub(super) fn of_user(&self, name: &str) -> Option<PathBuf> {
        let home = self.home.as_deref()?;
        Some(home.join(".config/containers").join(name))
    }

    /// A path below the system's `/etc/containers`.
    pub(super) fn of_system(&self, name: &str) -> PathBuf {
        self.etc().join("containers").join(name)
    }

    /// The system's `/etc`.
    pub(super) fn etc(&self) -> PathBuf {
        self.root.join(Path::new("etc"))
    }
}
