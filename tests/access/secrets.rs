//! What is printed: no secret at any verbosity (S-40), nothing that moves a cursor (S-46, S-47).

use crate::support::registry::{
    Action, Auth, Fault, Form, Image, OCI_MANIFEST, Options as Kind, Registry, Response, Server,
    TokenRules, TokenServer, descriptor,
};
use crate::support::{Run, command, tempdir};
use crate::{REPO, at};

pub(crate) const PASSWORD: &str = "CANARY-password";

pub(crate) struct Place {
    pub(crate) registry: Registry,
    tokens: TokenServer,
    store: Server,
}

/// A registry whose blobs are behind signed URLs, and which sets cookies.
pub(crate) fn place() -> Place {
    let tokens = TokenServer::start(TokenRules::login("me", PASSWORD));
    let registry = Registry::with(Kind {
        auth: Auth::Bearer(tokens.issuer()),
        ..Kind::default()
    });
    let image = Image::new(Form::OciGzip, &[3000, 5], 1);
    registry.add(REPO, Some("1"), &image);
    let store = Server::start(move |request| {
        let is_it = |blob: &&bytes::Bytes| {
            let digest = crate::support::sha256(blob);
            request.path.ends_with(&digest)
        };
        match image.blobs.iter().find(is_it) {
            Some(blob) => Response::new(200).body("application/octet-stream", blob.clone()),
            None => Response::new(404),
        }
    });
    let to = store.origin();
    registry.fail(
        Fault::on("GET", "/blobs/")
            .authorized()
            .always()
            .then(Action::change(move |request, response| {
                let url = format!(
                    "{to}{}?X-Amz-Signature=CANARY-signature&CANARY-bare",
                    request.path
                );
                *response = Response::new(307)
                    .with("Location", url)
                    .with("Set-Cookie", "s=CANARY-cookie");
            })),
    );
    registry.fail(
        Fault::on("*", "/v2/")
            .always()
            .then(Action::header("Set-Cookie", "s=CANARY-cookie")),
    );
    Place {
        registry,
        tokens,
        store,
    }
}

impl Place {
    /// Runs a command at the highest verbosity, and looks for whatever is secret.
    fn run(&self, arguments: &[&str]) -> Run {
        let home = tempdir();
        let mut command = command();
        command
            .env("HOME", home.path())
            .arg("--debug")
            .args(arguments);
        let run = Run::of(&mut command);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        assert!(run.code.is_some(), "{}", run.stderr);
        assert!(
            run.stderr.contains("answered"),
            "the debug log is there: {}",
            run.stderr
        );
        self.is_not_told(&run.stdout);
        self.is_not_told(&run.stderr);
        run
    }

    /// Panics if a text holds what must not be told, or what was sent to a server as a secret.
    #[track_caller]
    pub(crate) fn is_not_told(&self, text: &str) {
        let servers: [&Server; 3] = [&self.registry, &self.tokens, &self.store];
        let mut secrets = vec!["CANARY".to_string()];
        for request in servers.iter().flat_map(|server| server.log()) {
            if let Some(sent) = request.headers.get("authorization") {
                let (_, secret) = sent.split_once(' ').unwrap();
                secrets.push(secret.to_string());
            }
        }
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret}: {text}");
        }
    }
}

pub(crate) const CREDS: &str = "me:CANARY-password";

#[test]
fn s40_no_secret_is_printed_when_all_is_well() {
    let place = place();
    let reference = at(&place.registry);
    let home = tempdir();
    let to = format!("oci:{}:1", home.path().join("out").display());
    let other = format!("docker://{}/other/app:1", place.registry.host());
    let (src, dest) = (["--src-creds", CREDS], ["--dest-creds", CREDS]);
    place
        .run(&[&["copy", &reference, &to][..], &src].concat())
        .ok();
    place
        .run(
            &[
                &["copy", &reference, &other, "--progress", "json"][..],
                &src,
                &dest,
            ]
            .concat(),
        )
        .ok();
    place
        .run(&[&["plan", &to, &other, "--format", "json"][..], &dest].concat())
        .ok();
    place
        .run(
            &[
                &[
                    "copy",
                    &to,
                    &other.replace(":1", ":2"),
                    "--compression",
                    "zstd",
                ][..],
                &dest,
            ]
            .concat(),
        )
        .ok();
    for verb in [
        &["inspect"][..],
        &["tags"],
        &["list-tags"],
        &["digest"],
        &["verify"],
    ] {
        place
            .run(&[verb, &[&reference, "--creds", CREDS]].concat())
            .ok();
    }
    assert!(place.store.log().len() > 2, "the signed URLs were used");
}

/// Ways in which a copy may fail, each with something secret in what the servers say.
pub(crate) const WAYS: [fn(&Place); 8] = [
    |place| {
        let body =
            "<Error><Code>AccessDenied</Code><StringToSign>CANARY-sign</StringToSign></Error>";
        let answer = Response::new(403).body("application/xml", body);
        place
            .store
            .fail(Fault::on("*", "").always().then(Action::Answer(answer)));
    },
    |place| {
        place.store.down();
    },
    |place| {
        place
            .tokens
            .fail(
                Fault::on("*", "")
                    .always()
                    .then(Action::error(500, "CANARY", "CANARY-token")),
            );
    },
    |place| {
        let answer = Response::new(200).body("application/json", "{\"tokens\":\"CANARY-token\"}");
        place
            .tokens
            .fail(Fault::on("*", "").always().then(Action::Answer(answer)));
    },
    |place| {
        place
            .tokens
            .fail(
                Fault::on("*", "")
                    .always()
                    .then(Action::error(401, "CANARY", "CANARY-token")),
            );
    },
    |place| {
        let url = "http://u:CANARY@169.254.169.254/?sig=CANARY";
        place
            .store
            .fail(Fault::on("*", "").always().then(Action::redirect(url)));
    },
    |place| {
        let url = "https://accounts.example/CANARY?sig=CANARY";
        let challenge = format!("Bearer realm=\"{url}\",service=\"CANARY\"");
        let answer = Response::error(401, "UNAUTHORIZED", "x").with("WWW-Authenticate", challenge);
        place.registry.heal();
        place
            .registry
            .fail(Fault::on("*", "/v2/").always().then(Action::Answer(answer)));
    },
    |place| place.tokens.down(),
];

#[test]
fn s40_no_secret_is_printed_when_it_fails() {
    let home = tempdir();
    let to = format!("oci:{}:1", home.path().join("out").display());
    for spoil in WAYS {
        let place = place();
        spoil(&place);
        let retry = [
            "--src-creds",
            CREDS,
            "--retry-delay",
            "1ms",
            "--retry-times",
            "1",
        ];
        let run = place.run(&[&["copy", &at(&place.registry), &to][..], &retry].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
    }
}

const EVIL: &str = "a\u{1b}]0;x\u{7}\u{9b}31m\r\n::error::x\n##vso[task]\u{202e}b\u{2066}c\u{7f}";

/// Nothing but text and line ends, and no line that a CI system takes for a command.
#[track_caller]
fn is_harmless(text: &str) {
    let is_bad = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    assert!(!text.contains(is_bad), "{text:?}");
    for line in text.lines() {
        assert!(
            !line.trim_start().starts_with("::") && !line.trim_start().starts_with("##"),
            "{text:?}"
        );
    }
}

#[test]
fn s46_what_a_registry_says_moves_no_cursor() {
    let verbs = [
        vec!["inspect"],
        vec!["inspect", "--format", "json"],
        vec!["tags"],
        vec!["tags", "--format", "json"],
        vec!["digest"],
        vec!["verify"],
    ];
    let bodies = [
        Response::error(403, EVIL, EVIL),
        Response::new(403).body("text/plain", EVIL),
        Response::new(403).body("text/html", format!("<html><title>{EVIL}</title></html>")),
        Response::new(403).body(EVIL.split('\u{1b}').next().unwrap(), "\u{1}"),
    ];
    for body in bodies {
        let registry = Registry::start();
        let answer = body.with("Warning", "299 - \"\\\u{9b}31m \u{202e}x\"");
        registry.fail(Fault::on("*", "").always().then(Action::Answer(answer)));
        for verb in &verbs {
            let mut command = command();
            command.arg("--debug").args(verb).arg(at(&registry));
            let run = Run::of(&mut command);
            assert_ne!(run.code, Some(0));
            is_harmless(&run.stdout);
            is_harmless(&run.stderr);
        }
    }
}

#[test]
fn s46_what_an_image_says_moves_no_cursor() {
    let registry = Registry::start();
    let config = serde_json::json!({
        "architecture": EVIL, "os": "linux", "author": EVIL, "created": EVIL,
        "config": { "Labels": { EVIL: EVIL }, "Env": [EVIL], "Cmd": [EVIL], "User": EVIL },
        "rootfs": { "type": "layers", "diff_ids": [] },
        "history": [{ "created_by": EVIL, "comment": EVIL, "empty_layer": true }],
    });
    let config = config.to_string();
    registry.add_blob(REPO, config.clone());
    let kind = "application/vnd.oci.image.config.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b", "layers": [],
        "config": descriptor(kind, config.as_bytes()), "annotations": { EVIL: EVIL },
    });
    let image = registry.add_manifest(REPO, OCI_MANIFEST, manifest.to_string(), None);
    registry.add_index(REPO, "1", &[(EVIL, &image)]);
    registry.set_tag(REPO, "2", &image);
    let home = tempdir();
    let to = format!("oci:{}:1", home.path().join("out").display());
    let one = format!("docker://{}/{REPO}:2", registry.host());
    for arguments in [
        vec!["inspect", &at(&registry)],
        vec!["inspect", &at(&registry), "--format", "json"],
        vec!["inspect", &one],
        vec!["inspect", &one, "--format", "json"],
        vec!["skopeo", "inspect", &one],
        vec!["skopeo", "inspect", "--config", &one],
        vec!["plan", &one, &to],
        vec!["plan", &one, &to, "--format", "json"],
        vec![
            "copy",
            &at(&registry),
            &to,
            "--platform",
            "linux/none",
            "--debug",
        ],
        vec!["copy", &at(&registry), &to, "--debug"],
        vec!["verify", &one],
    ] {
        let run = Run::of(command().args(&arguments));
        assert!(!run.stdout.contains("panicked") && run.code.is_some());
        is_harmless(&run.stdout);
        is_harmless(&run.stderr);
        // A program that reads it gets what is there.
        let json: Option<serde_json::Value> = serde_json::from_str(&run.stdout).ok();
        if let Some(labels) = json.as_ref().and_then(|json| json.get("Labels")) {
            assert_eq!(labels[EVIL], EVIL, "{arguments:?}");
        }
    }
}

#[test]
fn s47_what_a_registry_lists_forges_no_line() {
    let registry = Registry::start();
    registry.add_image(REPO, "1", &[10], 1);
    let list = serde_json::json!({ "name": REPO, "tags": ["1", EVIL, "a\n::set-output name=x::y", "-rf", ".."] });
    let answer = Response::json(200, &list);
    registry.fail(
        Fault::on("GET", "/tags/list")
            .always()
            .then(Action::Answer(answer)),
    );
    for verb in [
        vec!["tags"],
        vec!["list-tags"],
        vec!["tags", "--format", "json"],
    ] {
        let run = Run::of(command().args(&verb).arg(at(&registry))).ok();
        is_harmless(&run.stdout);
        assert!(
            !run.stdout.contains("set-output") && !run.stdout.contains("-rf"),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn s49_a_name_is_no_way_into_an_address() {
    let registry = Registry::start();
    for name in [
        "a/../../b",
        "a//b",
        "a%2fb",
        "a?x=1",
        "a#b",
        "u:p@a",
        "A",
        "a/b:1/../c",
    ] {
        let reference = format!("docker://{}/{name}", registry.host());
        let run = Run::of(command().args(["digest", &reference]));
        assert_eq!(run.code, Some(64), "{name}: {}", run.stderr);
    }
    assert_eq!(registry.connections(), 0);
}
