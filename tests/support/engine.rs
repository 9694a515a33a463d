//! A Docker engine of a test's own: its data, its sockets and its end are those of the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Run, has_peer, tempdir};

/// A running engine.
pub struct Engine {
    home: TempDir,
    daemon: Child,
}

impl Engine {
    /// Starts an engine; `None`, said on stderr, where there is none or it may not be started.
    pub fn start() -> Option<Self> {
        let is_root = Run::of(Command::new("id").arg("-u")).stdout.trim() == "0";
        if !has_peer("dockerd") || !has_peer("docker") {
            return None;
        }
        if !is_root {
            assert!(
                std::env::var_os("CI").is_none(),
                "the engine needs root in CI"
            );
            eprintln!("left out: only root can start a Docker engine");
            return None;
        }
        let home = tempdir();
        let at = |name: &str| home.path().join(name).display().to_string();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let daemon = Command::new("dockerd")
            .args(["--storage-driver=vfs", "--iptables=false", "--bridge=none"])
            .args([
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
                "--pidfile",
                &at("pid"),
            ])
            .args(["--host", &format!("unix://{}", at("socket"))])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut engine = Self { home, daemon };
        let begun = Instant::now();
        while engine.try_docker(&["version"]).code != Some(0) {
            let died = engine.daemon.try_wait().unwrap().is_some();
            let log = std::fs::read_to_string(engine.home.path().join("log")).unwrap();
            assert!(
                !died && begun.elapsed() < Duration::from_mins(1),
                "no engine:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(engine)
    }

    /// The directory that goes with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn try_docker(&self, args: &[&str]) -> Run {
        let socket = format!("unix://{}", self.home.path().join("socket").display());
        Run::of(
            Command::new("docker")
                .env("DOCKER_HOST", socket)
                .env("DOCKER_BUILDKIT", "0")
                .args(args),
        )
    }

    /// What a command says that succeeds.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).ok().stdout.trim().to_string()
    }

    /// The image ID that it shows.
    #[track_caller]
    pub fn image_id(&self, name: &str) -> String {
        self.docker(&["image", "inspect", "--format", "{{.Id}}", name])
    }

    /// Builds an image of three layers, two of them equal, from nothing.
    pub fn build(&self, name: &str) {
        let context = self.home.path().join("context");
        std::fs::create_dir_all(&context).unwrap();
        std::fs::write(context.join("file"), "content").unwrap();
        let steps =
            "FROM scratch\nENV A=b\nCOPY file /one\nCOPY file /two\nLABEL k=v\nCOPY file /one\n";
        std::fs::write(context.join("Dockerfile"), steps).unwrap();
        let context = context.display().to_string();
        self.docker(&["build", "--quiet", "--tag", name, &context]);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends its own children; what it mounted goes before the directory does.
        let _ = Command::new("kill")
            .arg(self.daemon.id().to_string())
            .status();
        let _ = self.daemon.wait();
        let netns = self.home.path().join("exec/netns/default");
        let _ = Command::new("umount")
            .arg(netns)
            .stderr(Stdio::null())
            .status();
    }
}
