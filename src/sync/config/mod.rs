//! `sync.yaml` as data: what is copied, from where, to where, and how.
//!
//! ```text
//! bytes -> tree (texts with positions) -> interpolated -> checked by the table of keys -> Config
//! ```
//!
//! [`load`] collects every problem of a file and of those that it includes, each with its place. Two
//! things do not need the network and are found here, too: entries without tags, and entries that
//! write one name.
//!
//! ```
//! use imgcopy::sync::config::{Process, load};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let file = dir.path().join("sync.yaml");
//! std::fs::write(&file, "version: 1\nimages: [{from: nginx, tgas: [1.27], to: registry.corp/nginx}]")?;
//! let problems = load(&file, &Process).unwrap_err();
//! assert!(problems[0].text.contains("unknown key `tgas`; did you mean `tags`?"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod check;
mod collide;
mod convert;
mod cron;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod interpolate;
mod keys;
mod load;
mod origin;
mod pattern;
mod problem;
mod read;
mod schema;
mod show;
mod similar;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod units;
mod words;

pub use crate::store::registry::{Mirror, Quota, Rate, Share};
pub use convert::{Converted, Tool, convert};
pub use cron::Cron;
pub use load::{Process, Surroundings, load};
pub use pattern::HostPattern;
pub use problem::Problem;
pub use schema::schema;
pub use template::{Place, TagTemplate, Target, Template};
pub use types::{
    Auth, Change, Config, Entry, From, Metrics, Notify, Occasion, Position, Prune, PruneMode,
    Referrers, RegistryRule, Schedule, Tls,
};
pub use units::Bandwidth;
