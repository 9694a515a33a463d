//! What `sync` tells when it is interrupted or has ended, and `watch`, which runs again and again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
// Samples are small whole numbers.
#![allow(clippy::float_cmp)]

#[path = "../support/mod.rs"]
mod support;

mod ended;
mod interrupted;
mod running;
mod scrape;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::registry::{Registry, Request, Response, Server, soon};
use support::{command, ends_within, tempdir};
use tempfile::TempDir;

/// Two registries and a directory with a `sync.yaml`.
struct World {
    from: Registry,
    to: Registry,
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            from: Registry::start(),
            to: Registry::start(),
            dir: tempdir(),
        };
        world.from.add_image("team/app", "1", &[2000], 1);
        world.wants("[1]", "");
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that copies these tags, and says some more.
    fn wants(&self, tags: &str, more: &str) {
        let (from, to) = (self.from.host(), self.to.host());
        let yaml = format!(
            "version: 1\nregistries: {{'{from}': {{tls: off}}, '{to}': {{tls: off}}}}\n\
             images: [{{from: {from}/team/app, tags: {tags}, to: {to}/mirror/app}}]\n{more}\n"
        );
        self.puts("sync.yaml", &yaml);
    }

    /// In one step, so that nobody reads half of it.
    fn puts(&self, name: &str, text: &str) {
        let new = self.at("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.at(name)).unwrap();
    }

    fn starts(&self, verb: &str, args: &[&str]) -> Running {
        let mut command = command();
        command.current_dir(self.dir.path());
        command.args([verb, "sync.yaml"]).args(args);
        Running::of(&mut command)
    }

    fn report(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.at(name)).unwrap()).unwrap()
    }
}

/// A command that runs, and what it has said on stderr.
struct Running {
    child: Child,
    told: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn of(command: &mut Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let reader = std::thread::spawn({
            let told = told.clone();
            move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = stderr.read(&mut piece) {
                    let text = String::from_utf8_lossy(&piece[..length]);
                    told.lock().unwrap().push_str(&text);
                }
            }
        });
        Self {
            child,
            told,
            reader: Some(reader),
        }
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    fn count(&self, text: &str) -> usize {
        self.told().matches(text).count()
    }

    /// Waits until it has said this so often.
    #[track_caller]
    fn tells(&self, text: &str, count: usize) {
        soon(|| self.count(text) >= count);
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end; gives the exit code and everything that it said.
    fn ends(mut self) -> (Option<i32>, String) {
        let code = ends_within(&mut self.child, Duration::from_secs(20)).code();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let told = self.told();
        assert!(!told.contains("panicked"), "{told}");
        (code, told)
    }
}

impl Drop for Running {
    /// A test that failed leaves nothing that goes on.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who is told, and what came.
struct Hook {
    server: Server,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    const SECRET: &str = "T0K3N-of-the-hook";

    fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let server = Server::start({
            let bodies = bodies.clone();
            move |request: &Request| {
                assert_eq!(request.header("content-type"), Some("application/json"));
                let body = serde_json::from_slice(&request.body).unwrap();
                bodies.lock().unwrap().push(body);
                Response::new(200)
            }
        });
        Self { server, bodies }
    }

    fn address(&self) -> String {
        format!("http://{}/hooks/{}", self.server.host(), Self::SECRET)
    }

    fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The value of a sample in Prometheus' text form.
#[track_caller]
fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| {
        let value = line.strip_prefix(name)?;
        value.strip_prefix(' ')
    });
    line.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
        .parse()
        .unwrap()
}
