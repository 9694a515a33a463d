//! `deny.toml`, as far as these tests need it. An unknown key is left to cargo-deny.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Deny {
    pub(super) advisories: Advisories,
    pub(super) licenses: Licences,
    pub(super) bans: Bans,
    pub(super) sources: Sources,
}

#[derive(Deserialize)]
pub(super) struct Advisories {
    pub(super) ignore: Vec<Ignored>,
}

/// An advisory that does not concern us, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ignored {
    pub(super) id: String,
    pub(super) reason: String,
}

#[derive(Deserialize)]
pub(super) struct Licences {
    pub(super) allow: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Bans {
    pub(super) deny: Vec<Banned>,
}

/// A package that is kept out, or those versions of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Banned {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: semver::VersionReq,
    pub(super) reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Sources {
    pub(super) unknown_registry: String,
    pub(super) unknown_git: String,
}

pub(super) fn deny() -> Deny {
    toml::from_str(&super::top("deny.toml")).unwrap()
}

#[test]
fn a_ban_holds_for_all_versions_or_for_those_it_names() {
    let banned = |text: &str, version: &str| {
        let banned: Banned = toml::from_str(text).unwrap();
        banned.version.matches(&version.parse().unwrap())
    };
    let all = "name = 'x'\nreason = 'y'";
    assert!(banned(all, "0.0.1"));
    assert!(banned(all, "12.3.4"));
    let floor = "name = 'x'\nversion = '<0.4.46'\nreason = 'y'";
    assert!(banned(floor, "0.4.9"));
    assert!(!banned(floor, "0.4.46"));
    assert!(!banned(floor, "0.10.0"));
}
