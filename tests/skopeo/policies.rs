//! Trust policies: what is accepted, what is rejected, and what is no policy.

use crate::pair::{Desk, Pair};

#[test]
fn policies_are_read_and_obeyed_the_same() {
    let Some(pair) = Pair::new() else { return };
    let accept = r#"[{"type":"insecureAcceptAnything"}]"#;
    let reject = r#"[{"type":"reject"}]"#;
    for (name, policy) in [
        ("accept", format!(r#"{{"default":{accept}}}"#)),
        ("reject", format!(r#"{{"default":{reject}}}"#)),
        (
            "both",
            r#"{"default":[{"type":"insecureAcceptAnything"},{"type":"reject"}]}"#.into(),
        ),
        ("none", "{}".into()),
        ("empty", r#"{"default":[]}"#.into()),
        ("word", r#"{"default":[{"type":"bla"}]}"#.into()),
        ("key", format!(r#"{{"default":{reject},"x":1}}"#)),
        ("inner", r#"{"default":[{"type":"reject","x":1}]}"#.into()),
        (
            "transport",
            format!(r#"{{"default":{reject},"transports":{{"dir":{{"":{accept}}}}}}}"#),
        ),
        (
            "other",
            format!(r#"{{"default":{reject},"transports":{{"docker":{{"":{accept}}}}}}}"#),
        ),
        (
            "root",
            format!(
                r#"{{"default":{accept},"transports":{{"dir":{{"":{accept},"FIXTURES":{reject}}}}}}}"#
            ),
        ),
        (
            "narrow",
            format!(
                r#"{{"default":{reject},"transports":{{"dir":{{"FIXTURES":{reject},"FIXTURES/gzip":{accept}}}}}}}"#
            ),
        ),
    ] {
        let fixtures = crate::support::fixture("dir").canonicalize().unwrap();
        let policy = policy.replace("FIXTURES", &fixtures.display().to_string());
        for desk in [&pair.theirs, &pair.ours] {
            std::fs::write(desk.at(name), &policy).unwrap();
        }
        pair.same(&format!("--policy {name} copy -q dir:gzip dir:out-{name}"));
        pair.same(&format!(
            "--policy {name} --insecure-policy copy -q dir:gzip dir:out2-{name}"
        ));
        pair.same(&format!("--policy {name} inspect dir:gzip"));
    }
    pair.same("--policy nothing copy -q dir:gzip dir:out");
}

#[test]
fn a_demand_for_signatures_is_an_error_that_names_it() {
    let desk = Desk::ours(None);
    for kind in ["signedBy", "sigstoreSigned", "signedBaseLayer"] {
        let policy = format!(
            r#"{{"default":[{{"type":"insecureAcceptAnything"}},{{"type":"{kind}","keyPath":"/k"}}]}}"#
        );
        std::fs::write(desk.at("policy"), policy).unwrap();
        let ended = desk.run("--policy policy copy -q dir:gzip dir:out");
        assert_eq!(ended.code, Some(1));
        assert!(ended.fatal.contains("Source image rejected"), "{ended:?}");
        assert!(ended.fatal.contains(kind), "{ended:?}");
        assert!(!desk.at("out").exists());
    }
}

#[test]
fn the_policy_of_the_user_counts() {
    let desk = Desk::ours(None);
    let own = desk.at("home/.config/containers/policy.json");
    std::fs::write(own, r#"{"default":[{"type":"reject"}]}"#).unwrap();
    let ended = desk.run("copy -q dir:gzip dir:out");
    assert!(ended.fatal.contains("rejected by policy"), "{ended:?}");
    std::fs::create_dir_all(desk.at("xdg/containers")).unwrap();
    let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
    std::fs::write(desk.at("xdg/containers/policy.json"), policy).unwrap();
    let mut command = desk.command();
    command.env("XDG_CONFIG_HOME", desk.at("xdg"));
    let ended = command.args(["copy", "-q", "dir:gzip", "dir:out"]).status();
    assert!(ended.unwrap().success());
}
