//! What a power cut may leave of what a program wrote, told by the log of its system calls.
//!
//! The model: a file has a content and a name, and both are lost unless they were made durable. Content
//! is durable once the file was synced after the last write to it. A name is durable once its directory
//! was synced after the name was given; a name that was given may survive without that, too, and before
//! anything that was done earlier. So from the moment when `index.json` gets a new content, whatever it
//! names must be durable: at each prefix of the log, that of an index that may be there is checked.
//! A sync counts for what had ended when it began, and counts when it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// What of `strace` the model reads.
pub(crate) const TRACED: &str = "trace=open,openat,creat,mkdir,mkdirat,write,pwrite64,writev,pwritev,\
    ftruncate,fallocate,copy_file_range,sendfile,splice,fsync,fdatasync,rename,renameat,renameat2,link,\
    linkat,unlink,unlinkat";

/// What is not sure yet about a path.
#[derive(Debug, Default, Clone)]
struct State {
    /// Writes to it, or names given in it.
    changes: usize,
    /// How many of them are durable.
    synced: usize,
}

/// The log so far.
struct Model<'m> {
    root: &'m Path,
    /// What the new index names, below the root.
    needed: &'m [String],
    /// Of files and directories that were changed.
    states: BTreeMap<PathBuf, State>,
    /// Names that were given, and the change of their directory that did so.
    names: BTreeMap<PathBuf, usize>,
    /// Syncs that have begun, by process.
    syncs: BTreeMap<String, (PathBuf, usize)>,
    lost: BTreeSet<String>,
}

/// One call, with its paths and whether it has begun, ended or both.
struct Call<'c> {
    process: &'c str,
    name: &'c str,
    arguments: &'c str,
    begins: bool,
    ends: bool,
}

static LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$").unwrap());
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?:(?:AT_FDCWD|\d+)<([^>]*)>)?(?:, )?(?:"([^"]*)")?"#).unwrap());

/// What an index would name in vain if the power were cut at the worst moment.
pub(crate) fn lost(log: &str, root: &Path, needed: &[String]) -> Vec<String> {
    let mut model = Model {
        root,
        needed,
        states: BTreeMap::new(),
        names: BTreeMap::new(),
        syncs: BTreeMap::new(),
        lost: BTreeSet::new(),
    };
    let mut begun: BTreeMap<String, String> = BTreeMap::new();
    for line in log.lines() {
        let Some(parts) = LINE.captures(line) else {
            continue;
        };
        let (process, name, rest) = (&parts[1], &parts[2], &parts[3]);
        let resumed = line.contains(" resumed>");
        let kept = resumed.then(|| begun.remove(process)).flatten();
        let (arguments, ends) = match (rest.strip_suffix(" <unfinished ...>"), &kept) {
            (Some(arguments), _) => {
                begun.insert(process.to_string(), arguments.to_string());
                (arguments, false)
            }
            (None, Some(before)) => (before.as_str(), !failed(rest)),
            (None, None) => (rest, !failed(rest)),
        };
        model.sees(&Call {
            process,
            name,
            arguments,
            begins: !resumed && (ends || rest.ends_with("<unfinished ...>")),
            ends,
        });
    }
    let index = root.join("index.json");
    if !model.is_named(&index) {
        model
            .lost
            .insert("index.json itself is not durable in the end".into());
    }
    model.lost.into_iter().collect()
}

fn failed(rest: &str) -> bool {
    rest.rsplit_once(" = ")
        .is_some_and(|(_, result)| result.starts_with("-1") || result.starts_with('?'))
}

/// The paths that a call names: `5</a>, "b"` is `/a/b`.
fn places(arguments: &str) -> Vec<PathBuf> {
    let places = PLACE.captures_iter(arguments).filter_map(|found| {
        let base = found.get(1).map_or("", |base| base.as_str());
        let name = found.get(2).map_or("", |name| name.as_str());
        let path = Path::new(base).join(name);
        (!path.as_os_str().is_empty()).then(|| path.components().collect())
    });
    places.collect()
}

impl Model<'_> {
    fn sees(&mut self, call: &Call<'_>) {
        let places = places(call.arguments);
        let Some(first) = places.first().cloned() else {
            return;
        };
        match call.name {
            "fsync" | "fdatasync" => self.syncs_file(call, first),
            "open" | "openat" | "creat" if call.ends => {
                if call.arguments.contains("O_CREAT") && !self.names.contains_key(&first) {
                    self.is_given(&first);
                }
                if call.arguments.contains("O_TRUNC") {
                    self.is_written(&first);
                }
            }
            "mkdir" | "mkdirat" if call.ends => self.is_given(&first),
            "unlink" | "unlinkat" if call.ends => {
                self.names.remove(&first);
                self.states.remove(&first);
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                self.moves(call, &first, places.get(1));
            }
            "open" | "openat" | "creat" | "mkdir" | "mkdirat" | "unlink" | "unlinkat" => {}
            // The file that is written to comes last in those that copy.
            "copy_file_range" => self.is_written(places.last().unwrap_or(&first)),
            _ => self.is_written(&first),
        }
    }

    fn syncs_file(&mut self, call: &Call<'_>, path: PathBuf) {
        if call.begins {
            let changes = self.states.get(&path).map_or(0, |state| state.changes);
            self.syncs.insert(call.process.to_string(), (path, changes));
        }
        let ended = call.ends.then(|| self.syncs.remove(call.process)).flatten();
        if let Some((path, changes)) = ended {
            let state = self.states.entry(path).or_default();
            state.synced = state.synced.max(changes);
        }
    }

    fn moves(&mut self, call: &Call<'_>, from: &Path, to: Option<&PathBuf>) {
        let Some(to) = to else {
            return;
        };
        if call.begins && *to == self.root.join("index.json") {
            if !self.is_content(from) {
                self.lost
                    .insert("index.json is renamed before it is synced".into());
            }
            self.checks();
        }
        if call.ends {
            if let Some(state) = self.states.remove(from) {
                self.states.insert(to.clone(), state);
            }
            self.names.remove(from);
            self.is_given(to);
        }
    }

    fn is_written(&mut self, path: &Path) {
        self.states.entry(path.to_path_buf()).or_default().changes += 1;
        if path == self.root.join("index.json") {
            self.lost.insert("index.json is written in place".into());
            self.checks();
        }
    }

    fn is_given(&mut self, path: &Path) {
        let parent = path.parent().unwrap_or(path);
        let parent = self.states.entry(parent.to_path_buf()).or_default();
        parent.changes += 1;
        self.names.insert(path.to_path_buf(), parent.changes);
    }

    fn is_content(&self, path: &Path) -> bool {
        let state = self.states.get(path);
        state.is_none_or(|state| state.synced >= state.changes)
    }

    /// Whether its name is durable, and those of all directories above it, up to that of the root.
    fn is_named(&self, path: &Path) -> bool {
        let above = path
            .ancestors()
            .take_while(|path| path.starts_with(self.root));
        above.into_iter().all(|path| {
            let parent = path.parent().and_then(|parent| self.states.get(parent));
            let synced = parent.map_or(0, |parent| parent.synced);
            self.names.get(path).is_none_or(|given| synced >= *given)
        })
    }

    fn checks(&mut self) {
        for name in self.needed {
            let path = self.root.join(name);
            if !self.is_content(&path) || !self.is_named(&path) {
                self.lost
                    .insert(format!("index.json names {name} before that is durable"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
7  mkdirat(5</d>, "blobs", 0777) = 0
7  openat(6</d/s>, "0", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0666) = 9</d/s/0>
8  write(9</d/s/0>, ""..., 10) = 10
8  fdatasync(9</d/s/0> <unfinished ...>
7  openat(6</d/s>, "1", O_WRONLY|O_CREAT, 0666) = 10</d/s/1>
7  write(10</d/s/1>, ""..., 10) = 10
8  <... fdatasync resumed>)          = 0
8  renameat(6</d/s>, "0", 7</d/blobs>, "aa") = 0
8  fsync(7</d/blobs>) = 0
8  fsync(5</d>) = 0
7  fdatasync(10</d/s/1>) = 0
7  renameat(6</d/s>, "1", 5</d>, "index.json") = 0
7  fsync(5</d>) = 0
"#;

    fn of(log: &str) -> Vec<String> {
        lost(log, Path::new("/d"), &["blobs/aa".to_string()])
    }

    #[test]
    fn the_table_model_of_a_power_cut_misses_no_sync() {
        assert_eq!(of(GOOD), [""; 0]);
        let syncs = GOOD.lines().filter(|line| line.contains("sync("));
        let without = |line: &str| GOOD.replace(line, "");
        for line in syncs.filter(|line| !line.contains("unfinished")) {
            // The two syncs of the root are one text.
            assert_ne!(of(&without(line)), [""; 0], "{line}");
        }
        assert_ne!(
            of(&without("8  <... fdatasync resumed>)          = 0")),
            [""; 0]
        );
        let late = "8  write(9</d/s/0>, ''..., 10) = 10\n8  renameat(6</d/s>, \"0\"";
        assert_ne!(
            of(&GOOD.replace("8  renameat(6</d/s>, \"0\"", late)),
            [""; 0]
        );
    }
}
