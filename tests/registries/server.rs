//! Registries that others wrote, each in a process of its own that ends with the test.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::registry::soon;
use crate::support::{Run, has_peer, tempdir};

/// The file that says how distribution is set up, in its directory.
const CONFIG: &str = "config.yml";

/// A registry on a port of 127.0.0.1 that the system chose.
pub(crate) struct Server {
    process: Child,
    command: Command,
    host: String,
    log: Arc<Mutex<String>>,
    /// Its data, which goes with it.
    home: TempDir,
}

/// How distribution is set up, beyond what every test needs.
#[derive(Default)]
pub(crate) struct Setup {
    /// The section `auth` of its configuration.
    pub(crate) auth: Option<Value>,
    /// The section `http.tls`.
    pub(crate) tls: Option<Value>,
}

impl Server {
    /// Debian's docker-registry, which is distribution 2.8, open to all.
    pub(crate) fn debian() -> Option<Self> {
        Self::debian_with(Setup::default())
    }

    /// Debian's docker-registry. `None`, said on stderr, where there is none.
    pub(crate) fn debian_with(setup: Setup) -> Option<Self> {
        let program = "docker-registry";
        has_peer(program).then(|| Self::distribution(program.as_ref(), setup))
    }

    /// distribution 3, where it is.
    pub(crate) fn distribution3() -> Option<Self> {
        let program = optional("registry")?;
        let version = Run::of(Command::new(&program).arg("--version")).stdout;
        version
            .contains("distribution/v3")
            .then(|| Self::distribution(&program, Setup::default()))
    }

    /// The registry of go-containerregistry, with the referrers API. It is built here, from
    /// `referrers/main.go`, where Go and its packages can be had.
    pub(crate) fn with_referrers() -> Option<Self> {
        static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
        let program = BUILT.get_or_init(|| built("referrers")).as_ref()?;
        Some(Self::start(Command::new(program), tempdir()))
    }

    fn distribution(program: &Path, setup: Setup) -> Self {
        let home = tempdir();
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "info" },
            "storage": {
                "filesystem": { "rootdirectory": home.path().join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": "127.0.0.1:0", "secret": "of the tests" },
            // Foreign layers, wherever they are.
            "validation": { "manifests": { "urls": { "allow": ["^https?://"] } } },
        });
        if let Some(auth) = setup.auth {
            config["auth"] = auth;
        }
        if let Some(tls) = setup.tls {
            config["http"]["tls"] = tls;
        }
        // Its YAML is a superset of JSON.
        let file = home.path().join(CONFIG);
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg(file)
            .env("OTEL_TRACES_EXPORTER", "none");
        Self::start(command, home)
    }

    fn start(mut command: Command, home: TempDir) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let log = Arc::default();
        let (process, host) = listening(&mut command, &log);
        Self {
            process,
            command,
            host,
            log,
            home,
        }
    }

    /// Ends it as the kernel would that needs the memory: nothing is finished, nothing told.
    #[allow(dead_code, reason = "not every test program kills")]
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts distribution again after a kill, on the same port and with the same data.
    #[allow(dead_code, reason = "not every test program kills")]
    pub(crate) fn start_again(&mut self) {
        let file = self.home.path().join(CONFIG);
        let config = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, config.replace("127.0.0.1:0", &self.host)).unwrap();
        let (process, host) = listening(&mut self.command, &self.log);
        self.process = process;
        assert_eq!(host, self.host);
    }

    /// `127.0.0.1:41234`
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A reference to an image here.
    pub(crate) fn image(&self, repository: &str, tag: &str) -> String {
        format!("docker://{}/{repository}:{tag}", self.host)
    }

    /// What it said until now.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// How many requests of a method, with `part` in the address, distribution logged with `status`.
    pub(crate) fn requests(&self, method: &str, part: &str, status: u16) -> usize {
        let log = self.log();
        let begin = format!("\"{method} ");
        let is_it = |line: &&str| {
            let request = line.split_once(&begin);
            request.is_some_and(|(_, rest)| {
                let (address, answer) = rest.split_once(" HTTP/").unwrap_or((rest, ""));
                let answered = answer.split_once("\" ").map_or("", |(_, answer)| answer);
                address.contains(part) && answered.starts_with(&status.to_string())
            })
        };
        log.lines().filter(is_it).count()
    }

    /// Panics unless there were so many of these requests, each of which is logged a little after its
    /// answer.
    #[track_caller]
    pub(crate) fn saw(&self, count: usize, method: &str, part: &str, status: u16) {
        soon(|| self.requests(method, part, status) >= count);
        assert_eq!(self.requests(method, part, status), count, "{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server and waits until it says where it listens.
fn listening(command: &mut Command, log: &Arc<Mutex<String>>) -> (Child, String) {
    let mut process = command.spawn().unwrap();
    let (said, saying) = channel();
    read_on(process.stdout.take().unwrap(), said.clone(), log.clone());
    read_on(process.stderr.take().unwrap(), said, log.clone());
    match saying.recv_timeout(Duration::from_mins(1)) {
        Ok(host) => (process, host),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = process.kill();
            let _ = process.wait();
            panic!("{command:?} does not listen:\n{}", log.lock().unwrap());
        }
    }
}

/// Reads what a server says to its end, so that it never waits for a reader, and tells its address.
fn read_on(from: impl Read + Send + 'static, said: Sender<String>, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
                let host = rest.split(|c| !is_part(c)).next().unwrap_or_default();
                let _ = said.send(host.to_string());
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

/// Another program that no test depends on, here or where Go installs programs.
pub(crate) fn optional(program: &str) -> Option<PathBuf> {
    let go = std::env::var_os("HOME").map(|home| Path::new(&home).join("go/bin").join(program));
    let places = [Some(PathBuf::from(program)), go];
    let answers = |path: &PathBuf| Command::new(path).arg("version").output().is_ok();
    let found = places.into_iter().flatten().find(answers);
    if found.is_none() {
        eprintln!("left out: {program} is not installed");
    }
    found
}

/// A program of this folder, built by Go, which keeps what it built for the next time.
fn built(name: &str) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registries");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let go = |args: &[&str]| {
        let mut go = Command::new("go");
        go.args(args).current_dir(source.join(name)).output()
    };
    // Its packages come from the network: where they cannot be had, it is said and left out.
    match go(&["mod", "download"]) {
        Ok(had) if had.status.success() => {}
        Ok(failed) => {
            let why = String::from_utf8_lossy(&failed.stderr).into_owned();
            eprintln!("left out: the packages of the registry {name} cannot be had: {why}");
            return None;
        }
        Err(error) => {
            eprintln!("left out: the registry {name} needs Go: {error}");
            return None;
        }
    }
    let built = go(&["build", "-o", &program.display().to_string(), "."]).unwrap();
    let told = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(
        built.status.success(),
        "the registry {name} does not build: {told}"
    );
    Some(program)
}
