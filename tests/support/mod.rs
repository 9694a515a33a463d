//! What the tests share: running the command, finding fixtures and peers, making archives.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]
#![allow(unreachable_pub, unused_imports, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

mod archive;
pub mod proxy;
pub mod registry;
pub mod truth;

pub use archive::{Archive, image};

/// What a run of a program gave.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        Self::from(
            command
                .output()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        )
    }

    /// Panics with everything that was said unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Panics unless the program failed with this exit code, in one clear error and no panic.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert_eq!(self.stderr.matches("error:").count(), 1, "{}", self.stderr);
        assert_eq!(self.stdout, "", "an error says nothing on stdout");
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Where nothing can be remembered, so that no test depends on another or on who runs it.
pub const NO_CACHE: (&str, &str) = ("XDG_CACHE_HOME", "/dev/null/none");

/// The command under test.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgcopy"));
    command.env(NO_CACHE.0, NO_CACHE.1);
    command
}

/// Runs the command under test.
pub fn imgcopy<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    Run::of(command().args(args))
}

/// A file or directory of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path);
    assert!(found.exists(), "{} is missing", found.display());
    found
}

/// What is directly inside a folder of `tests/fixtures`, sorted.
pub fn fixtures(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(fixture(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

pub fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Whether a real tool is there. In CI it must be; elsewhere the test says what it leaves out.
pub fn has_peer(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} must be installed in CI"
        );
        eprintln!("left out: {program} is not installed");
    }
    found
}

/// Every path below `root`, relative to it, sorted; for telling whether anything changed.
pub fn tree(root: &Path) -> Vec<String> {
    fn visit(root: &Path, at: &Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(at) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(root).unwrap().display().to_string());
            if path.symlink_metadata().unwrap().is_dir() {
                visit(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(root, root, &mut found);
    found.sort();
    found
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    imgcopy::image::Digest::of(bytes).hex().to_string()
}

/// The plan of a copy, as data.
pub fn plan(source: &str, destination: &str) -> serde_json::Value {
    let planned = imgcopy(["plan", source, destination, "--format", "json"]).ok();
    serde_json::from_str(&planned.stdout).unwrap()
}

/// Copies and gives the digest that was told.
pub fn copy(source: &str, destination: &str) -> String {
    let copied = imgcopy(["copy", "--quiet", source, destination]).ok();
    copied.stdout.trim().to_string()
}

/// Everything by which one could see that something below `root` was touched.
pub fn stamps(root: &Path) -> std::collections::BTreeMap<String, (u64, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |path: String| {
        let now = root.join(&path).symlink_metadata().unwrap();
        (path, (now.ino(), now.size(), now.mtime(), now.mtime_nsec()))
    };
    tree(root).into_iter().map(stamp).collect()
}

/// How many blobs an OCI directory has.
pub fn blobs(directory: &Path) -> usize {
    let is_file = |path: &String| directory.join("blobs").join(path).is_file();
    let found = tree(&directory.join("blobs"));
    found.iter().filter(|path| is_file(path)).count()
}

/// Bytes that nothing compresses; the same seed gives the same bytes (`SplitMix64`).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = seed;
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// `docker-archive:PATH`
pub fn archive_at(path: &Path) -> String {
    format!("docker-archive:{}", path.display())
}

/// `oci:PATH:TAG`
pub fn oci_at(path: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", path.display())
}

/// Registries as nobody in particular reaches them, with nothing from files or the environment.
pub fn nobody() -> imgcopy::store::registry::Registries {
    imgcopy::store::registry::Registries::new(imgcopy::store::registry::Options::bare())
}

/// Copies without a process of its own, which is much faster. Gives the digest.
pub fn copy_here(source: &str, destination: &str) -> imgcopy::error::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let source: imgcopy::image::Reference = source.parse()?;
        let destination: imgcopy::image::Reference = destination.parse()?;
        let registries = nobody();
        let from = imgcopy::store::open_source(&source, &registries)?;
        let to = imgcopy::store::open_destination(&destination, &registries, false)?;
        let mut job = imgcopy::copy::Job::new(&*from, &*to);
        job.name = source.name().clone();
        job.tags = destination.name().tag().cloned().into_iter().collect();
        let outcome = imgcopy::copy::copy(&job, &imgcopy::copy::Silent::new()).await?;
        Ok(outcome.digest.to_string())
    })
}

/// An error with all of its causes, as the command would print it.
pub fn told(error: &imgcopy::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Panics unless everything in an OCI directory is whole: each file under `blobs/` hashes to its
/// name, and all that `index.json` leads to is there with the right size. Gives the tags, sorted.
#[track_caller]
pub fn assert_whole(directory: &Path) -> Vec<String> {
    let blobs = directory.join("blobs/sha256");
    let mut sizes = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(&blobs).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            sha256(&bytes),
            name,
            "{} is not what it is called",
            path.display()
        );
        sizes.insert(format!("sha256:{name}"), bytes.len() as u64);
    }
    let Ok(text) = std::fs::read(directory.join("index.json")) else {
        return Vec::new();
    };
    let index: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let list = |of: &serde_json::Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let mut below = list(&index, "manifests");
    let name = |entry: &serde_json::Value| {
        entry["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .map(str::to_string)
    };
    let mut tags: Vec<String> = below.iter().filter_map(name).collect();
    while let Some(descriptor) = below.pop() {
        let digest = descriptor["digest"].as_str().unwrap();
        assert_eq!(
            sizes.get(digest).copied(),
            descriptor["size"].as_u64(),
            "{descriptor}"
        );
        let kind = descriptor["mediaType"].as_str().unwrap_or_default();
        if kind.contains("manifest") || kind.contains("index") {
            let path = blobs.join(digest.trim_start_matches("sha256:"));
            let text = std::fs::read(path).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
            below.extend(list(&manifest, "manifests"));
            below.extend(list(&manifest, "layers"));
            below.extend(manifest.get("config").cloned());
        }
    }
    tags.sort();
    tags
}

/// The directories in which writers of an OCI directory keep what is not finished, and what is in
/// them.
pub fn stages(directory: &Path) -> Vec<String> {
    let own = tree(&directory.join(".imgcopy"));
    own.into_iter()
        .filter(|name| name.starts_with("stage-"))
        .collect()
}

/// Waits for a program that has promised to end by then; kills it and panics if it does not.
#[track_caller]
pub fn ends_within(
    child: &mut std::process::Child,
    limit: std::time::Duration,
) -> std::process::ExitStatus {
    let begun = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end within {limit:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// How long copies may live that are to be killed. No machine's speed is known or stays what it was,
/// so a copy that is done too early shortens it, and one that dies prolongs it.
pub struct Lifetime(std::time::Duration);

impl Lifetime {
    pub fn of_copies() -> Self {
        Self(std::time::Duration::ZERO)
    }

    pub fn is_at_least(&mut self, taken: std::time::Duration) {
        self.0 = self.0.max(taken);
    }

    /// Kills a child at a random moment of its life; whether it died of it.
    pub fn kill(&mut self, child: &mut std::process::Child, seed: u64) -> bool {
        let random = u64::from_le_bytes(noise(seed, 8).try_into().unwrap());
        std::thread::sleep(self.0 * u32::try_from(random % 1000).unwrap() / 1000);
        child.kill().unwrap();
        let died = child.wait().unwrap().code().is_none();
        match died {
            true => self.0 += self.0 / 10,
            false => self.0 -= self.0 / 5,
        }
        died
    }
}

/// Runs a program that has promised to end by then.
#[track_caller]
pub fn run_within(command: &mut Command, limit: std::time::Duration) -> Run {
    use std::process::Stdio;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    ends_within(&mut child, limit);
    Run::from(child.wait_with_output().unwrap())
}

/// A directory with something in it that no copy may touch or read.
pub struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let root = tempdir();
        std::fs::create_dir(root.path().join("in")).unwrap();
        std::fs::write(root.path().join("secret"), "nobody's business").unwrap();
        Self { root }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Copies an archive to a place that does not exist yet.
    pub fn copy(&self, archive: &[u8]) -> imgcopy::error::Result<String> {
        let from = self.at("in/archive");
        std::fs::write(&from, archive).unwrap();
        self.copy_from(&archive_at(&from))
    }

    /// Copies to a place that does not exist yet, and looks at what became of everything else.
    #[track_caller]
    pub fn copy_from(&self, source: &str) -> imgcopy::error::Result<String> {
        let before = stamps(self.root.path());
        let copied = copy_here(source, &oci_at(&self.at("out"), "a"));
        let mut after = stamps(self.root.path());
        after.retain(|name, _| name != "out" && !is_part_of_out(name));
        assert_eq!(after, before);
        copied
    }

    /// The archive is good, and what it becomes is whole. Gives the digest.
    #[track_caller]
    pub fn accepts(&self, archive: &[u8]) -> String {
        let copied = self.copy(archive);
        self.is_good(copied)
    }

    /// The archive is bad, says so, and leaves no trace. Gives what is told.
    #[track_caller]
    pub fn refuses(&self, archive: &[u8]) -> String {
        let copied = self.copy(archive);
        self.is_bad(copied)
    }

    #[track_caller]
    pub fn is_good(&self, copied: imgcopy::error::Result<String>) -> String {
        let digest = copied.unwrap_or_else(|error| panic!("{}", told(&error)));
        assert_eq!(assert_whole(&self.at("out")), ["a"]);
        std::fs::remove_dir_all(self.at("out")).unwrap();
        digest
    }

    #[track_caller]
    pub fn is_bad(&self, copied: imgcopy::error::Result<String>) -> String {
        let error = match copied {
            Ok(digest) => panic!("it was copied as {digest}"),
            Err(error) => error,
        };
        let told = told(&error);
        assert!(error.is_bad_source(), "{told}");
        assert!(
            !told.contains("died") && !told.contains(['\n', '\0', '\x1b']),
            "{told:?}"
        );
        assert!(
            !self.at("out").exists(),
            "{told}: {:?}",
            tree(self.root.path())
        );
        told
    }
}

/// Whether a file is one that an OCI directory at `out` consists of.
fn is_part_of_out(name: &str) -> bool {
    let is_digest = |hex: &str| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit());
    let digest = name.strip_prefix("out/blobs/sha256/");
    let layout = ["blobs", "blobs/sha256", "index.json", "oci-layout"];
    let own = [".imgcopy", ".imgcopy/lock", ".imgcopy/verified"];
    let mut fixed = layout.iter().chain(&own);
    digest.is_some_and(is_digest) || fixed.any(|fixed| name.strip_prefix("out/") == Some(*fixed))
}
