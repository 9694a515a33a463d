use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Repository;

/// Shows up in a text only if a secret leaked.
const CANARY: &str = "c4n4ry-pa55word";

/// A home of its own, with an `auth.json` and credential helpers.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(auth: &Value) -> Self {
        let home = Self::new();
        home.write("auth.json", &auth.to_string());
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program that runs `script`, with the place of its log in `$LOG`. Another process writes it:
    /// a program cannot start while anybody, or a fork of anybody, has it open for writing.
    fn helper(&self, name: &str, script: &str) {
        let path = self.path("bin").join(format!("docker-credential-{name}"));
        fs::create_dir_all(self.path("bin")).unwrap();
        let log = self.path("log").display().to_string();
        let text = format!("#!/bin/sh\nLOG='{log}'\n{script}\n");
        let done = std::process::Command::new("sh")
            .args(["-c", "printf %s \"$2\" >\"$1\" && chmod +x \"$1\"", "sh"])
            .arg(&path)
            .arg(text)
            .stdin(Stdio::null())
            .status();
        assert!(done.unwrap().success());
    }

    /// A helper that keeps credentials in a directory and logs what it is asked.
    fn keychain(&self, name: &str) {
        let store = self.path("keychain").display().to_string();
        fs::create_dir_all(self.path("keychain")).unwrap();
        let script = format!(
            r#"
            input=$(cat)
            printf '%s <%s>\n' "$*" "$input" >>"$LOG"
            key=$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' | tr / _)
            file="{store}/$key"
            case $1 in
                store) printf %s "$input" >"$file" ;;
                get) cat "$file" 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;;
                erase) rm "$file" ;;
            esac"#
        );
        self.helper(name, &script);
    }

    /// Puts a credential into the keychain behind imgcopy's back.
    fn in_keychain(&self, server: &str, user: &str, secret: &str) {
        let entry = json!({"ServerURL": server, "Username": user, "Secret": secret});
        let name = server.replace('/', "_");
        fs::write(self.path("keychain").join(name), entry.to_string()).unwrap();
    }

    fn environment(&self) -> Environment {
        Environment {
            authfile: Some(self.path("auth.json")),
            path: Some(self.path("bin").into()),
            ..Environment::default()
        }
    }

    fn keyring(&self) -> Keyring {
        Keyring::new(self.environment())
    }

    /// Looks a repository up with nothing read before.
    async fn find(&self, repository: &str) -> Result<Option<Credential>> {
        self.keyring().find(&repository.parse().unwrap()).await
    }

    /// The user whose credential a repository gets.
    async fn user(&self, repository: &str) -> Option<String> {
        let found = self.find(repository).await.unwrap();
        found.map(|credential| credential.user().to_string())
    }
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::basic(user, password).unwrap()
}

fn auth(user: &str) -> Value {
    json!({"auth": STANDARD.encode(format!("{user}:pw"))})
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

/// The whole chain, as users see it.
fn told(error: &Error) -> String {
    let first: Option<&dyn std::error::Error> = Some(error);
    let chain = std::iter::successors(first, |error| error.source());
    let lines: Vec<String> = chain.map(ToString::to_string).collect();
    lines.join(": ")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

// --- for whom a credential is ---

#[tokio::test]
async fn s37_a_similar_host_gets_no_credential() {
    let home = Home::with(&json!({
        "auths": {
            "ghcr.io": auth("gh"),
            "x.azurecr.io": auth("az"),
            "docker.io": auth("hub"),
            "https://quay.io/v1/": auth("quay"),
            "localhost:5000": auth("local"),
            "port.example": auth("port"),
        },
    }));
    for stranger in [
        "evil-ghcr.io/x",
        "ghcr.io.evil.com/x",
        "ghcr.io:444/x",
        "sub.ghcr.io/x",
        "x.azurecr.io.evil.com/x",
        "azurecr.io/x",
        "docker.io.evil/x",
        "auth.docker.io/x",
        "hub.docker.io/x",
        "docker.com/x",
        "quay.io:443/x",
        "localhost/x",
        "localhost:5001/x",
        "port.example:5000/x",
        "other.example/ghcr.io/x",
    ] {
        assert_eq!(home.user(stranger).await, None, "{stranger}");
    }
    for (friend, user) in [
        ("ghcr.io/x", "gh"),
        ("GHCR.io/x", "gh"),
        ("x.azurecr.io/x", "az"),
        ("busybox", "hub"),
        ("quay.io/x", "quay"),
        ("localhost:5000/x", "local"),
    ] {
        assert_eq!(home.user(friend).await.as_deref(), Some(user), "{friend}");
    }
}

#[tokio::test]
async fn s39_a_mirror_of_docker_hub_gets_nothing_of_docker_hub() {
    let home = Home::with(&json!({
        "auths": {"https://index.docker.io/v1/": auth("hub")},
        "credHelpers": {"docker.io": "chain"},
    }));
    home.keychain("chain");
    assert_eq!(home.user("m.local/library/busybox").await, None);
    assert_eq!(home.user("m.local/docker.io/busybox").await, None);
    assert_eq!(home.read("log"), "", "the helper was not even asked");
}

#[tokio::test]
async fn q01_docker_hub_is_known_by_its_four_names_and_no_other() {
    for key in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://index.docker.io/v1/",
        "index.docker.io/v1/",
    ] {
        let home = Home::with(&json!({"auths": {key: auth("hub")}}));
        for name in ["busybox", "docker.io/grafana/grafana", "index.docker.io/x"] {
            assert_eq!(home.user(name).await.as_deref(), Some("hub"), "{key}");
        }
    }
    for key in [
        "hub.docker.com",
        "auth.docker.io",
        "https://hub.docker.io/v1/",
        // Where Docker keeps tokens for its own accounts.
        "https://index.docker.io/v1/access-token",
        "https://index.docker.io/v1/refresh-token",
    ] {
        let home = Home::with(&json!({"auths": {key: auth("hub")}}));
        assert_eq!(home.user("busybox").await, None, "{key}");
    }
}

#[tokio::test]
async fn the_most_specific_key_wins() {
    let home = Home::with(&json!({
        "auths": {
            "h.example:5000": auth("host"),
            "h.example:5000/ns": auth("ns"),
            "h.example:5000/ns/repo": auth("repo"),
            "docker.io/library": auth("library"),
            "only.example/ns": auth("only"),
        },
    }));
    for (name, user) in [
        ("h.example:5000/ns/repo", Some("repo")),
        ("h.example:5000/ns/repo/deeper", Some("repo")),
        ("h.example:5000/ns/repository", Some("ns")),
        ("h.example:5000/ns", Some("ns")),
        ("h.example:5000/nsx/repo", Some("host")),
        ("h.example:5000/other", Some("host")),
        ("busybox", Some("library")),
        ("grafana/grafana", None),
        ("only.example/other/ns", None),
    ] {
        assert_eq!(home.user(name).await.as_deref(), user, "{name}");
    }
}

#[tokio::test]
async fn keys_that_old_dockers_wrote_are_understood_and_the_plain_one_goes_first() {
    for key in [
        "https://h.example",
        "https://h.example/",
        "https://h.example/v1/",
        "https://h.example/v2",
        "http://h.example/v2/",
        "h.example/v1/",
        "H.Example",
    ] {
        let home = Home::with(&json!({"auths": {key: auth("old")}}));
        assert_eq!(home.user("h.example/x").await.as_deref(), Some("old"));
    }
    let home = Home::with(&json!({
        "auths": {
            "https://h.example/v1/": auth("old"),
            "h.example": auth("new"),
            "http://other.example": {},
            "https://other.example/v2/": auth("second"),
        },
    }));
    assert_eq!(home.user("h.example/x").await.as_deref(), Some("new"));
    assert_eq!(
        home.user("other.example/x").await.as_deref(),
        Some("second")
    );
}

// --- what an entry says ---

#[tokio::test]
async fn entries_are_read_in_all_their_forms() {
    let token = |text: &str| Secret::new(text);
    let cases = [
        (json!({"auth": "Ym9iOnA6dw=="}), Some(basic("bob", "p:w"))),
        (json!({"auth": "Ym9iOnA6dw"}), Some(basic("bob", "p:w"))),
        (
            json!({"auth": STANDARD.encode("bob:pw\0\0\0")}),
            Some(basic("bob", "pw")),
        ),
        (
            json!({"auth": STANDARD.encode("bob:")}),
            Some(basic("bob", "")),
        ),
        (
            json!({"username": "bob", "password": "p:w"}),
            Some(basic("bob", "p:w")),
        ),
        (
            json!({"auth": STANDARD.encode("0000:"), "identitytoken": "refresh"}),
            Some(Credential::IdentityToken(token("refresh"))),
        ),
        (
            json!({"identitytoken": "refresh", "registrytoken": "bearer"}),
            Some(Credential::RegistryToken(token("bearer"))),
        ),
        (json!({}), None),
        (json!(null), None),
        (json!({"auth": "", "email": "bob@h.example"}), None),
        (json!({"auth": STANDARD.encode(":")}), None),
    ];
    for (entry, expected) in cases {
        let home = Home::with(&json!({"auths": {"h.example": entry}}));
        assert_eq!(home.find("h.example/x").await.unwrap(), expected, "{entry}");
    }
}

#[tokio::test]
async fn a_malformed_entry_is_an_error_for_its_own_registry_only() {
    for bad in [
        json!("text"),
        json!([]),
        json!({"auth": 1}),
        json!({"auth": "!!!"}),
        json!({"auth": STANDARD.encode("no colon")}),
        json!({"auth": STANDARD.encode("bob:pw\n")}),
        json!({"auth": STANDARD.encode([b'b', b':', 0xff])}),
        json!({"username": "bob"}),
        json!({"username": "b:ob", "password": "pw"}),
    ] {
        let home = Home::with(&json!({
            "auths": {"bad.example": bad, "good.example": auth("good"), "\u{1b}[1m": bad},
        }));
        let error = home.find("bad.example/x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let told = told(&error);
        assert!(told.contains("\"bad.example\" is malformed"), "{told}");
        assert!(told.contains("auth.json"), "{told}");
        assert_eq!(home.user("good.example/x").await.as_deref(), Some("good"));
        assert_eq!(home.user("other.example/x").await, None);
    }
}

#[tokio::test]
async fn a_file_that_is_no_credentials_file_is_an_error_that_names_it() {
    for bad in [
        "{",
        "[]",
        "\"x\"",
        r#"{"auths": []}"#,
        r#"{"credHelpers": 1}"#,
    ] {
        let home = Home::new();
        home.write("auth.json", bad);
        let error = home.find("h.example/x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        assert!(told(&error).contains("auth.json"), "{bad}");
    }
    for empty in ["", "\n", "{}", r#"{"auths": null, "credsStore": ""}"#] {
        let home = Home::new();
        home.write("auth.json", empty);
        assert_eq!(home.find("h.example/x").await.unwrap(), None, "{empty}");
    }
}

#[test]
fn what_users_type_is_parsed_and_never_told() {
    let login: Login = "bob:p:w".parse().unwrap();
    assert_eq!(login.username, "bob");
    assert_eq!(login.password, Some(Secret::new("p:w")));
    assert_eq!("bob".parse::<Login>().unwrap().password, None);
    let empty = "bob:".parse::<Login>().unwrap().password;
    assert_eq!(empty, Some(Secret::new("")));
    let refused = format!(":{CANARY}").parse::<Login>().unwrap_err();
    assert!(!told(&refused).contains(CANARY));
    assert!("".parse::<Login>().is_err());

    assert_eq!(scope("registry-1.docker.io").to_string(), "docker.io");
    assert_eq!(
        scope("H.example:5000/a/b").to_string(),
        "h.example:5000/a/b"
    );
    for bad in ["https://h.example", "h.example/", "", "/", "a b", "h/UP"] {
        let refused = bad.parse::<Scope>().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
    }
}

// --- where files are ---

/// All of an environment, below one directory.
fn everywhere(home: &Home) -> Environment {
    Environment {
        authfile: None,
        registry_auth_file: None,
        xdg_runtime_dir: Some(home.path("runtime")),
        user_run_dir: Some(home.path("run")),
        xdg_config_home: Some(home.path("config")),
        docker_config: Some(home.path("docker")),
        home: Some(home.path("home")),
        path: None,
    }
}

#[tokio::test]
async fn files_are_searched_in_the_order_of_containers_tools() {
    let home = Home::new();
    let files = [
        "named.json",
        "variable.json",
        "runtime/containers/auth.json",
        "config/containers/auth.json",
        "docker/config.json",
        "home/.dockercfg",
    ];
    for file in files {
        let auths = json!({"h.example": auth(file)});
        match file {
            "home/.dockercfg" => home.write(file, &auths.to_string()),
            _ => home.write(file, &json!({"auths": auths}).to_string()),
        };
    }
    for expected in files {
        let environment = Environment {
            authfile: Some(home.path("named.json")).filter(|it| it.exists()),
            registry_auth_file: Some(home.path("variable.json")).filter(|it| it.exists()),
            ..everywhere(&home)
        };
        let keyring = Keyring::new(environment);
        let user = keyring.get_login(&scope("h.example")).await.unwrap();
        assert_eq!(user.as_deref(), Some(expected));
        fs::remove_file(home.path(expected)).unwrap();
    }
}

#[tokio::test]
async fn places_that_no_variable_names_have_their_usual_names() {
    for (unset, file) in [
        ("runtime", "run/auth.json"),
        ("config", "home/.config/containers/auth.json"),
        ("docker", "home/.docker/config.json"),
    ] {
        let home = Home::new();
        home.write(
            file,
            &json!({"auths": {"h.example": auth("x")}}).to_string(),
        );
        let mut environment = everywhere(&home);
        let found = async |environment: &Environment| {
            let keyring = Keyring::new(environment.clone());
            keyring.find(&repository("h.example/x")).await.unwrap()
        };
        assert_eq!(found(&environment).await, None, "{file}");
        match unset {
            "runtime" => environment.xdg_runtime_dir = None,
            "config" => environment.xdg_config_home = None,
            _ => environment.docker_config = None,
        }
        assert!(found(&environment).await.is_some(), "{file}");
    }
}

#[tokio::test]
async fn a_file_that_was_named_is_the_only_one_and_must_be_there() {
    let home = Home::new();
    let usual = json!({"auths": {"h.example": auth("usual")}}).to_string();
    home.write("runtime/containers/auth.json", &usual);
    let named = Environment {
        authfile: Some(home.path("none.json")),
        ..everywhere(&home)
    };
    let missing = Keyring::new(named).find(&repository("h.example/x")).await;
    assert!(told(&missing.unwrap_err()).contains("none.json"));

    let announced = Keyring::new(Environment {
        registry_auth_file: Some(home.path("none.json")),
        ..everywhere(&home)
    });
    let found = announced.find(&repository("h.example/x")).await.unwrap();
    assert_eq!(found, None);
    let warnings = announced.warnings();
    assert!(warnings[0].contains("none.json"), "{warnings:?}");

    let nothing = Keyring::new(Environment::default());
    let found = nothing.find(&repository("h.example/x")).await.unwrap();
    assert_eq!((found, nothing.warnings().len()), (None, 0));
}

#[tokio::test]
async fn a_broken_file_matters_only_to_those_who_get_to_it() {
    let home = Home::new();
    let first = json!({"auths": {"h.example": auth("first")}}).to_string();
    home.write("config/containers/auth.json", &first);
    home.write("docker/config.json", "{");
    let keyring = Keyring::new(everywhere(&home));
    let found = keyring.find(&repository("h.example/x")).await.unwrap();
    assert_eq!(found, Some(basic("first", "pw")));
    let error = keyring.find(&repository("other/x.y")).await.unwrap_err();
    assert!(told(&error).contains("docker/config.json"));
}

#[tokio::test]
async fn a_file_is_read_once_and_again_after_a_login() {
    let home = Home::with(&json!({"auths": {"h.example": auth("old")}}));
    let keyring = home.keyring();
    let login = async || keyring.get_login(&scope("h.example")).await.unwrap();
    assert_eq!(login().await.as_deref(), Some("old"));
    let newer = json!({"auths": {"h.example": auth("new")}});
    home.write("auth.json", &newer.to_string());
    assert_eq!(login().await.as_deref(), Some("old"));
    let other = basic("x", "y");
    keyring.store(&scope("x.example"), &other).await.unwrap();
    assert_eq!(login().await.as_deref(), Some("new"));
}

#[tokio::test]
async fn s41_passwords_that_others_can_read_are_reported() {
    let secret = json!({"auths": {"h.example": auth("bob")}});
    let harmless = json!({"auths": {"h.example": {}}, "credHelpers": {"x": "y"}});
    for (document, mode, warned) in [
        (&secret, 0o600, false),
        (&secret, 0o400, false),
        (&secret, 0o644, true),
        (&secret, 0o640, true),
        (&secret, 0o604, true),
        (&harmless, 0o644, false),
    ] {
        let home = Home::with(document);
        let path = home.path("auth.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let keyring = home.keyring();
        for _ in 0..2 {
            keyring.find(&repository("h.example/x")).await.unwrap();
        }
        let warnings = keyring.warnings();
        assert_eq!(warnings.len(), usize::from(warned), "{mode:o} {warnings:?}");
        if let Some(warning) = warnings.first() {
            assert!(warning.contains(&format!("mode {mode:04o}")), "{warning}");
            assert!(warning.contains("auth.json"), "{warning}");
        }
    }
}

// --- helpers ---

#[tokio::test]
async fn a_helper_is_asked_for_its_registry_before_the_entries() {
    let home = Home::with(&json!({
        "auths": {"h.example": auth("file"), "h.example/ns": auth("file")},
        "credHelpers": {"h.example": "chain", "https://index.docker.io/v1/": "chain"},
    }));
    home.keychain("chain");
    home.in_keychain("h.example", "helper", "s3");
    home.in_keychain("https://index.docker.io/v1/", "<token>", "refresh");
    let found = home.find("h.example/ns/x").await.unwrap();
    assert_eq!(found, Some(basic("helper", "s3")));
    let token = Credential::IdentityToken(Secret::new("refresh"));
    assert_eq!(home.find("busybox").await.unwrap(), Some(token));
    assert_eq!(
        home.read("log"),
        "get <h.example>\nget <https://index.docker.io/v1/>\n"
    );
}

#[tokio::test]
async fn a_helper_that_has_nothing_passes_the_question_on() {
    let home = Home::new();
    let asks = json!({"auths": {"h.example": auth("no")}, "credHelpers": {"h.example": "chain"}});
    home.write("config/containers/auth.json", &asks.to_string());
    let holds = json!({"auths": {"h.example": auth("next file")}});
    home.write("docker/config.json", &holds.to_string());
    for answer in [
        "echo credentials not found in native keychain; exit 1",
        "echo credentials not found in native keychain >&2; exit 1",
        r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#,
    ] {
        home.helper("chain", answer);
        let keyring = Keyring::new(Environment {
            path: Some(home.path("bin").into()),
            ..everywhere(&home)
        });
        let found = keyring.get_login(&scope("h.example")).await.unwrap();
        assert_eq!(found.as_deref(), Some("next file"), "{answer}");
    }
}

#[tokio::test]
async fn the_helper_for_everything_is_asked_for_what_has_no_entry() {
    let home = Home::with(&json!({
        "auths": {"file.example": auth("file"), "mark.example": {}},
        "credHelpers": {"free.example": ""},
        "credsStore": "chain",
    }));
    home.keychain("chain");
    for host in ["file.example", "mark.example", "free.example"] {
        home.in_keychain(host, "helper", "s3");
    }
    let user = async |name: &str| home.user(name).await;
    assert_eq!(user("file.example/x").await.as_deref(), Some("file"));
    assert_eq!(user("mark.example/x").await.as_deref(), Some("helper"));
    assert_eq!(user("free.example/x").await, None);
    assert_eq!(home.read("log"), "get <mark.example>\n");
}

#[tokio::test]
async fn a_missing_helper_is_an_error_if_it_has_the_registry_and_else_a_warning() {
    let home = Home::with(&json!({
        "credHelpers": {"h.example": "nowhere"},
        "credsStore": "desktop.exe",
    }));
    let keyring = home.keyring();
    let error = keyring.find(&repository("h.example/x")).await.unwrap_err();
    assert!(told(&error).contains("docker-credential-nowhere is not in PATH"));
    assert_eq!(keyring.find(&repository("busybox")).await.unwrap(), None);
    let warnings = keyring.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("docker-credential-desktop.exe"));
}

#[tokio::test]
async fn s38_what_is_no_plain_name_is_never_run() {
    for name in [
        "../../bin/sh",
        "/bin/sh",
        "a b",
        "a\nb",
        "a\u{0}",
        "é",
        "$(x)",
    ] {
        let home = Home::with(&json!({
            "auths": {"good.example": auth("good")},
            "credHelpers": {"bad.example": name},
        }));
        let error = home.find("bad.example/x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        assert!(!told(&error).contains('\n'));
        assert_eq!(home.user("good.example/x").await.as_deref(), Some("good"));
        let home = Home::with(&json!({"credsStore": name}));
        assert!(home.find("bad.example/x").await.is_err());
    }
    for host in ["a\nb", "a\rb", "", "-x", "a b", "a%0ab", "a@b"] {
        assert!(host.parse::<Scope>().is_err(), "{host:?}");
        assert!(Repository::new(host, "x").is_err(), "{host:?}");
    }
}

#[tokio::test]
async fn s38_helpers_are_found_in_absolute_directories_of_path_only() {
    let home = Home::with(&json!({"credHelpers": {"h.example": "chain"}}));
    home.keychain("chain");
    home.in_keychain("h.example", "bob", "pw");
    let program = home.path("bin/docker-credential-chain");
    let user = async |path: String| {
        let environment = Environment {
            path: Some(path.into()),
            ..home.environment()
        };
        let keyring = Keyring::new(environment);
        keyring.get_login(&scope("h.example")).await
    };
    let bin = home.path("bin").display().to_string();
    assert!(user(format!("/nowhere:{bin}")).await.unwrap().is_some());
    // The same directory, as seen from the working directory.
    let here = std::env::current_dir().unwrap();
    let up = "../".repeat(here.components().count());
    assert!(Path::new(&format!("{up}{bin}")).is_dir());
    assert!(user(format!("{up}{bin}")).await.is_err());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(user(bin).await.is_err());
}

#[tokio::test]
async fn s38_a_helper_that_hangs_is_stopped() {
    let home = Home::with(&json!({"credHelpers": {"h.example": "slow"}}));
    home.helper("slow", "echo $$ >\"$LOG\"; exec sleep 600");
    let keyring = home.keyring().with_patience(Duration::from_secs(2));
    let error = keyring.find(&repository("h.example/x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(told(&error).contains("it gave no answer in 2 s"));
    let process = Path::new("/proc").join(home.read("log").trim());
    let is_alive = || {
        // Killed, it is a zombie until the runtime gets to it.
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        status.contains("sleep") && !status.contains("State:\tZ")
    };
    for _ in 0..1000 {
        if !is_alive() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the helper outlives its caller");
}

#[tokio::test]
async fn s38_what_a_helper_says_is_bounded_and_on_one_line() {
    let home = Home::with(&json!({"credHelpers": {"h.example": "bad"}}));
    let failure = async |script: &str| {
        home.helper("bad", script);
        let error = home.find("h.example/x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{script}");
        told(&error)
    };
    let told = failure("yes").await;
    assert!(told.contains("longer than 1 MiB"), "{told}");
    let told = failure(r"printf 'one\n\033[31mtwo\r\n' >&2; exit 3").await;
    assert!(told.contains("status 3: one \\u{1b}[31mtwo"), "{told}");
    assert!(!told.contains(['\n', '\r', '\u{1b}']), "{told}");
    let told = failure("echo the keychain is locked; exit 1").await;
    assert!(told.contains("the keychain is locked"), "{told}");
    let told = failure("head -c 3000000 /dev/zero | tr '\\0' Q >&2; exit 1").await;
    assert_eq!(told.matches('Q').count(), 512);
    let told = failure("kill -9 $$").await;
    assert!(told.contains("killed by a signal"), "{told}");
    for no_credential in [
        "true",
        "echo []",
        "echo '{}'",
        "echo '{\"Username\":\"x\"}'",
    ] {
        failure(no_credential).await;
    }
}

// --- what never shows ---

#[tokio::test]
async fn s40_no_text_that_is_made_here_tells_a_secret() {
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        Secret::new(CANARY),
        basic("bob", CANARY),
        Credential::IdentityToken(Secret::new(CANARY)),
        format!("bob:{CANARY}").parse::<Login>().unwrap(),
    );
    assert!(shown.contains("REDACTED") && !shown.contains(CANARY));

    let encoded = STANDARD.encode(CANARY);
    for bad in [
        json!(CANARY),
        json!([CANARY]),
        json!({"auth": CANARY}),
        json!({"auth": encoded}),
        json!({"auth": [CANARY]}),
        json!({"username": {"x": CANARY}, "password": CANARY}),
        json!({"password": CANARY}),
        json!({"username": "bob", "password": format!("{CANARY}\n")}),
    ] {
        let home = Home::with(&json!({"auths": {"h.example": bad}}));
        let keyring = home.keyring();
        let error = keyring.find(&repository("h.example/x")).await.unwrap_err();
        let told = format!("{} {error:?} {keyring:?}", told(&error));
        assert!(!told.contains(CANARY) && !told.contains(&encoded), "{told}");
    }
    for bad in [
        format!("\"{CANARY}\""),
        format!("{{\"auths\": \"{CANARY}\"}}"),
        format!("{{\"auths\": {{\"h.example\": {{\"auth\": \"{CANARY}"),
        CANARY.to_string(),
    ] {
        let home = Home::new();
        home.write("auth.json", &bad);
        let error = home.find("h.example/x").await.unwrap_err();
        assert!(!told(&error).contains(CANARY), "{}", told(&error));
    }
}

#[tokio::test]
async fn s40_a_helper_that_tells_the_secret_is_not_repeated() {
    let home = Home::with(&json!({"credHelpers": {"h.example": "leaky"}}));
    for script in [
        r#"printf '{"Username":"b:ob","Secret":"%s"}' "$C""#,
        r#"printf '{"Username":["%s"],"Secret":"%s"}' "$C" "$C""#,
        r#"printf '{"Secret":"%s"}' "$C""#,
        r#"printf '"%s"' "$C""#,
        r#"printf '%s' "$C""#,
        r#"printf '{"Username":"bob","Secret":"%s"}' "$C"; exit 1"#,
        r#"printf '{"Username":"bob","Secret":"%s"}' "$C" >&2; exit 1"#,
    ] {
        home.helper("leaky", &format!("C={CANARY}; {script}"));
        let error = home.find("h.example/x").await.unwrap_err();
        assert!(!told(&error).contains(CANARY), "{}", told(&error));
    }
    for script in ["cat >&2; exit 1", "cat | tr -d '{}' >&2; exit 1"] {
        home.helper("leaky", script);
        let login = basic("bob", CANARY);
        let stored = home.keyring().store(&scope("h.example"), &login).await;
        let told = told(&stored.unwrap_err());
        assert!(
            told.contains("status 1") && !told.contains(CANARY),
            "{told}"
        );
    }
}

#[tokio::test]
async fn s41_a_helper_gets_secrets_by_stdin_only() {
    let home = Home::with(&json!({"credsStore": "spy"}));
    home.helper(
        "spy",
        "tr '\\0' ' ' </proc/$$/cmdline >>\"$LOG\"; env >>\"$LOG\"; cat >\"$LOG.in\"",
    );
    let login = basic("bob", CANARY);
    let kept = home.keyring().store(&scope("h.example"), &login).await;
    assert_eq!(
        kept.unwrap(),
        Kept::Helper("docker-credential-spy".to_string())
    );
    assert!(home.read("log").contains("docker-credential-spy store"));
    assert!(!home.read("log").contains(CANARY));
    assert_eq!(
        home.read("log.in"),
        format!(r#"{{"ServerURL":"h.example","Username":"bob","Secret":"{CANARY}"}}"#)
    );
}

// --- login and logout ---

#[test]
fn a_login_goes_where_the_search_begins() {
    let home = Home::new();
    let full = everywhere(&home);
    let without = |change: fn(&mut Environment)| {
        let mut environment = full.clone();
        change(&mut environment);
        environment
    };
    let named = Some(home.path("named.json"));
    let only_run = without(|it| it.xdg_runtime_dir = None);
    let bare = without(|it| (it.xdg_runtime_dir, it.xdg_config_home) = (None, None));
    let homeless = without(|it| {
        (it.xdg_runtime_dir, it.xdg_config_home, it.home) = (None, None, None);
    });
    let yes: fn(&Path) -> bool = |_| true;
    let no: fn(&Path) -> bool = |_| false;
    for (environment, exists, file) in [
        (&full, yes, Some("runtime/containers/auth.json")),
        (&full, no, Some("config/containers/auth.json")),
        (&only_run, yes, Some("run/auth.json")),
        (&only_run, no, Some("config/containers/auth.json")),
        (&bare, no, Some("home/.config/containers/auth.json")),
        (&homeless, no, None),
    ] {
        let path = environment.login_file(exists).ok();
        assert_eq!(path, file.map(|file| home.path(file)));
    }
    let mut chosen = full.clone();
    chosen.registry_auth_file = Some(home.path("variable.json"));
    assert_eq!(chosen.login_file(no).unwrap(), home.path("variable.json"));
    chosen.authfile = named.clone();
    assert_eq!(Some(chosen.login_file(no).unwrap()), named);
}

#[tokio::test]
async fn a_login_makes_the_file_that_skopeo_makes() {
    let home = Home::new();
    let environment = Environment {
        home: Some(home.path("home")),
        ..Environment::default()
    };
    let keyring = Keyring::new(environment);
    let login = basic("bob", "p:w");
    let kept = keyring.store(&scope("localhost:5000"), &login).await;
    let path = home.path("home/.config/containers/auth.json");
    assert_eq!(kept.unwrap(), Kept::File(path.clone()));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\n\t\"auths\": {\n\t\t\"localhost:5000\": {\n\t\t\t\"auth\": \"Ym9iOnA6dw==\"\n\t\t}\n\t}\n}"
    );
    assert_eq!(mode(&path), 0o600);
    for directory in ["home/.config", "home/.config/containers"] {
        assert_eq!(mode(&home.path(directory)), 0o700, "{directory}");
    }
    let found = keyring.find(&repository("localhost:5000/x")).await.unwrap();
    assert_eq!(found, Some(login));
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(entries.count(), 1, "nothing else is left there");
}

#[tokio::test]
async fn every_kind_of_credential_comes_back_as_it_was_kept() {
    let home = Home::with(&json!({"credHelpers": {"helper.example": "chain"}}));
    home.keychain("chain");
    let keyring = home.keyring();
    let tokens = [
        basic("bob", "pä ss:w\"o\\rd"),
        basic("bob", ""),
        Credential::IdentityToken(Secret::new("refresh")),
        Credential::RegistryToken(Secret::new("bearer")),
    ];
    for credential in &tokens {
        for host in ["file.example", "helper.example"] {
            let kept = keyring.store(&scope(host), credential).await;
            if host == "helper.example" && matches!(credential, Credential::RegistryToken(_)) {
                assert_eq!(kept.unwrap_err().kind(), ErrorKind::Unsupported);
                continue;
            }
            kept.unwrap();
            let found = keyring.find(&Repository::new(host, "x").unwrap()).await;
            assert_eq!(found.unwrap().as_ref(), Some(credential), "{host}");
        }
    }
}

#[tokio::test]
async fn a_login_and_a_logout_leave_all_else_byte_for_byte() {
    let before = "{\n\t\"HttpHeaders\": {\n\t\t\"X\": \"y<>&é\"\n\t},\n\t\"auths\": {\n\t\t\"zzz\": {\n\t\t\t\"email\": \"q\",\n\t\t\t\"auth\": \"\"\n\t\t},\n\t\t\"bad\": 7\n\t},\n\t\"big\": [\n\t\t18446744073709551615,\n\t\t1.0\n\t]\n}\n";
    let home = Home::new();
    let path = home.write("auth.json", before);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let keyring = home.keyring();
    let here = scope("h.example/ns");
    keyring.store(&here, &basic("bob", "pw")).await.unwrap();
    let added = "\t\t\"bad\": 7,\n\t\t\"h.example/ns\": {\n\t\t\t\"auth\": \"Ym9iOnB3\"\n\t\t}\n";
    assert_eq!(
        home.read("auth.json"),
        before.replace("\t\t\"bad\": 7\n", added)
    );
    assert_eq!(mode(&path), 0o600, "others could read the password");
    assert_eq!(keyring.erase(&here).await.unwrap(), Some(Kept::File(path)));
    assert_eq!(home.read("auth.json"), before);
}

#[tokio::test]
async fn a_login_replaces_the_credential_and_keeps_the_entry() {
    let home = Home::with(&json!({
        "auths": {
            "https://index.docker.io/v1/": {"email": "q", "username": "old", "password": "old"},
            "docker.io": {"identitytoken": "old"},
            "quay.io": auth("other"),
        },
    }));
    let keyring = home.keyring();
    let login = basic("bob", "pw");
    keyring.store(&scope("docker.io"), &login).await.unwrap();
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    // Docker looks for the one, skopeo for the other.
    assert_eq!(
        now,
        json!({
            "auths": {
                "https://index.docker.io/v1/": {"email": "q", "auth": "Ym9iOnB3"},
                "docker.io": {"auth": "Ym9iOnB3"},
                "quay.io": auth("other"),
            },
        })
    );
    let gone = keyring.erase(&scope("registry-1.docker.io")).await.unwrap();
    assert!(gone.is_some());
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    assert_eq!(now, json!({"auths": {"quay.io": auth("other")}}));
}

#[tokio::test]
async fn a_link_to_the_file_stays_a_link() {
    let home = Home::new();
    home.write("real/config.json", "{}");
    symlink("real/config.json", home.path("auth.json")).unwrap();
    let keyring = home.keyring();
    let login = basic("bob", "pw");
    keyring.store(&scope("h.example"), &login).await.unwrap();
    assert!(home.path("auth.json").is_symlink());
    assert!(home.read("real/config.json").contains("Ym9iOnB3"));
}

#[tokio::test]
async fn what_cannot_be_read_or_replaced_is_not_overwritten() {
    let home = Home::new();
    home.write("auth.json", "{ not JSON");
    let login = basic("bob", "pw");
    let stored = home.keyring().store(&scope("h.example"), &login).await;
    assert_eq!(stored.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(home.read("auth.json"), "{ not JSON");
    let null = Keyring::new(Environment {
        authfile: Some("/dev/null".into()),
        ..Environment::default()
    });
    let refused = null.store(&scope("h.example"), &login).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(null.find(&repository("h.example/x")).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_by_a_helper_leaves_no_secret_in_the_file() {
    let home = Home::with(&json!({
        "auths": {"h.example": {"auth": auth("old")["auth"], "email": "q"}},
        "credsStore": "chain",
    }));
    home.keychain("chain");
    let keyring = home.keyring();
    let login = basic("bob", CANARY);
    for host in ["h.example", "docker.io"] {
        let kept = keyring.store(&scope(host), &login).await.unwrap();
        assert_eq!(kept.to_string(), "docker-credential-chain");
    }
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    assert_eq!(
        now,
        json!({
            "auths": {"h.example": {"email": "q"}, "docker.io": {}},
            "credsStore": "chain",
        })
    );
    for name in ["h.example/x", "busybox"] {
        let found = keyring.find(&repository(name)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&login), "{name}");
    }
    let servers = fs::read_dir(home.path("keychain")).unwrap();
    let mut servers: Vec<_> = servers.map(|it| it.unwrap().file_name()).collect();
    servers.sort();
    assert_eq!(servers, ["h.example", "https:__index.docker.io_v1_"]);
}

#[tokio::test]
async fn a_part_of_a_registry_is_kept_only_where_it_is_found_again() {
    let home = Home::with(&json!({
        "credHelpers": {"h.example": "chain"},
        "credsStore": "chain",
    }));
    home.keychain("chain");
    let keyring = home.keyring();
    let login = basic("bob", "pw");
    let hidden = keyring.store(&scope("h.example/ns"), &login).await;
    assert_eq!(hidden.unwrap_err().kind(), ErrorKind::Unsupported);
    let kept = keyring.store(&scope("o.example/ns"), &login).await.unwrap();
    assert_eq!(kept, Kept::File(home.path("auth.json")));
    let found = keyring.find(&repository("o.example/ns/x")).await.unwrap();
    assert_eq!(found, Some(login));
}

#[tokio::test]
async fn a_logout_is_of_exactly_what_was_said_and_tells_if_there_was_nothing() {
    let home = Home::with(&json!({
        "auths": {"h.example": auth("a"), "h.example/ns": auth("b"), "bad.example": 7, "mark": {}},
    }));
    let keyring = home.keyring();
    let erase = async |text: &str| keyring.erase(&scope(text)).await.unwrap();
    assert_eq!(erase("h.example/ns/repo").await, None);
    assert_eq!(erase("other.example").await, None);
    assert_eq!(erase("mark").await, None);
    let file = Some(Kept::File(home.path("auth.json")));
    assert_eq!(erase("h.example").await, file);
    assert_eq!(erase("h.example").await, None);
    assert_eq!(home.user("h.example/ns/x").await.as_deref(), Some("b"));
    assert_eq!(erase("h.example/ns").await, file);
    // The way out of a malformed entry.
    assert_eq!(erase("bad.example").await, file);

    fs::remove_file(home.path("auth.json")).unwrap();
    assert_eq!(erase("h.example").await, None);
    assert_eq!(keyring.erase_all().await.unwrap(), [""; 0]);
    assert!(!home.path("auth.json").exists());
}

#[tokio::test]
async fn a_logout_reaches_the_helper_and_what_lies_beside_it() {
    let home = Home::with(&json!({
        "auths": {"h.example": auth("stale")},
        "credHelpers": {"h.example": "chain"},
    }));
    home.keychain("chain");
    home.in_keychain("h.example", "bob", "pw");
    let keyring = home.keyring();
    let gone = keyring.erase(&scope("h.example")).await.unwrap();
    assert_eq!(gone.unwrap().to_string(), "docker-credential-chain");
    assert_eq!(home.read("log"), "get <h.example>\nerase <h.example>\n");
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    let left = json!({"auths": {}, "credHelpers": {"h.example": "chain"}});
    assert_eq!(now, left, "how credentials are kept is no credential");
    assert_eq!(keyring.erase(&scope("h.example")).await.unwrap(), None);
}

#[tokio::test]
async fn a_logout_from_everything_does_all_it_can() {
    let home = Home::with(&json!({
        "auths": {
            "file.example": auth("a"),
            "docker.io": {},
            "broken.example": auth("b"),
            "h.example/ns": auth("c"),
        },
        "credHelpers": {"named.example": "chain", "broken.example": "broken"},
        "credsStore": "chain",
    }));
    home.keychain("chain");
    home.helper("broken", "echo locked; exit 1");
    for server in [
        "https://index.docker.io/v1/",
        "named.example",
        "foreign.example",
    ] {
        home.in_keychain(server, "bob", "pw");
    }
    let error = home.keyring().erase_all().await.unwrap_err();
    assert!(told(&error).contains("locked"), "{}", told(&error));
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    assert_eq!(now["auths"], json!({"broken.example": {}}));
    let left = fs::read_dir(home.path("keychain")).unwrap();
    let left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(
        left,
        ["foreign.example"],
        "what the file does not name stays"
    );

    let plain = Home::with(&json!({"auths": {"a.example": auth("a"), "b.example/ns": auth("b")}}));
    let gone = plain.keyring().erase_all().await.unwrap();
    assert_eq!(gone, ["a.example", "b.example/ns"]);
    assert_eq!(plain.read("auth.json"), "{\n\t\"auths\": {}\n}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_at_the_same_time_are_all_kept() {
    let home = Home::new();
    let environment = home.environment();
    let logins = (0..16).map(|n| {
        let keyring = Keyring::new(environment.clone());
        tokio::spawn(async move {
            let here = scope(&format!("h{n}.example"));
            keyring.store(&here, &basic("bob", "pw")).await.unwrap();
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    let now: Value = serde_json::from_str(&home.read("auth.json")).unwrap();
    assert_eq!(now["auths"].as_object().unwrap().len(), 16);
}
