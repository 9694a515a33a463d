//! A real Docker engine: what it saves today is read, and the image keeps the ID that it shows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Run, has_peer, imgcopy, tempdir};
use tempfile::TempDir;

/// An engine of its own: its data, its sockets and its end are those of the test.
struct Engine {
    home: TempDir,
    daemon: Child,
}

impl Engine {
    /// Starts an engine; `None`, said on stderr, where there is none or it may not be started.
    fn start() -> Option<Self> {
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

    fn try_docker(&self, args: &[&str]) -> Run {
        let socket = format!("unix://{}", self.home.path().join("socket").display());
        Run::of(
            Command::new("docker")
                .env("DOCKER_HOST", socket)
                .env("DOCKER_BUILDKIT", "0")
                .args(args),
        )
    }

    #[track_caller]
    fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).ok().stdout.trim().to_string()
    }

    /// Builds an image of three layers, two of them equal, from nothing.
    fn build(&self, name: &str) {
        let context = self.home.path().join("context");
        std::fs::create_dir_all(&context).unwrap();
        std::fs::write(context.join("file"), "content").unwrap();
        let steps =
            "FROM scratch\nENV A=b\nCOPY file /one\nCOPY file /two\nLABEL k=v\nCOPY file /one\n";
        std::fs::write(context.join("Dockerfile"), steps).unwrap();
        self.docker(&[
            "build",
            "--quiet",
            "--tag",
            name,
            &context.display().to_string(),
        ]);
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

fn image_id(layout: &str) -> String {
    let told = imgcopy(["inspect", layout, "--format", "json"]).ok().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told.get("imageId").unwrap().as_str().unwrap().to_string()
}

fn write_and_compare(engine: &Engine, saved: &Path, name: &str) {
    let directory = tempdir();
    let layout = format!("oci:{}:latest", directory.path().join("out").display());
    let archive = format!("docker-archive:{}:{name}", saved.display());
    imgcopy([&archive, &layout]).ok();
    imgcopy(["verify", &layout]).ok();
    let shown = engine.docker(&["image", "inspect", "--format", "{{.Id}}", name]);
    assert_eq!(image_id(&layout), shown);
    let plan = imgcopy(["plan", &archive, &layout]).ok().stdout;
    assert!(plan.ends_with("nothing to do\n"), "{plan}");
}

#[test]
fn what_an_engine_saves_keeps_the_id_that_it_shows() {
    let Some(engine) = Engine::start() else {
        return;
    };
    engine.build("own/built:1");
    let saved = engine.home.path().join("saved.tar");
    let to = saved.display().to_string();

    engine.docker(&["save", "--output", &to, "own/built:1"]);
    write_and_compare(&engine, &saved, "own/built:1");

    // What was saved is imported as the only layer of another image, and both are saved together.
    let imported = engine.home.path().join("context/file.tar");
    std::fs::copy(&saved, &imported).unwrap();
    engine.docker(&["import", &imported.display().to_string(), "own/imported:2"]);
    engine.docker(&["save", "--output", &to, "own/built:1", "own/imported:2"]);
    write_and_compare(&engine, &saved, "own/built:1");
    write_and_compare(&engine, &saved, "own/imported:2");
}
