use super::Made;

/// A file whose only entry is copied to a path that an expression stands in.
fn with(made: Made, expression: &str) -> Result<String, String> {
    let text = format!("version: 1\nimages: [{{from: a:1, to: 'r.corp/x:{expression}'}}]");
    let config = made.file("sync.yaml", &text).load()?;
    let to = &config.entries[0].to[0];
    Ok(to
        .to_string()
        .strip_prefix("r.corp/x:")
        .unwrap()
        .to_string())
}

fn set() -> Made {
    Made::default()
        .variable("V", "value")
        .variable("EMPTY", "")
        .variable("NESTED", "${V}")
        .file("/secret", "text\n")
        .file("/two", "text\n\n")
        .file("/crlf", "text\r\n")
        .file("/large", &"x".repeat(65_537))
}

#[test]
fn variables_and_files_are_put_in() {
    for (expression, value) in [
        ("${V}", "value"),
        ("a${V}b${V}", "avaluebvalue"),
        ("${V:-x}", "value"),
        ("${NONE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("x${NONE:-}", "x"),
        ("x${EMPTY}", "x"),
        ("${V:?set it}", "value"),
        ("${NONE:-a:b}", "a:b"),
        ("${file:/secret}", "text"),
        ("${file:/crlf}", "text"),
        ("{tag}${NONE:--x}", "{tag}-x"),
    ] {
        let found = with(set(), expression);
        // A second colon makes another reference of it; that is seen further on.
        if value.contains(':') {
            assert!(found.is_err());
            continue;
        }
        assert_eq!(found.as_deref(), Ok(value), "{expression}");
    }
}

#[test]
fn what_cannot_be_put_in_is_told() {
    for (expression, why) in [
        (
            "${NONE}",
            "NONE is not set; use ${NONE:-default} to permit that",
        ),
        ("${NONE:?ask the team}", "NONE is not set: ask the team"),
        ("${EMPTY:?}", "EMPTY is not set"),
        ("${V", "a ${ is not closed"),
        ("${}", "${} is not understood"),
        ("${1}", "is not understood: a variable's name"),
        (
            "${V-x}",
            "is not understood; a default is written ${VAR:-text}",
        ),
        ("${V:x}", "must come - and a default"),
        ("${V:-${V}}", "cannot hold another one"),
        ("${fiel:/x}", "did you mean ${file:PATH}?"),
        ("${file:}", "names no file"),
        ("${file:/nowhere}", "cannot read /nowhere: "),
        ("${file:/large}", "larger than 64 KiB"),
    ] {
        let told = with(set(), expression).unwrap_err();
        assert!(told.starts_with("sync.yaml:2:26: "), "{told}");
        assert!(told.contains(why), "{expression}: {told}");
        assert_eq!(told.lines().count(), 1, "{expression}: {told}");
    }
}

#[test]
fn dollars_and_values_stand_for_themselves() {
    let text = concat!(
        "version: 1\n",
        "registries: {'${HOST}': {auth: {user: '${USER}', pass: 'a$$b$c$$${V}'}}}\n",
        "images: [{from: a, tags: '/v1$/', to: r.corp/x}]\n",
        "x-mine: ${UNSET}\n",
    );
    let made = Made::default()
        .file("sync.yaml", text)
        .variable("HOST", "r.corp:5000")
        .variable("USER", "\"} , # {x")
        .variable("V", "${USER}");
    let config = made.load().unwrap();
    let auth = config.rule("r.corp:5000").unwrap().auth.clone().unwrap();
    let crate::sync::config::Auth::Basic { user, pass } = auth else {
        panic!()
    };
    assert_eq!(user, "\"} , # {x");
    assert_eq!(pass.reveal(), "a$b$c$${USER}");
    assert_eq!(config.entries[0].tags.include[0].to_string(), "/v1$/");
}

#[test]
fn secrets_are_not_shown() {
    let text = concat!(
        "version: 1\n",
        "registries:\n",
        "  r.corp: {auth: {user: the-user, pass: \"${file:/pass}\"}}\n",
        "  q.corp: {auth: {token: the-token}}\n",
        "images: [{from: a:1, to: \"r.corp/${file:/path}/x\"}]\n",
        "notify: [{webhook: \"https://chat.example/the-hook\"}]\n",
    );
    let made = || {
        Made::default()
            .file("/pass", "the-pass\n")
            .file("/path", "the-path")
    };
    let config = made().file("sync.yaml", text).load().unwrap();
    let shown = [
        config.to_yaml(),
        config.document().to_string(),
        format!("{config:?}"),
    ];
    for secret in ["the-user", "the-token", "the-hook", "the-pass", "the-path"] {
        assert!(!config.to_yaml().contains(secret), "{secret}: {}", shown[0]);
        assert!(
            !config.document().to_string().contains(secret),
            "{secret}: {}",
            shown[1]
        );
    }
    for secret in ["the-token", "the-hook", "the-pass"] {
        assert!(!shown[2].contains(secret), "{secret}");
    }
    assert!(shown[0].contains("r.corp/***/x"), "{}", shown[0]);

    // Nor where something is wrong.
    let bad = concat!(
        "version: 1\n",
        "registries: {r.corp: {auth: \"${file:/pass}\", tls: \"${file:/pass}\"}}\n",
        "images: [{from: a, tags: \">=${file:/path}\", to: \"${file:/path}\"}]\n",
        "notify: [{webhook: the-hook}]\n",
    );
    let told = made().file("sync.yaml", bad).load().unwrap_err();
    for secret in ["the-pass", "the-path", "the-hook"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(told.lines().count(), 5, "{told}");
}

/// A mistake, but none that should show the secret.
#[test]
fn a_secret_in_the_path_of_an_included_file_is_not_shown() {
    let made = set()
        .file(
            "sync.yaml",
            "version: 1\ninclude: ['teams-${file:/secret}.yaml']",
        )
        .file("teams-text.yaml", "imagse: []");
    let told = made.load().unwrap_err();
    assert!(
        told.starts_with("teams-***.yaml:1:1: unknown key `imagse`"),
        "{told}"
    );
    let made = made.file("teams-text.yaml", "images: [{from: a:1, to: r.corp/a}]");
    let at = made.load().unwrap().entries[0].at.to_string();
    assert_eq!(at, "teams-***.yaml:1:10");
}
