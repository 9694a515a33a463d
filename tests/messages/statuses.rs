//! What a registry may answer, and what a user then reads.

use std::fmt::Write as _;

use crate::support::registry::{Action, Fault, Options, Registry, Response};
use crate::support::{Run, command, tempdir};

/// A body in the form of the distribution specification.
fn body(code: &str, message: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#)
}

fn with(status: u16, code: &str, message: &str) -> Action {
    Action::error(status, code, message)
}

fn page(status: u16, title: &str) -> Action {
    let page = format!("<html><head><title>{title}</title></head></html>");
    Action::Answer(Response::new(status).body("text/html", page))
}

/// What was said, without the port and without digests.
fn said(registry: &Registry, run: &Run) -> String {
    let text = run.stderr.replace(&registry.host(), "registry.example");
    let digest = regex::Regex::new("sha256:[0-9a-f]{64}").unwrap();
    let text = digest.replace_all(&text, "sha256:...");
    // Told by the clock.
    let hour = regex::Regex::new("until .* GMT").unwrap();
    let text = hour.replace_all(&text, "until ...");
    format!("{text}exit {}\n", run.code.unwrap())
}

/// One answer to each request of a kind, and the lines that meet it.
#[track_caller]
fn meets(told: &mut String, what: &str, fault: (&str, &str, Action), line: &[&str]) {
    let registry = Registry::with(Options::default());
    registry.add_image("a/app", "1", &[1000], 1);
    let (method, part, action) = fault;
    registry.fail(Fault::on(method, part).always().then(action));
    let home = tempdir();
    let line: Vec<String> = line
        .iter()
        .map(|word| word.replace("REGISTRY", &registry.host()))
        .collect();
    let mut command = command();
    command
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .args(&line)
        .args(["--retry-times", "0"]);
    let run = Run::of(&mut command);
    assert_ne!(run.code, Some(0), "{what}: {}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{what}: {}", run.stderr);
    writeln!(told, "# {what}\n{}", said(&registry, &run)).unwrap();
}

#[test]
fn answers_to_reading() {
    let mut told = String::new();
    let gibberish = Response::new(200).body("application/json", "{\"schemaVersion\":");
    let schema_1 = Response::new(200).body(
        "application/vnd.docker.distribution.manifest.v1+json",
        "{\"schemaVersion\":1}",
    );
    let hidden = Response::new(403).body(
        "application/json",
        body("DENIED", "\\u001b]0;x\\u0007 \\u202e"),
    );
    for (what, action) in [
        ("400", with(400, "NAME_INVALID", "invalid repository name")),
        ("401 without a challenge", Action::status(401)),
        ("402", with(402, "DENIED", "the trial has ended")),
        (
            "403",
            with(403, "DENIED", "requested access to the resource is denied"),
        ),
        ("403, a page", page(403, "Blocked by the company")),
        ("404, a page", page(404, "Not Found")),
        (
            "404, no such repository",
            with(404, "NAME_UNKNOWN", "repository name not known to registry"),
        ),
        (
            "404, no such tag",
            with(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        ),
        ("403, with an escape sequence", Action::Answer(hidden)),
        ("406", Action::status(406)),
        ("410", Action::status(410)),
        (
            "429 for six hours",
            Action::too_many_requests(Some("21600")),
        ),
        ("451", with(451, "DENIED", "removed by law")),
        ("500", Action::status(500)),
        ("502, a page", page(502, "Bad Gateway")),
        ("503", with(503, "UNAVAILABLE", "read-only mode")),
        ("200, a login page", page(200, "Sign in")),
        ("200, cut short", Action::Answer(gibberish)),
        ("200, the manifests of 2014", Action::Answer(schema_1)),
        ("200, the connection closed", Action::close()),
        ("302 to itself", Action::redirect("/v2/a/app/manifests/1")),
        ("302 to nothing", Action::redirect("")),
        ("302 to a file", Action::redirect("file:///etc/passwd")),
    ] {
        let line = ["inspect", "docker://REGISTRY/a/app:1"];
        meets(&mut told, what, ("*", "/manifests/", action), &line);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn answers_to_blobs_and_lists() {
    let mut told = String::new();
    let copy = [
        "docker://REGISTRY/a/app:1",
        "oci:new:x",
        "--quiet",
        "--parallel",
        "1",
    ];
    for (what, action) in [
        ("403 for a blob", with(403, "DENIED", "download is denied")),
        (
            "404 for a blob",
            with(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        ),
        ("500 for a blob", Action::status(500)),
        ("a blob that is too short", Action::truncate(7)),
        ("a blob that is too long", Action::extend("more")),
    ] {
        meets(&mut told, what, ("GET", "/blobs/", action), &copy);
    }
    let tags = ["tags", "docker://REGISTRY/a/app"];
    for (what, action) in [
        ("401 for the list", Action::status(401)),
        (
            "404 for the list",
            with(404, "NAME_UNKNOWN", "repository name not known to registry"),
        ),
        ("a page for the list", page(200, "Sign in")),
        ("500 for the list", Action::status(500)),
    ] {
        meets(&mut told, what, ("GET", "/tags/list", action), &tags);
    }
    insta::assert_snapshot!(told);
}
