//! From files to a [`Config`], or to all that is wrong with them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::store::registry::credentials::Secret;

use super::check::check;
use super::collide::collisions;
use super::entry::{Layers, entry};
use super::interpolate::Interpolator;
use super::keys::{self, Kind};
use super::pattern::{glob, is_glob};
use super::problem::{Problem, Problems, masked};
use super::read;
use super::tree::{self, FILE_LIMIT, Mark, Node, Value};
use super::types::{Config, Entry, Position};

/// What a file may refer to: the environment, and other files.
pub trait Surroundings {
    /// The value of a variable of the environment; `None` if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file. Whoever reads it need not read more than 32 MiB.
    ///
    /// # Errors
    /// As [`std::fs::read`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of what is in a directory, in any order.
    ///
    /// # Errors
    /// As [`std::fs::read_dir`].
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;
}

/// The surroundings of this process.
#[derive(Debug, Clone, Copy)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        use io::Read as _;
        let mut bytes = Vec::new();
        // One byte more than is taken, so that a larger file is noticed.
        let limit = u64::try_from(FILE_LIMIT).unwrap_or(u64::MAX) + 1;
        std::fs::File::open(path)?
            .take(limit)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    }
}

/// Reads a `sync.yaml` and what it includes.
///
/// # Errors
/// Everything that is wrong, in the order of the files. Nothing of it shows a secret.
pub fn load(file: &Path, around: &dyn Surroundings) -> Result<Config, Vec<Problem>> {
    let mut loader = Loader {
        around,
        hidden: Vec::new(),
        told: Vec::new(),
        entries: Vec::new(),
        files: Vec::new(),
    };
    let config = loader.main(file);
    loader.told.extend(collisions(&loader.entries));
    let Loader {
        hidden,
        mut told,
        mut entries,
        files,
        ..
    } = loader;
    told.sort_by_cached_key(|it| {
        (
            files.iter().position(|file| *file == it.at.file),
            it.clone(),
        )
    });
    for problem in &mut told {
        problem.text = masked(&problem.text, &hidden);
        hide(&mut problem.at, &hidden);
    }
    for entry in &mut entries {
        hide(&mut entry.at, &hidden);
    }
    match config {
        Some(config) if told.is_empty() => Ok(Config {
            entries,
            hidden,
            ..config
        }),
        _ => Err(told),
    }
}

/// A secret may be a part of the path of a file that is included.
fn hide(at: &mut Position, hidden: &[Secret]) {
    if let Some(path) = at.file.to_str() {
        at.file = masked(path, hidden).into();
    }
}

struct Loader<'a> {
    around: &'a dyn Surroundings,
    hidden: Vec<Secret>,
    told: Vec<Problem>,
    entries: Vec<Entry>,
    /// All that was read, in this order.
    files: Vec<PathBuf>,
}

impl Loader<'_> {
    /// `None` if the file is no map at all.
    fn main(&mut self, file: &Path) -> Option<Config> {
        let mut problems = Problems::new(file.to_path_buf());
        let config = self.root(file, &mut problems);
        self.told.extend(problems.into_found());
        config
    }

    fn root(&mut self, file: &Path, problems: &mut Problems) -> Option<Config> {
        let root = self.tree(file, &keys::ROOT, problems)?;
        let state = read::parsed(root.get("state"));
        let config = Config {
            version: 1,
            registries: read::registries(root.get("registries"), problems),
            entries: Vec::new(),
            prune: read::prune(root.get("prune"), root.get("state").is_some(), problems),
            state,
            schedule: read::schedule(root.get("schedule")),
            notify: read::notify(root.get("notify")),
            metrics: read::metrics(root.get("metrics")),
            hidden: Vec::new(),
        };
        let defaults: Vec<&Node> = root.get("defaults").into_iter().collect();
        self.entries(&root, &defaults, problems);
        let included = self.included(file, &root, problems);
        if root.get("images").is_none() && root.get("include").is_none() {
            let is_typo = root
                .pairs()
                .iter()
                .any(|pair| super::similar::did_you_mean(&pair.key, ["images"]).is_some());
            if !is_typo {
                problems.add(root.at, "the file copies nothing: it needs `images`");
            }
        }
        for path in included {
            let mut problems = Problems::new(path.clone());
            if let Some(root) = self.tree(&path, &keys::INCLUDED, &mut problems) {
                let own = root.get("defaults").into_iter();
                let layers: Vec<&Node> = own.chain(defaults.iter().copied()).collect();
                self.entries(&root, &layers, &mut problems);
            }
            self.told.extend(problems.into_found());
        }
        Some(config)
    }

    /// A file, read, interpolated and checked. `None` if it is no map.
    fn tree(&mut self, file: &Path, kind: &Kind, problems: &mut Problems) -> Option<Node> {
        self.files.push(file.to_path_buf());
        let bytes = match self.around.read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = Error::from(error);
                problems.add(Mark::START, format!("cannot read the file: {why}"));
                return None;
            }
        };
        let mut root = tree::parse(&bytes, problems)?;
        let mut interpolator = Interpolator {
            around: self.around,
            problems,
            hidden: &mut self.hidden,
        };
        interpolator.node(&mut root);
        check(&root, kind, "the file", problems);
        matches!(root.value, Value::Map(_)).then_some(root)
    }

    fn entries(&mut self, root: &Node, defaults: &[&Node], problems: &mut Problems) {
        let images = root.get("images").map(Node::items).unwrap_or_default();
        for own in images {
            let layers = Layers { own, defaults };
            self.entries.extend(entry(&layers, problems));
        }
    }

    /// The files that a file includes, each once.
    fn included(&self, file: &Path, root: &Node, problems: &mut Problems) -> Vec<PathBuf> {
        let directory = file.parent().unwrap_or(Path::new(""));
        let mut seen = BTreeSet::from([file.to_path_buf()]);
        let mut found = Vec::new();
        for node in root.get("include").into_iter().flat_map(Node::items) {
            let Some(pattern) = node.text() else {
                continue;
            };
            let matching = self.matching(directory, pattern);
            if matching.is_empty() {
                let shown: String = pattern.escape_debug().take(200).collect();
                problems.add(node.at, format!("`include`: no file matches {shown}"));
            }
            for path in matching {
                if seen.insert(path.clone()) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// The files that a path stands for, sorted. `*` and `?` stand for no slash, and for no dot at the
    /// beginning of a name.
    fn matching(&self, directory: &Path, pattern: &str) -> Vec<PathBuf> {
        let mut paths = vec![directory.to_path_buf()];
        if pattern.starts_with('/') {
            paths = vec![PathBuf::from("/")];
        }
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            if !is_glob(part) {
                for path in &mut paths {
                    path.push(part);
                }
                continue;
            }
            let mut below = Vec::new();
            for path in &paths {
                let here = match path.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => path,
                };
                let names = self.around.list(here).unwrap_or_default();
                let mut names: Vec<String> = names
                    .into_iter()
                    .filter_map(|name| name.into_string().ok())
                    .collect();
                names.retain(|name| glob(part, name) && !name.starts_with('.'));
                names.sort();
                below.extend(names.iter().map(|name| path.join(name)));
            }
            paths = below;
        }
        paths
    }
}
