//! Two desks with the same things on them: at one sits Debian's skopeo, at the other imgcopy by the name
//! of skopeo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::server::{Server, Setup};
use crate::support::{Run, fixture, has_peer, tempdir};

/// What is different on purpose, everywhere: a part of the command line, and the reason. Whatever is
/// compared of such a command line must differ, so that no line here outlives its reason.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    (
        "inspect dir:schema1",
        "Docker's first manifests are not read",
    ),
    (
        "inspect --config dir:schema1",
        "Docker's first manifests are not read",
    ),
    (
        "copy dir:gzip oci:out:a",
        "skopeo writes the config anew for OCI; imgcopy keeps its bytes, so the image ID stays",
    ),
    (
        "copy --all dir:list oci:out:a",
        "skopeo writes the config anew for OCI; imgcopy keeps its bytes, so the image ID stays",
    ),
    (
        "copy --format oci dir:gzip dir:out",
        "skopeo writes the config anew for OCI; imgcopy keeps its bytes, so the image ID stays",
    ),
    (
        "copy docker-archive:single.tar dir:out",
        "skopeo says of plain layers that they are compressed",
    ),
    (
        "copy --format v2s1 dir:gzip dir:out",
        "Docker's first manifests are not written",
    ),
    (
        "delete oci:out:a",
        "newer versions of skopeo delete from directories, too",
    ),
    ("--version", "it says that it is imgcopy"),
    (
        "copy dir:gzip",
        "newer versions of skopeo say what is wrong; 1.9.3 prints its help and succeeds",
    ),
    (
        "list-tags",
        "newer versions of skopeo say what is wrong; 1.9.3 prints its help and succeeds",
    ),
    (
        "sync --src yaml --dest dir missing.yaml out",
        "what is named and cannot be read makes the run fail",
    ),
    (
        "sync --src yaml --dest dir unknown.yaml out",
        "a key that nobody knows is an error",
    ),
    (
        "standalone-sign a b c -o d",
        "signing is not there, and says so",
    ),
    (
        "copy --encryption-key jwe:k dir:gzip oci:out:a",
        "nothing is encrypted; it is refused, not ignored",
    ),
    (
        "inspect --format {{.Nope}} dir:gzip",
        "the words of Go's own templates",
    ),
    (
        "copy --quiet=x dir:gzip dir:out",
        "the long name alone is told",
    ),
];

/// The two desks.
pub(crate) struct Pair {
    pub(crate) theirs: Desk,
    pub(crate) ours: Desk,
    /// Who may ask the registries.
    users: Option<TempDir>,
}

/// A directory to work in, and who works there.
pub(crate) struct Desk {
    program: PathBuf,
    root: TempDir,
    registry: Option<Server>,
}

/// What came of a command line, without what differs between any two runs.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// The text of the last line, if it is an error.
    pub(crate) fatal: String,
}

impl Pair {
    /// `None`, said on stderr, where there is no skopeo.
    pub(crate) fn new() -> Option<Self> {
        let pair = || Self {
            theirs: Desk::of("skopeo".into(), None),
            ours: Desk::ours(None),
            users: None,
        };
        has_peer("skopeo").then(pair)
    }

    /// Each with a registry of its own; `HOST` on a command line is its address.
    pub(crate) fn with_registries() -> Option<Self> {
        Self::with(Setup::default, || true)
    }

    /// As above, and the registries want `me` and `secret`.
    pub(crate) fn with_passwords() -> Option<Self> {
        let users = tempdir();
        let file = users.path().join("users");
        let made = Command::new("htpasswd")
            .args(["-Bbn", "me", "secret"])
            .output();
        let made = || {
            made.as_ref()
                .is_ok_and(|made| std::fs::write(&file, &made.stdout).is_ok())
        };
        let setup = || Setup {
            auth: Some(json!({ "htpasswd": { "realm": "the tests", "path": file } })),
            ..Setup::default()
        };
        let mut pair = Self::with(setup, || has_peer("htpasswd") && made())?;
        pair.users = Some(users);
        Some(pair)
    }

    fn with(setup: impl Fn() -> Setup, ready: impl Fn() -> bool) -> Option<Self> {
        if !has_peer("skopeo") || !ready() {
            return None;
        }
        Some(Self {
            theirs: Desk::of("skopeo".into(), Some(Server::debian_with(setup())?)),
            ours: Desk::ours(Some(Server::debian_with(setup())?)),
            users: None,
        })
    }

    /// Both run it, and the same comes of it, unless that is a known difference. Gives what came of ours.
    #[track_caller]
    pub(crate) fn same(&self, line: &str) -> Outcome {
        let (theirs, ours) = (self.theirs.run(line), self.ours.run(line));
        let known = DIFFERENCES.iter().find(|(known, _)| *known == line);
        match known {
            Some((_, why)) => assert_ne!(theirs, ours, "no longer so: {line}: {why}"),
            None => assert_eq!(theirs, ours, "{line}"),
        }
        ours
    }

    /// Both run it, the same comes of it, and both wrote the same into this directory.
    #[track_caller]
    pub(crate) fn writes_the_same(&self, line: &str, directory: &str) {
        let (theirs, ours) = (self.theirs.run(line), self.ours.run(line));
        let theirs = (theirs, self.theirs.content(directory));
        let ours = (ours, self.ours.content(directory));
        match DIFFERENCES.iter().find(|(known, _)| *known == line) {
            Some((_, why)) => assert_ne!(theirs, ours, "no longer so: {line}: {why}"),
            None => assert_eq!(theirs, ours, "{line}"),
        }
    }
}

impl Desk {
    /// Ours, by a link with the name of skopeo.
    pub(crate) fn ours(registry: Option<Server>) -> Self {
        let mut desk = Self::of(PathBuf::new(), registry);
        desk.program = desk.at("skopeo");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_imgcopy"), &desk.program).unwrap();
        desk
    }

    fn of(program: PathBuf, registry: Option<Server>) -> Self {
        let root = tempdir();
        let at = |name: &str| root.path().join(name);
        for name in ["gzip", "list", "oci-index", "plain", "schema1"] {
            std::os::unix::fs::symlink(fixture(&format!("dir/{name}")), at(name)).unwrap();
        }
        for name in ["single.tar", "multitag.tar"] {
            std::fs::copy(fixture(&format!("docker28/{name}")), at(name)).unwrap();
        }
        // The policy is that of the user.
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        std::fs::create_dir_all(at("home/.config/containers")).unwrap();
        std::fs::create_dir_all(at("run")).unwrap();
        std::fs::write(at("home/.config/containers/policy.json"), policy).unwrap();
        Self {
            program,
            root,
            registry,
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn host(&self) -> &str {
        self.registry.as_ref().map_or("HOST", Server::host)
    }

    /// The command, with nothing on stdin.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .env("HOME", self.at("home"))
            .env_remove("XDG_CONFIG_HOME")
            .env("XDG_RUNTIME_DIR", self.at("run"))
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("CONTAINERS_POLICY_JSON");
        command
    }

    /// Runs a line, whose words are apart by blanks.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words = words.map(|word| word.replace("HOST", self.host()));
        let mut command = self.command();
        self.outcome(&Run::of(command.args(words)))
    }

    /// What a line logs, without the time, and with `HOST` for the address.
    pub(crate) fn log(&self, line: &str) -> Vec<String> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words = words.map(|word| word.replace("HOST", self.host()));
        let run = Run::of(self.command().args(words));
        let lines = run.stderr.lines();
        let lines = lines.filter_map(|line| line.split_once(" level=").map(|(_, said)| said));
        lines
            .map(|said| {
                let said = said.replace(self.host(), "HOST");
                said.replace("manifest unknown: manifest unknown", "manifest unknown")
            })
            .collect()
    }

    pub(crate) fn outcome(&self, run: &Run) -> Outcome {
        let told = run.stderr.lines().last().unwrap_or_default();
        let fatal = told.split_once("level=fatal ").map_or("", |(_, text)| text);
        let plain = |text: &str| text.replace(self.host(), "HOST");
        // Layers travel several at once. 1.9.3 tells less of layers than newer ones.
        let lines = without_layers_data(&run.stdout);
        let (mut blobs, mut others) = (Vec::new(), Vec::new());
        for line in lines {
            match line.starts_with("Copying blob ") {
                true => blobs.push(line),
                false => others.push(line),
            }
        }
        blobs.sort();
        blobs.extend(others);
        // What a registry says of what it has not is told twice by 1.9.3.
        let fatal = fatal.replace("manifest unknown: manifest unknown", "manifest unknown");
        Outcome {
            code: run.code,
            stdout: plain(&blobs.join("\n")),
            fatal: plain(&fatal),
        }
    }

    /// Every file of a directory, and its digest.
    pub(crate) fn content(&self, directory: &str) -> Vec<(String, String)> {
        let root = self.at(directory);
        let files = crate::support::tree(&root).into_iter();
        let own = |name: &String| !name.contains(".imgcopy");
        let files = files.filter(own).filter(|name| root.join(name).is_file());
        files
            .map(|name| {
                let content = std::fs::read(root.join(&name)).unwrap();
                (name, crate::support::sha256(&content))
            })
            .collect()
    }

    pub(crate) fn json(&self, file: impl AsRef<Path>) -> serde_json::Value {
        let text = std::fs::read(self.root.path().join(file)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

/// Lines without the member `LayersData`, which stands before `Env`.
fn without_layers_data(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        inside |= line == "    \"LayersData\": [";
        if !inside {
            lines.push(line.to_string());
        }
        inside &= line != "    ],";
    }
    lines
}
