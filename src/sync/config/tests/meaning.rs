use std::time::Duration;

use super::{Made, entry, read};
use crate::copy::Subset;
use crate::image::Tag;
use crate::store::registry::credentials::Secret;
use crate::sync::config::{Auth, Change, From, Occasion, PruneMode, Referrers, Share, Tls};

/// Everything that the entries would write, where literals tell it.
fn targets(config: &super::Config) -> Vec<String> {
    let mut all = Vec::new();
    for entry in &config.entries {
        for tag in &entry.tags.include {
            let tag: Tag = tag.to_string().parse().unwrap();
            for to in &entry.to {
                all.push(to.expand(&entry.from, Some(&tag)).unwrap().to_string());
            }
        }
    }
    all
}

#[test]
fn five_lines_are_useful() {
    let config = read(concat!(
        "version: 1\n",
        "defaults: {to: \"registry.corp/mirror/{repo}\"}\n",
        "images:\n",
        "  - alpine:3.20\n",
        "  - {from: quay.io/prometheus/prometheus, tags: [v2.53.0, v2.54.1]}\n",
    ));
    let config = config.unwrap();
    assert_eq!(
        targets(&config),
        [
            "registry.corp/mirror/library/alpine:3.20",
            "registry.corp/mirror/prometheus/prometheus:v2.53.0",
            "registry.corp/mirror/prometheus/prometheus:v2.54.1",
        ]
    );
    let first = &config.entries[0];
    assert!(first.platforms.is_empty() && first.immutable.is_empty() && first.backup.is_none());
    assert_eq!(
        (first.change, &first.referrers),
        (Change::Update, &Referrers::All)
    );
    assert_eq!(first.at.to_string(), "sync.yaml:4:5");
    assert_eq!(config.prune.mode, PruneMode::Off);
}

#[test]
fn tags_keep_the_text_that_was_written() {
    let plain = "3.10, 1e3, 0x10, no, 2024-01-01, 007, 1_0, null, 1.20";
    let config = entry(&format!("from: a\ntags: [{plain}]\nto: r.corp/a")).unwrap();
    let tags = &config.entries[0].tags.include;
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags.join(", "), plain);
    let range = entry("from: a\ntags: ~1.4\nto: r.corp/a").unwrap();
    assert_eq!(range.entries[0].tags.include[0].to_string(), "~1.4");
}

#[test]
fn an_entry_says_more_than_the_defaults() {
    let config = read(concat!(
        "version: 1\n",
        "x-base: &base {change: keep, platforms: linux/arm64}\n",
        "defaults:\n",
        "  <<: *base\n",
        "  to: r.corp/{repo}\n",
        "  index: sparse\n",
        "  immutable: ['*.*.*']\n",
        "  backup: '{tag}.bak'\n",
        "  referrers: [application/spdx+json]\n",
        "  tags: ['1']\n",
        "images:\n",
        "  - a\n",
        "  - b:2\n",
        "  - from: c\n",
        "    immutable: []\n",
        "    backup: off\n",
        "    referrers: none\n",
        "    platforms: all\n",
        "    change: fail\n",
        "    tags: '3'\n",
        "    to: [r.dr/c, oci:/srv/c]\n",
    ));
    let config = config.unwrap();
    let [a, b, c] = &config.entries[..] else {
        panic!()
    };
    assert_eq!(a.change, Change::Keep);
    assert_eq!(a.platforms[0].to_string(), "linux/arm64");
    assert_eq!(a.index, Subset::Sparse);
    assert_eq!((a.immutable.len(), a.backup.is_some()), (1, true));
    assert_eq!(
        a.referrers,
        Referrers::Types(vec!["application/spdx+json".into()])
    );
    assert_eq!(b.tags.include[0].to_string(), "2");
    assert!(c.immutable.is_empty() && c.backup.is_none() && c.platforms.is_empty());
    assert_eq!((c.change, &c.referrers), (Change::Fail, &Referrers::None));
    let expected = [
        "r.corp/library/a:1",
        "r.corp/library/b:2",
        "r.dr/c:3",
        "oci:/srv/c:c:3",
    ];
    assert_eq!(targets(&config), expected);
}

#[test]
fn the_map_of_tags_is_a_pipeline() {
    let config = entry(concat!(
        "from: a\nto: r.corp/a\n",
        "tags: {include: '>=2', suffix: ['', alpine], exclude: '*-rc*', newer: 1y, sort: version,\n",
        "  latest: 2, per: minor, also: [latest], min: 0}",
    ));
    let tags = &config.unwrap().entries[0].tags;
    assert_eq!(tags.suffix, ["", "alpine"]);
    assert_eq!(tags.newer, Some(Duration::from_hours(365 * 24)));
    assert_eq!((tags.latest.unwrap().get(), tags.min), (2, 0));
    assert!(tags.per.is_some() && tags.exclude.len() == 1 && tags.also.len() == 1);
}

#[test]
fn sources_are_registries_and_local_places() {
    for (from, lines, single) in [
        ("docker://quay.io/a/b", "tags: [x]", false),
        ("oci:/srv/layout", "tags: '*'", false),
        ("oci:/srv/layout:app", "", true),
        ("docker-archive:all.tar:app:1", "", true),
        ("docker-archive:all.tar", "tags: '*'", false),
        ("docker-archive:all.tar:@0", "", true),
        ("oci-archive:all.tar", "tags: '*'", false),
        ("docker-daemon:app:1", "", true),
        ("dir:/srv/image", "", true),
    ] {
        let config = entry(&format!("from: {from}\nto: r.corp/x:1\n{lines}")).unwrap();
        let entry = &config.entries[0];
        assert_eq!(entry.from.is_single(), single, "{from}");
        assert_eq!(entry.tags.include.is_empty(), single, "{from}");
        assert_eq!(
            matches!(entry.from, From::Local(_)),
            !from.starts_with("docker://")
        );
    }
    let digest = "sha256:".to_string() + &"0".repeat(64);
    let pinned = entry(&format!("alpine:3.20@{digest}")).unwrap_err();
    assert!(pinned.contains("goes nowhere"), "{pinned}");
    let config = entry(&format!("from: alpine:3.20@{digest}\nto: r.corp/a")).unwrap();
    let selector = config.entries[0].tags.include[0].to_string();
    assert_eq!(selector, format!("3.20@{digest}"));
}

#[test]
fn the_most_specific_rule_counts() {
    let config = read(concat!(
        "version: 1\n",
        "images: [{from: a:1, to: r.corp/a}]\n",
        "registries:\n",
        "  '*': {parallel: 1, tls: insecure}\n",
        "  '*.amazonaws.com': {parallel: 2}\n",
        "  '*.ecr.*.amazonaws.com': {parallel: 3, auth: {helper: ecr-login}}\n",
        "  1.ecr.eu.amazonaws.com: {parallel: 4, auth: none}\n",
        "  index.docker.io: {parallel: 5, auth: {user: u, pass: 'p:#'}, mirror: mirror.corp/hub/x}\n",
        "  r.corp: {tls: off, rate: 40/s, bandwidth: 200MB/s, quota: {keep: 20%}, ca: /ca.pem}\n",
    ));
    let config = config.unwrap();
    for (host, parallel) in [
        ("localhost:5000", 1),
        ("s3.amazonaws.com", 2),
        ("9.ecr.us.amazonaws.com", 3),
        ("1.ecr.eu.amazonaws.com", 4),
        ("docker.io", 5),
    ] {
        let rule = config.rule(host).unwrap();
        assert_eq!(rule.parallel.unwrap().get(), parallel, "{host}");
    }
    let hub = config.rule("docker.io").unwrap();
    let auth = Auth::Basic {
        user: "u".into(),
        pass: Secret::new("p:#"),
    };
    assert_eq!(hub.auth, Some(auth));
    assert_eq!(
        (
            hub.mirror[0].registry.as_str(),
            hub.mirror[0].prefix.as_str()
        ),
        ("mirror.corp", "hub/x")
    );
    let corp = config.rule("r.corp").unwrap();
    assert_eq!(corp.tls, Some(Tls::Off));
    let quota = corp.quota.unwrap();
    assert_eq!(
        (quota.keep, quota.wait),
        (Share::Percent(20), Duration::ZERO)
    );
}

#[test]
fn the_rest_of_the_file_is_read() {
    let config = read(concat!(
        "version: 1\n",
        "images: [{from: a:1, to: r.corp/a}]\n",
        "prune: {mode: delete, max: 5, grace: 7d, keep: ['*.bak-*']}\n",
        "state: /var/lib/x\n",
        "schedule: {cron: 0 2 * * *, zone: Europe/London, jitter: 10m, deadline: 4h}\n",
        "notify: [{webhook: 'https://chat.example/x', when: [failure, change]}, {webhook: 'http://b'}]\n",
        "metrics: {textfile: /x.prom}\n",
    ));
    let config = config.unwrap();
    assert_eq!(
        (config.prune.mode, config.prune.max),
        (PruneMode::Delete, Share::Count(5))
    );
    assert_eq!(config.prune.grace, Some(Duration::from_hours(7 * 24)));
    let schedule = config.schedule.unwrap();
    assert_eq!(
        (schedule.cron.to_string().as_str(), schedule.zone.as_str()),
        ("0 2 * * *", "Europe/London")
    );
    assert_eq!(schedule.deadline, Some(Duration::from_hours(4)));
    assert_eq!(config.notify[0].when, [Occasion::Failure, Occasion::Change]);
    assert_eq!(config.notify[1].when, [Occasion::Failure]);
    assert_eq!(config.metrics.textfile.unwrap().to_str(), Some("/x.prom"));
}

#[test]
fn included_files_have_defaults_of_their_own() {
    let made = Made::default()
        .file(
            "sync.yaml",
            concat!(
                "version: 1\n",
                "include: [teams/*.yaml, teams/b.yaml, 'x?/one.yaml']\n",
                "defaults: {to: 'r.corp/{repo}', change: keep}\n",
                "images: [a:1]\n",
            ),
        )
        .file(
            "teams/b.yaml",
            "defaults: {to: 'r.dr/{repo}'}\nimages: [b:1]\nx-owner: team b",
        )
        .file("teams/a.yaml", "images: [c:1]")
        .file("teams/.hidden.yaml", "bad")
        .file("teams/readme.md", "bad")
        .file("x1/one.yaml", "images: [d:1]");
    let config = made.load().unwrap();
    let expected = [
        "r.corp/library/a:1",
        "r.corp/library/c:1",
        "r.dr/library/b:1",
        "r.corp/library/d:1",
    ];
    assert_eq!(targets(&config), expected);
    assert!(
        config
            .entries
            .iter()
            .all(|entry| entry.change == Change::Keep)
    );
    assert_eq!(config.entries[2].at.to_string(), "teams/b.yaml:2:10");
}
