//! Nights in which nothing has changed.

use imgcopy::sync::report::Status;

use crate::kit::{REPO, asked, kinds, writes};
use crate::night::{Night, entry, repo, requests};
use crate::support::registry::{
    Auth, Form, Image, OCI_MANIFEST, Options, Registry, TokenRules, TokenServer, descriptor,
};
use crate::support::stamps;

const TAGS: usize = 100;

/// Images, indexes of several and signed ones, under a hundred tags.
fn fill(server: &Registry) {
    let images = [1, 2].map(|seed| Image::new(Form::OciGzip, &[500, 300], seed));
    let digests = images.each_ref().map(|image| server.add(REPO, None, image));
    let pair = [("amd64", &*digests[0]), ("arm64", &*digests[1])];
    let index = server.add_index(REPO, "0", &pair);
    for tag in 0..TAGS {
        let digest = [&digests[0], &digests[1], &index][tag % 3];
        server.set_tag(REPO, &tag.to_string(), digest);
    }
    let subject = server.manifest(REPO, &digests[0]).unwrap();
    let config = server.add_blob(REPO, "{}");
    assert!(config.starts_with("sha256:"));
    let signature = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.test.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [],
        "subject": descriptor(OCI_MANIFEST, &subject.bytes),
    });
    server.add_manifest(REPO, OCI_MANIFEST, signature.to_string(), None);
    let cosign = format!("{}.sig", digests[1].replace(':', "-"));
    server.set_tag(REPO, &cosign, &digests[0]);
}

fn pair() -> (Registry, Registry) {
    let servers = (Registry::start(), Registry::start());
    fill(&servers.0);
    fill(&servers.1);
    servers
}

#[test]
fn a_hundred_equal_tags_cost_two_questions_each_and_a_list() {
    let (here, there) = pair();
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""));
    let morning = night.runs().all(Status::Same, TAGS);
    asked(&here, &[("GET tags", 1), ("HEAD tag", TAGS)]);
    asked(&there, &[("HEAD tag", TAGS)]);
    let total: u64 = morning.report.hosts.iter().map(|host| host.requests).sum();
    assert_eq!(total, 2 * TAGS as u64 + 1);
    assert_eq!(morning.report.totals.bytes, 0);
}

#[test]
fn a_dry_run_of_them_costs_the_same_and_no_pull() {
    let (here, there) = pair();
    let night = Night::of(&entry(&repo(&here, REPO), "\"*\"", &repo(&there, REPO), ""));
    night.run(&["--dry-run"]).ended(0).all(Status::Same, TAGS);
    assert_eq!(requests(&here) + requests(&there), 2 * TAGS + 1);
    assert_eq!(here.count("GET", "/manifests/"), 0);
}

#[test]
fn a_repository_costs_one_token() {
    let issuers = [0, 1].map(|_| TokenServer::start(TokenRules::default()));
    let servers = issuers.each_ref().map(|issuer| {
        Registry::with(Options {
            auth: Auth::Bearer(issuer.issuer()),
            ..Options::default()
        })
    });
    servers.iter().for_each(fill);
    let [here, there] = &servers;
    let night = Night::of(&entry(&repo(here, REPO), "\"*\"", &repo(there, REPO), ""));
    night.runs().all(Status::Same, TAGS);
    assert_eq!(issuers.each_ref().map(|issuer| issuer.log().len()), [1, 1]);
    // What comes before the token is there is refused, and nothing else.
    assert_eq!(writes(there), 0);
    assert_eq!(
        kinds(here)
            .keys()
            .filter(|kind| kind.starts_with("GET m"))
            .count(),
        0
    );
}

#[test]
fn a_tag_that_never_changes_costs_one_question_and_its_source_none() {
    let (here, there) = pair();
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"7\"",
        &repo(&there, REPO),
        ", immutable: [\"*\"]",
    ));
    let morning = night.runs().all(Status::Same, 1);
    assert!(morning.reason(":7").contains("immutable"));
    asked(&here, &[]);
    asked(&there, &[("HEAD tag", 1)]);
}

#[test]
fn many_tags_that_never_change_cost_one_list() {
    let (here, there) = pair();
    let tags: Vec<String> = (0..TAGS).map(|tag| format!("\"{tag}\"")).collect();
    let night = Night::of(&entry(
        &repo(&here, REPO),
        &tags.join(","),
        &repo(&there, REPO),
        ", immutable: [\"*\"]",
    ));
    night.runs().all(Status::Same, TAGS);
    asked(&here, &[]);
    asked(&there, &[("GET tags", 1)]);
    // The night in which all but one are there.
    here.set_tag(REPO, "new", &here.tag_of(REPO, "1").unwrap());
    night.wants(&entry(
        &repo(&here, REPO),
        &format!("{},new", tags.join(",")),
        &repo(&there, REPO),
        ", immutable: [\"*\"]",
    ));
    let morning = night.runs();
    assert_eq!(morning.row(":new").status, Status::New);
    assert_eq!(here.count("HEAD", "/manifests/1"), 0);
    assert_eq!(there.count("GET", "/tags/list"), 2);
    assert_eq!(there.count("HEAD", "/manifests/1"), 0);
}

#[test]
fn deep_looks_at_what_never_changes() {
    let (here, there) = (Registry::start(), Registry::start());
    let new = here.add_image(REPO, "1", &[500], 1);
    there.add_image(REPO, "1", &[500], 2);
    let more = ", immutable: [\"*\"]";
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"1\"",
        &repo(&there, REPO),
        more,
    ));
    night.runs().all(Status::Same, 1);
    night.run(&["--deep"]).ended(0).all(Status::Updated, 1);
    assert_eq!(there.tag_of(REPO, "1"), Some(new));
}

/// What stands in each local place stays untouched, file by file, and costs no blob.
fn repeats(to: &str, gets_manifests: bool) {
    let here = Registry::start();
    fill(&here);
    let night = Night::of(&entry(&repo(&here, REPO), "\"0\", \"1\", \"3\"", to, ""));
    std::fs::create_dir(night.at("out")).unwrap();
    night.runs().all(Status::New, 3);
    let before = stamps(&night.at("out"));
    assert!(!before.is_empty());
    here.forget();
    night.runs().all(Status::Same, 3);
    assert_eq!(stamps(&night.at("out")), before);
    if !gets_manifests {
        asked(&here, &[("HEAD tag", 3)]);
    }
    assert_eq!(writes(&here), 0);
}

#[test]
fn an_oci_directory_is_left_as_it_is() {
    repeats("oci:out/layout", false);
}

#[test]
fn an_oci_archive_is_left_as_it_is() {
    repeats("oci-archive:out/all.tar", false);
}

#[test]
fn a_docker_archive_is_left_as_it_is() {
    repeats("docker-archive:out/all.tar", true);
}
