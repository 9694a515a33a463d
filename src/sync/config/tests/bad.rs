use super::{Made, entry, read};

#[track_caller]
fn told(result: Result<super::Config, String>, expected: &[&str]) {
    let told = result.map(|config| config.to_yaml()).unwrap_err();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

/// What issue 5 asks of a bad file: all of it, with places and advice.
#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let result = read(concat!(
        "version: 1\n",
        "registrys: {}\n",
        "registries:\n",
        "  docker.io:\n",
        "    auth: {user: \"${HUB_USER}\", pass: x}\n",
        "    quota: {keep: 20, wait: 10}\n",
        "    tls: offf\n",
        "images:\n",
        "  - {from: nginx, tgas: [1.27], to: r.corp/nginx}\n",
        "  - nginx\n",
        "  - {from: a, tags: '>=x', to: r.corp/a}\n",
        "  - {from: a, tags: '/(/', to: 'r.corp/{rpeo}'}\n",
        "  - {from: a, tags: [1], tags: [2], to: r.corp/a}\n",
        "  - {from: a, tags: {latest: many}, to: r.corp/a}\n",
        "  - [a]\n",
        "  - {from: a:1, to: r.corp/x}\n",
        "  - {from: b:1, to: r.corp/x}\n",
    ));
    let told = result.map(|config| config.to_yaml()).unwrap_err();
    let lines: Vec<&str> = told.lines().collect();
    let expected = [
        "sync.yaml:2:1: unknown key `registrys`; did you mean `registries`?",
        "sync.yaml:5:18: HUB_USER is not set; use ${HUB_USER:-default} to permit that",
        "sync.yaml:6:29: `wait`: it lacks its unit: write 10s, 10m, 10h or 10d",
        "sync.yaml:7:10: `tls`: \"offf\" is not one of on, insecure, off; did you mean off?",
        "sync.yaml:9:19: unknown key `tgas`; did you mean `tags`?",
        "sync.yaml:10:5: docker.io/library/nginx has no tags selected; write `nginx:latest`, or `tags: \"*\"` for every tag",
        "sync.yaml:11:21: `tags`: invalid selector \">=x\"",
        "sync.yaml:12:21: `tags`: invalid selector \"/(/\"",
        "sync.yaml:12:32: `to`: unknown placeholder {rpeo}; did you mean {repo}?",
        "sync.yaml:13:26: `tags` is given twice; the first is in line 13",
        "sync.yaml:14:30: `latest`: it must be a whole number from 1 on",
        "sync.yaml:15:5: `images` must be a text or a map",
        "sync.yaml:17:5: this entry and sync.yaml:16:5 both write r.corp/x:1",
    ];
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn what_is_not_supported_yet_is_not_ignored() {
    for (lines, what) in [
        (
            "from: a:1\nto: r.corp/a\nverify: {key: x}",
            "4:5: `verify` is not supported yet",
        ),
        (
            "from: quay.io/team/*\ntags: '*'\nto: r.corp/{repo}",
            "3:11: `from`: globs of repositories are not supported yet",
        ),
        (
            "from: a:1\nto: docker-daemon:a",
            "4:9: `to`: docker-daemon: is not supported yet",
        ),
    ] {
        let line = what.replacen("4:", "5:", usize::from(lines.matches('\n').count() > 1));
        let error = entry(lines).map(|it| it.to_yaml()).unwrap_err();
        assert!(error.contains(&line) || error.contains(what), "{error}");
    }
    for (lines, what) in [
        (
            "state: oci://r.corp/state",
            "`state`: a registry is not supported yet",
        ),
        (
            "registries: {r.corp: {create: true}}",
            "`create` is not supported yet",
        ),
        (
            "registries: {r.corp: {auth: ecr}}",
            "`auth`: ecr is not supported yet",
        ),
        (
            "registries: {r.corp: {auth: gar}}",
            "`auth`: gar is not supported yet",
        ),
        (
            "registries: {r.corp: {auth: acr}}",
            "`auth`: acr is not supported yet",
        ),
    ] {
        let text = format!("version: 1\nimages: [{{from: a:1, to: r.corp/a}}]\n{lines}");
        let error = read(&text).map(|it| it.to_yaml()).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

/// Lines, and what is wrong with them.
const ENTRY: &[(&str, &str)] = &[
    (
        "from: a:1\nto: r.corp/a\nplatforms: linux",
        "`platforms`: invalid platform",
    ),
    (
        "from: a:1\nto: r.corp/a\nplatforms: {os: linux}",
        "`platforms` must be a text or a list",
    ),
    ("from: a:1\nto: r.corp/a\nchange: kep", "did you mean keep?"),
    (
        "from: a:1\nto: r.corp/a\nchange: [keep]",
        "`change` must be a text",
    ),
    (
        "from: a:1\nto: r.corp/a\nreferrers: al",
        "\"al\" is not one of all, none; did you mean all?",
    ),
    (
        "from: a:1\nto: r.corp/a\nreferrers: [sbom]",
        "an artifact type is as",
    ),
    (
        "from: a:1\nto: r.corp/a\nbackup: old",
        "`backup`: it must be {tag} and more",
    ),
    ("from: a:1\nto: r.corp/a\nchange:", "`change` has no value"),
    ("from: a:1\nto: []", "it goes nowhere"),
    (
        "from: a:1",
        "it goes nowhere: write `to` here or in `defaults`",
    ),
    (
        "from: a:1\ntags: [2]\nto: r.corp/a",
        "4:11: `from` names 1 already",
    ),
    (
        "from: dir:/x\ntags: '*'\nto: r.corp/a:1",
        "`from` names one image itself",
    ),
    (
        "from: dir:/x\nto: r.corp/a",
        "`to`: the image has no tag: write one",
    ),
    (
        "from: oci:x\nto: r.corp/a",
        "oci:x has no tags selected; write `oci:x:NAME`",
    ),
    (
        "from: docker-archive:-\nto: r.corp/a",
        "`from`: stdin can be read once only",
    ),
    ("from: 'a:'\nto: r.corp/a", "a tag must follow the colon"),
    ("from: x/UPPER:1\nto: r.corp/a", "`from`: invalid"),
    ("from: a:1\nto: r.corp/UPPER", "`to`: invalid repository"),
    ("to: r.corp/a", "needs `from`"),
    (
        "form: a:1\nto: r.corp/a",
        "unknown key `form`; did you mean `from`?",
    ),
    (
        "from: a\ntags: {exclude: x}\nto: r.corp/a",
        "`tags`: no tags are selected",
    ),
    (
        "from: a\ntags: []\nto: r.corp/a",
        "`tags`: no tags are selected",
    ),
    (
        "from: a\ntags: {include: '*', per: minor}\nto: r.corp/a",
        "`per`",
    ),
    (
        "from: a\ntags: {include: '*', latest: 0}\nto: r.corp/a",
        "from 1 on",
    ),
    (
        "from: a\ntags: {include: '*', newer: 1}\nto: r.corp/a",
        "lacks its unit",
    ),
    (
        "from: a:1\nto: r.corp/a\nindex: sparse",
        "`index` says what becomes",
    ),
    (
        "from: a:1\nto: r.corp/a\n1: x",
        "unknown key `1`; known here are from, tags",
    ),
];

#[test]
fn a_key_says_what_it_takes() {
    for (lines, what) in ENTRY {
        let told = entry(lines).map(|it| it.to_yaml()).unwrap_err();
        assert!(told.contains(what), "{lines}\n{told}");
        assert_eq!(told.lines().count(), 1, "{lines}\n{told}");
    }
}

/// Lines, and what is wrong with them.
const REST: &[(&str, &str)] = &[
    ("registries: {'https://r.corp': {}}", "leave the scheme out"),
    (
        "registries: {r.corp: {paralel: 3}}",
        "did you mean `parallel`?",
    ),
    ("registries: {r.corp: 3}", "`r.corp` must be a map"),
    (
        "registries: {docker.io: {}, index.docker.io: {}}",
        "docker.io is given twice",
    ),
    (
        "registries: {r.corp: {auth: {user: x}}}",
        "`auth` must be one of",
    ),
    (
        "registries: {r.corp: {auth: {token: x, user: y, pass: z}}}",
        "`auth` must be one of",
    ),
    (
        "registries: {r.corp: {auth: {user: 'a:b', pass: x}}}",
        "without a colon",
    ),
    (
        "registries: {r.corp: {auth: some}}",
        "it must be none, {user, pass}",
    ),
    ("registries: {r.corp: {rate: 40}}", "a rate as in 40/s"),
    ("registries: {r.corp: {bandwidth: 200}}", "as in 200MB/s"),
    (
        "registries: {r.corp: {mirror: 'https://x'}}",
        "leave the scheme out",
    ),
    ("prune: {mode: delete, grace: 7d}", "`grace` needs `state`"),
    ("prune: {max: 101%}", "more than 100%"),
    ("schedule: {zone: UTC}", "`schedule` needs `cron`"),
    (
        "schedule: {cron: 0 2 * *}",
        "it has 4 fields and must have 5",
    ),
    (
        "schedule: {cron: 0 2 30 2 *}",
        "no date has this day in this month",
    ),
    (
        "schedule: {cron: 0 2 * * *, zone: Europe/Lodnon}",
        "there is no such time zone; did you mean Europe/London?",
    ),
    (
        "schedule: {cron: 0 2 * * *, zone: Mars/Olympus_Mons}",
        "they are named as in Europe/London",
    ),
    ("notify: [{when: [failure]}]", "`notify` needs `webhook`"),
    ("notify: {webhook: x}", "`notify` must be a list"),
    ("notify: [{webhook: chat}]", "begins with https://"),
    ("include: nowhere/*.yaml", "no file matches nowhere/*.yaml"),
    (
        "include: nowhere.yaml",
        "nowhere.yaml:1:1: cannot read the file: ",
    ),
    ("hooks: {}", "unknown key `hooks`"),
];

#[test]
fn the_rest_of_the_file_is_as_strict() {
    for (lines, what) in REST {
        let text = format!("version: 1\nimages: [{{from: a:1, to: r.corp/a}}]\n{lines}");
        let told = read(&text).map(|it| it.to_yaml()).unwrap_err();
        assert!(told.contains(what), "{lines}\n{told}");
        assert_eq!(told.lines().count(), 1, "{lines}\n{told}");
    }
    told(
        read("images: []"),
        &["sync.yaml:1:1: the file needs `version: 1`"],
    );
    told(
        read("version: 2\nimages: []"),
        &["sync.yaml:1:10: `version`: this imgcopy knows version 1 only"],
    );
    told(
        read("version: 1"),
        &["sync.yaml:1:1: the file copies nothing: it needs `images`"],
    );
    told(read("[]"), &["sync.yaml:1:1: `the file` must be a map"]);
    let nothing = Made::default().load().unwrap_err();
    assert!(
        nothing.starts_with("sync.yaml:1:1: cannot read the file: "),
        "{nothing}"
    );
}

#[test]
fn two_entries_may_not_write_one_name() {
    let collide = |images: &str| {
        read(&format!(
            "version: 1\ndefaults: {{to: 'r.corp/{{name}}'}}\nimages:\n{images}"
        ))
    };
    for (images, what) in [
        (
            "  - a:1\n  - x/a:1\n",
            "5:5: this entry and sync.yaml:4:5 both write r.corp/a:1",
        ),
        (
            "  - {from: a, tags: [1, 1]}\n",
            "4:5: this entry writes r.corp/a:1 more than once",
        ),
        (
            "  - {from: a, tags: [1], to: [r.corp/a, 'r.corp/a:{tag}']}\n",
            "more than once",
        ),
        (
            "  - {from: a, tags: [1, 2], to: 'r.corp/a:x'}\n",
            "writes r.corp/a:x more than once",
        ),
        (
            "  - {from: a, tags: [1, 2, 3]}\n  - {from: x/a, tags: [3, 2, 1]}\n",
            "both write r.corp/a:3, and 2 more",
        ),
        (
            "  - {from: a, tags: {include: '*', also: [1]}}\n  - x/a:1\n",
            "both write r.corp/a:1",
        ),
        (
            "  - {from: a:1, to: docker-archive:x.tar}\n  - {from: docker.io/library/a:1, to: docker-archive:x.tar}\n",
            "both write docker-archive:x.tar:a:1",
        ),
    ] {
        let told = collide(images).map(|it| it.to_yaml()).unwrap_err();
        assert!(told.contains(what), "{images}{told}");
        assert_eq!(told.lines().count(), 1, "{images}{told}");
    }
    // What only a registry could tell is left to the plan.
    for images in [
        "  - {from: a, tags: {include: [1], exclude: [1]}}\n  - x/a:1\n",
        "  - {from: a, tags: '*'}\n  - x/a:1\n",
        "  - {from: a, tags: {include: [1], also: [1]}}\n",
        "  - {from: a, tags: {include: [1], newer: 1d}}\n  - x/a:1\n",
    ] {
        let read = collide(images);
        assert!(read.is_ok(), "{images}{}", read.unwrap_err());
    }
}

#[test]
fn an_included_file_has_images_and_defaults_only() {
    let main = "version: 1\ninclude: team.yaml\ndefaults: {to: 'r.corp/{name}'}\nimages: [a:1]";
    let with = |team: &str| {
        Made::default()
            .file("sync.yaml", main)
            .file("team.yaml", team)
            .load()
    };
    told(
        with("registries: {}\nimages: [b]\ninclude: x\n"),
        &[
            "team.yaml:1:1: unknown key `registries`; known here are defaults, images",
            "team.yaml:2:10: docker.io/library/b has no tags selected; write `b:latest`, or `tags: \"*\"` for every tag",
            "team.yaml:3:1: unknown key `include`; known here are defaults, images",
        ],
    );
    told(
        with("images:\n\n- a:1"),
        &["team.yaml:3:3: this entry and sync.yaml:4:10 both write r.corp/a:1"],
    );
}

#[test]
fn what_defaults_say_wrong_is_told_once() {
    told(
        read("version: 1\ndefaults: {to: mirror/x, platforms: x}\nimages: [a:1, b:1, c:1]"),
        &[
            "sync.yaml:2:16: `to`: \"mirror/x\" names no registry; write HOST/mirror/x, or docker.io/mirror/x if Docker Hub is meant",
            "sync.yaml:2:37: `platforms`: invalid platform \"x\": write OS/ARCHITECTURE, as in linux/amd64, linux/arm/v7 or windows/amd64:10.0.17763",
        ],
    );
}
