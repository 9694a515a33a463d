//! Credentials from files and helpers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use imgcopy::error::ErrorKind;
use serde_json::json;

use crate::support::registry::{Auth, Options as Kind, Registry, TokenRules};
use crate::support::tempdir;
use crate::{at, fails, from_file, read, registry};

/// A credential helper that gives one password after the other, and the last one for ever. It counts
/// its runs in the file `runs` beside it.
fn helper(home: &Path, host: &str, passwords: &[&str]) -> PathBuf {
    let runs = home.join("runs");
    let answer = |(at, password): (usize, &&str)| {
        let (test, run) = match at + 1 == passwords.len() {
            true => ("-gt", at),
            false => ("-eq", at + 1),
        };
        let answer = json!({ "Username": "me", "Secret": password });
        format!("[ \"$n\" {test} {run} ] && echo '{answer}'\n")
    };
    let answers: Vec<String> = passwords.iter().enumerate().map(answer).collect();
    let script = format!(
        "#!/bin/sh\n/bin/cat >/dev/null\necho x >> '{0}'\nn=$(/usr/bin/wc -l < '{0}')\n{1}exit 0\n",
        runs.display(),
        answers.concat()
    );
    let program = home.join("docker-credential-test");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let file = home.join("auth.json");
    let helpers = json!({ "credHelpers": { host: "test" } });
    std::fs::write(&file, helpers.to_string()).unwrap();
    file
}

fn runs(home: &Path) -> usize {
    let runs = std::fs::read_to_string(home.join("runs")).unwrap();
    runs.lines().count()
}

#[test]
fn q18_a_helper_is_asked_once_for_a_newer_password() {
    let kinds = [
        Auth::basic("me", "new"),
        Auth::bearer(TokenRules::login("me", "new")),
    ];
    for auth in kinds {
        let registry = registry(auth.clone());
        let home = tempdir();
        let file = helper(home.path(), &registry.host(), &["old", "new"]);
        read(&at(&registry), from_file(&file, home.path())).unwrap();
        assert_eq!(runs(home.path()), 2);

        let home = tempdir();
        let file = helper(home.path(), &registry.host(), &["old"]);
        let refused = read(&at(&registry), from_file(&file, home.path()));
        fails(refused, ErrorKind::Unauthorized, &["credentials of me"]);
        assert_eq!(runs(home.path()), 2);
    }
}

#[test]
fn s37_a_similar_host_gets_no_credential() {
    let registry = Registry::with(Kind {
        auth: Auth::basic("me", "secret"),
        ..Kind::default()
    });
    let (host, port) = (registry.host(), registry.port());
    let similar = [
        "127.0.0.1".to_string(),
        format!("127.0.0.1:{}", port - 1),
        format!("127.0.0.1:{port}0"),
        format!("evil-{host}"),
        format!("{host}.evil.test"),
        format!("localhost:{port}"),
        format!("{host}/other"),
        format!("{host}/team/ap"),
        format!("{host}/team/app/sub"),
    ];
    // "me:secret"
    let entry = json!({ "auth": "bWU6c2VjcmV0" });
    let auths: serde_json::Map<_, _> = similar
        .into_iter()
        .map(|key| (key, entry.clone()))
        .collect();
    let home = tempdir();
    let file = home.path().join("auth.json");
    std::fs::write(&file, json!({ "auths": auths }).to_string()).unwrap();
    let refused = read(&at(&registry), from_file(&file, home.path()));
    fails(
        refused,
        ErrorKind::Unauthorized,
        &["wants to know who asks"],
    );
    crate::sees_nobody(&registry);
}
