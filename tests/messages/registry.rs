//! What users read when a registry does not do what they want: which side, which object, why, and
//! what to do about it.
use crate::support::registry::{
    Action, Auth, Fault, Flaw, Options, Registry, Response, Tls, TokenRules,
};
use crate::support::*;

fn docker(registry: &Registry, image: &str) -> String {
    format!("docker://{}/{image}", registry.host())
}

/// What was said, without the ports of this run.
fn said(run: &Run, registries: &[(&Registry, &str)]) -> String {
    let mut text = format!("exit {}\n{}", run.code.unwrap(), run.stderr);
    for (registry, name) in registries {
        text = text.replace(&registry.host(), name);
    }
    // Which of several blobs fails first is a matter of chance.
    let mut parts = text.split("sha256:");
    let head = parts.next().unwrap_or_default().to_string();
    parts.fold(head, |text, part| {
        text + "sha256:..." + part.trim_start_matches(|c: char| c.is_ascii_hexdigit())
    })
}

const NAMES: [&str; 2] = ["source.example", "destination.example"];

/// A copy between two registries that goes wrong.
#[track_caller]
fn goes_wrong(name: &str, source: &Registry, destination: &Registry, more: &[&str]) {
    let home = tempdir();
    let (from, to) = (docker(source, "a/app:1"), docker(destination, "b/app:1"));
    let mut command = command();
    command
        .env_clear()
        .env("HOME", home.path())
        .env("SSL_CERT_FILE", "/dev/null");
    let run = Run::of(
        command
            .args([from.as_str(), &to, "--quiet", "--retry-delay", "1ms"])
            .args(more),
    );
    assert_ne!(run.code, Some(0));
    assert_eq!(run.stdout, "");
    let registries = [(source, NAMES[0]), (destination, NAMES[1])];
    insta::assert_snapshot!(name, said(&run, &registries));
    assert_eq!(destination.tag_of("b/app", "1"), None);
}

fn with_image(options: Options) -> Registry {
    let registry = Registry::with(options);
    registry.add_image("a/app", "1", &[1000], 1);
    registry
}

fn open() -> Registry {
    with_image(Options::default())
}

fn locked(auth: Auth) -> Options {
    Options {
        auth,
        ..Options::default()
    }
}

#[test]
fn no_such_tag_and_no_such_repository() {
    let empty = Registry::start();
    goes_wrong("no-such-repository", &empty, &Registry::start(), &[]);
    let other = Registry::start();
    other.add_image("a/app", "other", &[10], 1);
    goes_wrong("no-such-tag", &other, &Registry::start(), &[]);
}

#[test]
fn who_asks_is_not_known_or_not_believed() {
    let source = with_image(locked(Auth::basic("me", "right")));
    goes_wrong("no-credentials", &source, &Registry::start(), &[]);
    goes_wrong(
        "wrong-password",
        &source,
        &Registry::start(),
        &["--src-creds", "me:wrong"],
    );
    let rules = TokenRules::login("me", "right");
    let source = with_image(locked(Auth::bearer(rules)));
    goes_wrong(
        "wrong-password-for-a-token",
        &source,
        &Registry::start(),
        &["--src-creds", "me:wrong"],
    );
    let destination = Registry::with(locked(Auth::basic("me", "right")));
    goes_wrong("no-credentials-to-write", &open(), &destination, &[]);
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let tls = |flaw| Options {
        tls: Some(Tls::flawed(flaw)),
        ..Options::default()
    };
    let source = with_image(tls(Flaw::None));
    goes_wrong(
        "unknown-authority",
        &source,
        &Registry::start(),
        &["--src-tls-verify"],
    );
}

#[test]
fn f08_plain_http_on_an_https_port() {
    goes_wrong(
        "http-on-https-port",
        &open(),
        &Registry::start(),
        &["--src-tls-verify"],
    );
}

#[test]
fn nobody_listens() {
    let source = open();
    source.down();
    goes_wrong(
        "nobody-listens",
        &source,
        &Registry::start(),
        &["--retry-times", "0"],
    );
}

#[test]
fn limits_and_refusals() {
    let source = open();
    source.fail(
        Fault::on("GET", "/manifests/")
            .always()
            .then(Action::too_many_requests(Some("21600"))),
    );
    let home = tempdir();
    let run = Run::of(command().env("HOME", home.path()).args([
        docker(&source, "a/app:1"),
        docker(&Registry::start(), "b/app:1"),
    ]));
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains("rate limited until"), "{}", run.stderr);

    let immutable = Registry::start();
    immutable.fail(
        Fault::on("PUT", "/manifests/1")
            .always()
            .then(Action::error(
                400,
                "TAG_IMMUTABLE",
                "the tag cannot be moved",
            )),
    );
    goes_wrong("immutable-tag", &open(), &immutable, &[]);

    let full = Registry::start();
    full.fail(
        Fault::on("PUT", "/blobs/uploads/")
            .always()
            .then(Action::error(403, "DENIED", "quota exceeded for project b")),
    );
    goes_wrong("quota", &open(), &full, &[]);

    let readonly = Registry::start();
    readonly.fail(
        Fault::on("POST", "/blobs/uploads/")
            .always()
            .then(Action::error(405, "UNSUPPORTED", "read-only")),
    );
    goes_wrong("read-only", &open(), &readonly, &[]);

    let broken = Registry::start();
    let page = Response::new(502).body("text/html", "<html><title>502 Bad Gateway</title>");
    broken.fail(
        Fault::on("POST", "/blobs/uploads/")
            .always()
            .then(Action::Answer(page)),
    );
    goes_wrong("bad-gateway", &open(), &broken, &["--retry-times", "1"]);
}

#[test]
fn wrong_bytes() {
    let source = open();
    source.fail(Fault::on("GET", "/blobs/").always().then(Action::flip(7)));
    let home = tempdir();
    let run = Run::of(command().env("HOME", home.path()).args([
        docker(&source, "a/app:1"),
        docker(&Registry::start(), "b/app:1"),
    ]));
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("its bytes are sha256:"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("the source is damaged"),
        "{}",
        run.stderr
    );
}
