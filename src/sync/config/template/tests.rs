use std::time::{Duration, SystemTime};

use super::*;
use crate::image::Reference;

fn registry(text: &str) -> From {
    From::Registry(text.parse().unwrap())
}

fn expanded(template: &str, from: &From, tag: &str) -> Result<String> {
    let template: Template = template.parse().unwrap();
    let tag: Tag = tag.parse().unwrap();
    Ok(template.expand(from, Some(&tag))?.to_string())
}

/// A template, a source, and where its tag 1.27 goes.
const PLACEHOLDERS: &[(&str, &str, &str)] = &[
    ("r.corp/m/{repo}", "nginx", "r.corp/m/library/nginx:1.27"),
    (
        "docker://r.corp/m/{repo}",
        "nginx",
        "r.corp/m/library/nginx:1.27",
    ),
    (
        "r.corp/{registry}/{repo}",
        "nginx",
        "r.corp/docker.io/library/nginx:1.27",
    ),
    (
        "r.corp/{registry}/{repo}",
        "registry.corp:5000/app",
        "r.corp/registry.corp-5000/app:1.27",
    ),
    (
        "{registry}/copy/{repo}",
        "registry.corp:5000/app",
        "registry.corp:5000/copy/app:1.27",
    ),
    (
        "r.corp/{namespace}/{name}",
        "ghcr.io/acme/team/app",
        "r.corp/acme/team/app:1.27",
    ),
    (
        "r.corp/{namespace}/{name}",
        "registry.corp:5000/app",
        "r.corp/app:1.27",
    ),
    (
        "r.corp:5000/{flat}",
        "ghcr.io/acme/team/app",
        "r.corp:5000/acme-team-app:1.27",
    ),
    (
        "r.corp/x:{tag}-mirror",
        "ghcr.io/acme/team/app",
        "r.corp/x:1.27-mirror",
    ),
    (
        "r.corp/x:stable",
        "ghcr.io/acme/team/app",
        "r.corp/x:stable",
    ),
    (
        "r.corp/{name}-{tag}",
        "ghcr.io/acme/team/app",
        "r.corp/app-1.27:1.27",
    ),
    (
        "localhost/{name}",
        "ghcr.io/acme/team/app",
        "localhost/app:1.27",
    ),
    ("oci:/srv/{name}:{tag}", "nginx", "oci:/srv/nginx:1.27"),
    ("oci:/srv/{name}", "nginx", "oci:/srv/nginx:1.27"),
    ("oci:/srv/all", "nginx", "oci:/srv/all:nginx:1.27"),
    (
        "oci:/srv/all:{flat}-{tag}",
        "nginx",
        "oci:/srv/all:library-nginx-1.27",
    ),
    (
        "oci-archive:all.tar",
        "ghcr.io/acme/team/app",
        "oci-archive:all.tar:ghcr.io/acme/team/app:1.27",
    ),
    (
        "docker-archive:all.tar",
        "nginx",
        "docker-archive:all.tar:nginx:1.27",
    ),
    (
        "docker-archive:{name}.tar:app",
        "nginx",
        "docker-archive:nginx.tar:app:1.27",
    ),
    (
        "docker-archive:all.tar:app:{tag}",
        "nginx",
        "docker-archive:all.tar:app:1.27",
    ),
];

#[test]
fn placeholders_stand_for_parts_of_the_source() {
    for (template, from, target) in PLACEHOLDERS {
        let from = &registry(from);
        assert_eq!(
            expanded(template, from, "1.27").unwrap(),
            *target,
            "{template}"
        );
    }
}

#[test]
fn names_of_local_places_tell_their_parts() {
    let archive = From::Local("docker-archive:x.tar".parse::<Reference>().unwrap());
    let expand = |template, tag| expanded(template, &archive, tag);
    assert_eq!(
        expand("r.corp/{repo}", "app:1").unwrap(),
        "r.corp/library/app:1"
    );
    assert_eq!(
        expand("r.corp/{repo}", "q.io/a/b:1").unwrap(),
        "r.corp/a/b:1"
    );
    assert_eq!(expand("r.corp/app", "1.2").unwrap(), "r.corp/app:1.2");
    assert_eq!(
        expand("oci:/srv/all", "app:1").unwrap(),
        "oci:/srv/all:app:1"
    );
    let unknown = expand("r.corp/{repo}", "1.2").unwrap_err().to_string();
    assert!(unknown.contains("{repo} cannot be known"), "{unknown}");
}

#[test]
fn a_name_leads_to_no_other_directory() {
    let layout = From::Local("oci:x".parse::<Reference>().unwrap());
    let error = expanded("oci:/srv/{tag}", &layout, "a/../../../etc").unwrap_err();
    assert!(error.to_string().contains("has a slash"), "{error}");
}

#[test]
fn what_has_no_tag_needs_one() {
    let from = registry("alpine");
    let template: Template = "r.corp/{repo}".parse().unwrap();
    let error = template.expand(&from, None).unwrap_err().to_string();
    assert!(error.contains("has no tag: write one in `to`"), "{error}");
    let template: Template = "r.corp/alpine:pinned".parse().unwrap();
    let target = template.expand(&from, None).unwrap();
    assert_eq!(target.to_string(), "r.corp/alpine:pinned");
    assert_eq!(
        target.reference().to_string(),
        "docker://r.corp/alpine:pinned"
    );
}

#[test]
fn what_comes_out_must_be_a_reference() {
    let from = registry("alpine");
    for template in [
        "r.corp/UPPER/{name}",
        "r.corp/{name}//x",
        "r.corp/x:{registry}/y",
    ] {
        let parsed = template.parse::<Template>();
        let fails = parsed.map_or(true, |it| {
            it.expand(&from, "1".parse().ok().as_ref()).is_err()
        });
        assert!(fails, "{template}");
    }
}

#[test]
fn bad_templates_are_told_before_anything_is_copied() {
    for (bad, why) in [
        (
            "r.corp/{rpeo}",
            "unknown placeholder {rpeo}; did you mean {repo}?",
        ),
        (
            "r.corp/{xyzzy}",
            "known are {registry} {repo} {namespace} {name} {flat} {tag}",
        ),
        ("r.corp/{date}", "unknown placeholder {date}"),
        ("r.corp/{}", "unknown placeholder {}"),
        ("r.corp/{repo", "is not closed"),
        ("r.corp/repo}", "closes nothing"),
        (
            "mirror/{repo}",
            "names no registry; write HOST/mirror/{repo}",
        ),
        ("{repo}", "names no registry"),
        ("r.corp", "names no repository; write r.corp/{repo}"),
        ("r.corp/", "names no repository"),
        ("https://r.corp/{repo}", "https:// is no place"),
        ("dir:x", "dir: is not supported yet"),
        ("docker-daemon:x", "docker-daemon: is not supported yet"),
        ("r.corp/x@sha256:00", "cannot have a digest"),
        ("oci:", "must name a file or a directory"),
        ("docker-archive:-", "must name a file or a directory"),
        ("", "names no registry"),
    ] {
        let error = bad.parse::<Template>().unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn backups_are_named_by_tag_and_time() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_251_199);
    let tag: Tag = "1.27".parse().unwrap();
    let template: TagTemplate = "{tag}.bak-{date}".parse().unwrap();
    let backup = template.expand(&tag, now).unwrap();
    assert_eq!(backup.as_str(), "1.27.bak-20240229T235959Z");
    let long: Tag = "x".repeat(128).parse().unwrap();
    assert!(template.expand(&long, now).is_err());
    for (bad, why) in [
        ("{tag}", "must be {tag} and more"),
        ("old", "must be {tag} and more"),
        ("old-{date}", "must be {tag} and more"),
        ("{tag}/{date}", "letters, digits"),
        ("{tag}-{repo}", "unknown placeholder {repo}"),
        ("-{tag}", "invalid name"),
    ] {
        let error = bad.parse::<TagTemplate>().unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[test]
fn s55_paths_that_lead_to_one_file_are_known() {
    let file = |path: &str, folds| Place::OciArchive(path.into()).file(folds).unwrap();
    for same in [
        "./a/b.tar",
        "a//b.tar",
        "a/./b.tar",
        "x/../a/b.tar",
        "a/x/../b.tar",
    ] {
        assert_eq!(file(same, false), file("a/b.tar", false), "{same}");
    }
    for other in [
        "../a/b.tar",
        "/a/b.tar",
        "A/b.tar",
        "a/b",
        "../../a/b.tar",
        "x/../../a/b.tar",
    ] {
        assert_ne!(file(other, false), file("a/b.tar", false), "{other}");
    }
    assert_ne!(file("../a", false), file("../../a", false));
    assert_eq!(file("A/b.Tar", true), file("a/B.tar", true));
    let registry = Place::Registry("r.example/a".parse().unwrap());
    assert_eq!(registry.file(true), None);
}
