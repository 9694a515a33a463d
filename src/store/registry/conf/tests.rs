#![allow(clippy::too_many_lines, reason = "tables are long")]

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;
use crate::image::Repository;

/// A system of its own: `home`, `etc`, and nothing else.
struct System {
    root: TempDir,
}

impl System {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let system = Self::new();
        for (path, text) in files {
            system.write(path, text);
        }
        system
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn places(&self) -> Places {
        Places {
            registries_conf: None,
            home: Some(self.path("home")),
            root: self.root.path().to_path_buf(),
        }
    }

    fn load(&self) -> RegistriesConf {
        RegistriesConf::load(&self.places()).unwrap()
    }
}

fn conf(text: &str) -> RegistriesConf {
    System::with(&[(ETC, text)]).load()
}

/// Where a name is read: `host/path`, with `!` if that may be insecure.
fn sources(conf: &RegistriesConf, name: &str) -> Vec<String> {
    endpoints(conf, name, false)
}

fn endpoints(conf: &RegistriesConf, name: &str, by_digest: bool) -> Vec<String> {
    let name: Repository = name.parse().unwrap();
    let found = conf.endpoints(&name, by_digest).unwrap();
    let (itself, mirrors) = found.split_last().unwrap();
    assert!(mirrors.iter().all(|mirror| mirror.is_mirror));
    assert!(!itself.is_mirror || conf.destination(&name).is_err());
    found.iter().map(shown).collect()
}

fn shown(endpoint: &Endpoint) -> String {
    let mark = if endpoint.insecure { "!" } else { "" };
    format!("{}/{}{mark}", endpoint.registry, endpoint.path)
}

fn destination(conf: &RegistriesConf, name: &str) -> String {
    let name: Repository = name.parse().unwrap();
    shown(&conf.destination(&name).unwrap())
}

/// What is said about a configuration that cannot be used.
fn refusal(files: &[(&str, &str)]) -> String {
    let system = System::with(files);
    let error = RegistriesConf::load(&system.places()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let cause = error.source().unwrap();
    let root = system.root.path().to_str().unwrap();
    format!("{error}: {cause}").replace(root, "")
}

const ETC: &str = "etc/containers/registries.conf";
const HOME: &str = "home/.config/containers/registries.conf";

#[test]
fn without_configuration_a_name_is_where_it_says() {
    let conf = System::new().load();
    assert_eq!(sources(&conf, "busybox"), ["docker.io/library/busybox"]);
    assert_eq!(destination(&conf, "r.example:5000/a"), "r.example:5000/a");
    let nowhere = Places {
        registries_conf: None,
        home: Some(PathBuf::from("/dev/null")),
        root: PathBuf::from("/dev/null"),
    };
    assert!(RegistriesConf::load(&nowhere).is_ok());
    let homeless = Places {
        home: None,
        ..nowhere
    };
    assert!(RegistriesConf::load(&homeless).is_ok());
}

#[test]
fn the_example_of_the_manual_page() {
    let conf = conf(
        r#"
        unqualified-search-registries = ["example.com"]
        short-name-mode = "enforcing"
        credential-helpers = ["containers-auth.json"]

        [[registry]]
        prefix = "example.com/foo"
        insecure = false
        blocked = false
        location = "internal-registry-for-example.com/bar"
        some-key-of-another-tool = [1, 2]

        [[registry.mirror]]
        location = "example-mirror-0.local/mirror-for-foo"

        [[registry.mirror]]
        location = "example-mirror-1.local/mirrors/foo"
        insecure = true

        [[registry]]
        location = "registry.com"

        [[registry.mirror]]
        location = "mirror.registry.com/"

        [aliases]
        "fedora" = "registry.fedoraproject.org/fedora"
        "#,
    );
    assert_eq!(
        sources(&conf, "example.com/foo/image"),
        [
            "example-mirror-0.local/mirror-for-foo/image",
            "example-mirror-1.local/mirrors/foo/image!",
            "internal-registry-for-example.com/bar/image",
        ]
    );
    assert_eq!(
        sources(&conf, "registry.com/image"),
        ["mirror.registry.com/image", "registry.com/image"]
    );
    // Writing goes to the name itself, neither to a mirror nor to another location.
    assert_eq!(
        destination(&conf, "example.com/foo/image"),
        "example.com/foo/image"
    );
    assert_eq!(
        destination(&conf, "registry.com/image"),
        "registry.com/image"
    );
    assert_eq!(sources(&conf, "fedora"), ["docker.io/library/fedora"]);
}

#[test]
fn the_longest_prefix_that_ends_where_a_name_does_wins() {
    let conf = conf(
        r#"
        [[registry]]
        prefix = "r.example"
        location = "host.test"
        [[registry]]
        prefix = "r.example/a"
        location = "a.test"
        [[registry]]
        prefix = "r.example/a/b/"
        location = "b.test/x/"
        [[registry]]
        prefix = "R.example:5000"
        location = "port.test"
        [[registry]]
        prefix = "[::1]:5000/a"
        location = "[2001:db8::1]/v6"
        "#,
    );
    for (name, source) in [
        ("r.example/x", "host.test/x"),
        ("r.example/ab", "host.test/ab"),
        ("r.example/a/x", "a.test/x"),
        ("r.example/a/bc/x", "a.test/bc/x"),
        ("r.example/a/b", "b.test/x"),
        ("r.example/a/b/c/d", "b.test/x/c/d"),
        ("r.example:5000/a", "port.test/a"),
        ("r.example:5001/a", "r.example:5001/a"),
        ("x.r.example/a", "x.r.example/a"),
        ("r.example.evil/a", "r.example.evil/a"),
        ("[::1]:5000/a/b", "[2001:db8::1]/v6/b"),
    ] {
        assert_eq!(sources(&conf, name), [source], "{name}");
    }
    // The host alone has no repository that r.example/a could be.
    let error = conf.endpoints(&"r.example/a".parse().unwrap(), false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_wildcard_stands_for_subdomains() {
    let conf = conf(
        r#"
        [[registry]]
        prefix = "y.example.com"
        location = "first.test"
        [[registry]]
        prefix = "*.example.com"
        insecure = true
        [[registry.mirror]]
        location = "mirror.test/m"
        [[registry]]
        prefix = "*.b.example.com"
        location = "b.test"
        [[registry]]
        prefix = "x.example.com"
        location = "exact.test"
        [[registry]]
        location = "*.located.test"
        insecure = true
        "#,
    );
    for (name, expected) in [
        (
            "a.example.com/i",
            &["mirror.test/m/i", "a.example.com/i!"][..],
        ),
        (
            "a.a.example.com:5000/i",
            &["mirror.test/m/i", "a.a.example.com:5000/i!"],
        ),
        ("a.b.example.com:5000/i", &["b.test/i"]),
        // A name in full is closer than a wildcard, though both are written with 13 letters.
        ("x.example.com/i", &["exact.test/i"]),
        ("y.example.com/i", &["first.test/i"]),
        ("example.com/i", &["example.com/i"]),
        ("aexample.com/i", &["aexample.com/i"]),
        ("a.example.com.evil/i", &["a.example.com.evil/i"]),
        ("a.located.test/i", &["a.located.test/i!"]),
    ] {
        assert_eq!(sources(&conf, name), expected, "{name}");
    }
}

#[test]
fn mirrors_are_asked_for_the_names_that_they_are_meant_for() {
    let mixed = conf(
        r#"
        [[registry]]
        location = "r.example"
        [[registry.mirror]]
        location = "all.test"
        pull-from-mirror = "all"
        [[registry.mirror]]
        location = "digest.test"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "tag.test"
        pull-from-mirror = "tag-only"
        [[registry.mirror]]
        location = "empty.test"
        pull-from-mirror = ""
        "#,
    );
    let by_tag = ["all.test/i", "tag.test/i", "empty.test/i", "r.example/i"];
    assert_eq!(endpoints(&mixed, "r.example/i", false), by_tag);
    let by_digest = ["all.test/i", "digest.test/i", "empty.test/i", "r.example/i"];
    assert_eq!(endpoints(&mixed, "r.example/i", true), by_digest);

    let by_digest = conf(
        r#"
        [[registry]]
        location = "r.example"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "m.test"
        "#,
    );
    assert_eq!(endpoints(&by_digest, "r.example/i", false), ["r.example/i"]);
    assert_eq!(
        endpoints(&by_digest, "r.example/i", true),
        ["m.test/i", "r.example/i"]
    );
}

#[test]
fn s39_a_mirror_is_named_by_its_own_host() {
    let conf = conf(
        r#"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "m.local:5000/hub"
        "#,
    );
    let found = conf.endpoints(&"busybox".parse().unwrap(), false).unwrap();
    let servers: Vec<_> = found.iter().map(|it| it.registry.as_str()).collect();
    assert_eq!(servers, ["m.local:5000", "docker.io"]);
    assert_eq!(found[0].path, "hub/library/busybox");
}

#[test]
fn what_is_blocked_is_neither_read_nor_written() {
    let conf = conf(
        r#"
        [[registry]]
        location = "bad.test/a"
        blocked = true
        [[registry]]
        prefix = "moved.test"
        location = "bad.test/a"
        [[registry]]
        prefix = "*.worse.test"
        blocked = true
        "#,
    );
    for (name, prefix, is_written) in [
        ("bad.test/a/x", "bad.test/a", false),
        // Only what is read is at the blocked place.
        ("moved.test/x", "bad.test/a", true),
        ("x.worse.test:1/y", "*.worse.test", false),
    ] {
        let name: Repository = name.parse().unwrap();
        let (read, written) = (conf.endpoints(&name, false), conf.destination(&name));
        assert_eq!(written.is_ok(), is_written, "{name}");
        for error in [read.err(), written.err()].into_iter().flatten() {
            assert_eq!(error.kind(), ErrorKind::Denied);
            let text = error.to_string();
            assert!(text.contains(&format!("prefix \"{prefix}\" in ")), "{text}");
            assert!(text.ends_with(ETC), "{text}");
        }
    }
    assert_eq!(sources(&conf, "bad.test/b"), ["bad.test/b"]);
}

#[test]
fn a_blocked_place_is_read_from_its_mirrors_alone() {
    let conf = conf(
        r#"
        [[registry]]
        location = "quay.io"
        blocked = true
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "m.test"
        [[registry.mirror]]
        location = "bad.test"
        [[registry]]
        location = "bad.test"
        blocked = true
        "#,
    );
    assert_eq!(endpoints(&conf, "quay.io/a/b", true), ["m.test/a/b"]);
    let name: Repository = "quay.io/a/b".parse().unwrap();
    let by_tag = conf.endpoints(&name, false).unwrap_err();
    assert_eq!(by_tag.kind(), ErrorKind::Denied);
    assert_eq!(
        conf.destination(&name).unwrap_err().kind(),
        ErrorKind::Denied
    );
}

#[test]
fn a_server_is_insecure_if_its_own_table_says_so() {
    let conf = conf(
        r#"
        [[registry]]
        prefix = "r.example"
        location = "moved.test"
        [[registry.mirror]]
        location = "m.test:5000"
        [[registry.mirror]]
        location = "n.test"
        [[registry]]
        location = "m.test:5000"
        insecure = true
        [[registry]]
        location = "moved.test"
        insecure = true
        "#,
    );
    assert_eq!(
        sources(&conf, "r.example/i"),
        ["m.test:5000/i!", "n.test/i", "moved.test/i!"]
    );
    assert_eq!(destination(&conf, "moved.test/i"), "moved.test/i!");
    assert_eq!(destination(&conf, "r.example/i"), "r.example/i");
}

#[test]
fn a_table_for_one_tag_is_not_taken_for_the_whole_repository() {
    let conf = conf(
        r#"
        [[registry]]
        location = "r.example:5000/a/b:old"
        blocked = true
        [[registry]]
        prefix = "r.example/c@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        location = "r.example/d@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        "#,
    );
    for name in ["r.example:5000/a/b", "r.example/c"] {
        let error = conf.endpoints(&name.parse().unwrap(), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
    }
    assert_eq!(
        sources(&conf, "r.example:5000/a/b/c"),
        ["r.example:5000/a/b/c"]
    );
    assert_eq!(sources(&conf, "r.example/d"), ["r.example/d"]);
}

#[test]
fn version_1_lists_what_is_insecure_and_what_is_blocked() {
    let conf = conf(
        "[registries.search]\nregistries = ['registry1.com']\n\
         [registries.insecure]\nregistries = ['registry3.com', 'both.com']\n\
         [registries.block]\nregistries = ['registry.untrusted.com', 'both.com']\n",
    );
    assert_eq!(sources(&conf, "registry3.com/i"), ["registry3.com/i!"]);
    assert_eq!(sources(&conf, "registry1.com/i"), ["registry1.com/i"]);
    for name in ["registry.untrusted.com/i", "both.com/i"] {
        let error = conf.endpoints(&name.parse().unwrap(), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{name}");
    }
}

#[test]
fn drop_ins_come_in_order_and_replace_tables_of_the_same_prefix() {
    let table = |to: &str| format!("[[registry]]\nprefix = 'r.example/{to}'\nlocation = 'x'\n");
    let same = |to: &str| format!("[[registry]]\nprefix = 'same.test'\nlocation = '{to}.test'\n");
    let system = System::with(&[
        (ETC, &format!("{}{}", table("etc"), same("etc"))),
        ("etc/containers/registries.conf.d/10-b.conf", &same("b")),
        ("etc/containers/registries.conf.d/09-a.conf", &same("a")),
        (
            "etc/containers/registries.conf.d/99.conf.bak",
            "not even TOML",
        ),
        (
            "etc/containers/registries.conf.d/dir.conf/x.conf",
            "not even TOML",
        ),
    ]);
    assert_eq!(sources(&system.load(), "same.test/i"), ["b.test/i"]);
    assert_eq!(sources(&system.load(), "r.example/etc/i"), ["x/i"]);
    // Whatever order the file system lists them in.
    for n in [33, 14, 90, 57, 21, 88, 42, 79, 11, 65] {
        let file = format!("etc/containers/registries.conf.d/{n}.conf");
        system.write(&file, &same(&format!("n{n}")));
    }
    assert_eq!(sources(&system.load(), "same.test/i"), ["n90.test/i"]);
    // The user's drop-ins come after those of the system.
    system.write(
        "home/.config/containers/registries.conf.d/00.conf",
        &same("user"),
    );
    assert_eq!(sources(&system.load(), "same.test/i"), ["user.test/i"]);
    assert_eq!(sources(&system.load(), "r.example/etc/i"), ["x/i"]);
    // A file of the user puts the system's aside, drop-ins and all.
    fs::remove_file(system.path("home/.config/containers/registries.conf.d/00.conf")).unwrap();
    system.write(HOME, "");
    assert_eq!(sources(&system.load(), "same.test/i"), ["same.test/i"]);
    assert_eq!(
        sources(&system.load(), "r.example/etc/i"),
        ["r.example/etc/i"]
    );
}

#[test]
fn the_environment_names_the_file() {
    let system = System::with(&[
        (
            "mine",
            "[[registry]]\nprefix = 'r.example'\nlocation = 'mine.test'\n",
        ),
        (
            HOME,
            "[[registry]]\nprefix = 'r.example'\nlocation = 'home.test'\n",
        ),
    ]);
    let load = |variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let places = Places {
            root: system.root.path().to_path_buf(),
            ..Places::of(variable)
        };
        RegistriesConf::load(&places)
    };
    let (mine, home) = (system.path("mine"), system.path("home"));
    let (mine, home) = (mine.to_str().unwrap(), home.to_str().unwrap());
    let (new, old) = ("CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH");
    for (variables, expected) in [
        (&[("HOME", home)][..], "home.test/i"),
        (&[("HOME", home), (new, "")], "home.test/i"),
        (&[("HOME", home), (old, mine)], "mine.test/i"),
        (
            &[("HOME", home), (new, mine), (old, "/dev/null")],
            "mine.test/i",
        ),
        (&[("HOME", ""), (old, "/dev/null")], "r.example/i"),
        (&[], "r.example/i"),
    ] {
        assert_eq!(
            sources(&load(variables).unwrap(), "r.example/i"),
            [expected]
        );
    }
    // A name that is a slip must not quietly lift what the file blocks.
    let error = load(&[(new, "/nonexistent/conf")]).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/conf"), "{error}");
}

#[test]
fn what_breaks_the_format_is_named_with_file_and_line() {
    for (text, expected) in [
        (
            "\n[[registry]]\nlocation = 'a'\nblocked = 'yes'\n",
            "line 4: invalid type: string \\\"yes\\\", expected a boolean",
        ),
        (
            "[[registry]]\nlocation = 5\n",
            "line 2: invalid type: integer `5`, expected a string",
        ),
        (
            "registry = 'x'",
            "line 1: invalid type: string \\\"x\\\", expected a sequence",
        ),
        ("\n\n[[registry]\n", "line 3: "),
        (
            "[[registry]]\nprefix = ''\nblocked = true",
            "line 2: a [[registry]] has neither a prefix nor a location",
        ),
        (
            "[[registry]]\nlocation = 'https://a.test'",
            "line 2: \"https://a.test\" is a URL: leave out the scheme, and say insecure = true for HTTP",
        ),
        (
            "[[registry]]\nlocation = 'a_b'",
            "line 2: invalid registry \"a_b\": it must be a host, or HOST:PORT",
        ),
        (
            "[[registry]]\nlocation = 'a/B'",
            "line 2: invalid repository \"B\": it must be lower-case letters and digits, joined by . _ - /",
        ),
        (
            "[[registry]]\nprefix = '*.a.test/b'",
            "line 2: \"*.a.test/b\" has more than a host behind `*.`",
        ),
        (
            "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = ''",
            "line 4: invalid registry \"\": it must be a host, or HOST:PORT",
        ),
        (
            "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\ninsecure = true",
            "line 3: missing field `location`",
        ),
        (
            "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = 'b'\npull-from-mirror = 'never'",
            "line 5: unknown variant `never`",
        ),
        (
            "[[registry]]\nlocation = 'a'\nmirror-by-digest-only = true\n[[registry.mirror]]\n\
             location = 'b'\npull-from-mirror = 'all'",
            "line 6: pull-from-mirror and mirror-by-digest-only exclude each other: keep one of them",
        ),
        (
            "[[registry]]\nlocation = 'a'\n[[registry]]\nprefix = 'A'\nblocked = true\n",
            "line 4: \"A\" is there twice, and blocked or insecure differs: keep one of them",
        ),
        (
            "[registries.block]\nregistries = ['a']\n[[registry]]\nlocation = 'a'",
            "line 2: the lists of version 1, [registries.block] and [registries.insecure], \
             belong into a registries.conf of their own: write [[registry]] tables",
        ),
    ] {
        let said = refusal(&[(ETC, text)]);
        let expected = format!("cannot read /{ETC}: {expected}");
        assert!(said.starts_with(&expected), "{text}\n{said}\n{expected}");
    }
    let drop_in = "etc/containers/registries.conf.d/x.conf";
    let said = refusal(&[(drop_in, "[registries.block]\nregistries = ['a']")]);
    assert!(
        said.starts_with(&format!("cannot read /{drop_in}: line 2: ")),
        "{said}"
    );
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let system = System::new();
    system.write(ETC, "");
    fs::write(system.path(ETC), b"\xff").unwrap();
    let error = RegistriesConf::load(&system.places()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let places = Places {
        registries_conf: Some(PathBuf::from("/dev/zero")),
        ..system.places()
    };
    let error = RegistriesConf::load(&places).unwrap_err();
    assert_eq!(error.to_string(), "/dev/zero is larger than 1048576 bytes");
}

#[test]
fn equal_tables_for_one_prefix_are_taken_once() {
    let conf = conf(
        "[[registry]]\nprefix = 'a'\nlocation = 'first'\n[[registry]]\nprefix = 'a'\nlocation = 'b'\n",
    );
    assert_eq!(sources(&conf, "docker.io/a/b"), ["docker.io/a/b"]);
    let name = Repository::new("a", "i").unwrap();
    let found = conf.endpoints(&name, false).unwrap();
    let shown: Vec<String> = found.iter().map(shown).collect();
    assert_eq!(shown, ["first/i"]);
}

const CERTS: [&str; 3] = [
    "home/.config/containers/certs.d",
    "etc/containers/certs.d",
    "etc/docker/certs.d",
];

#[test]
fn certificates_are_those_of_the_first_directory_that_exists() {
    let system = System::new();
    let found = |registry: &str| CertFiles::find(registry, None, &system.places()).unwrap();
    assert!(found("r.example:5000").is_empty());
    for folder in CERTS.iter().rev() {
        system.write(&format!("{folder}/r.example:5000/ca.crt"), folder);
        let certs = found("R.example:5000");
        assert_eq!(certs.authorities.len(), 1);
        assert_eq!(certs.authorities[0].bytes, folder.as_bytes());
        assert!(certs.authorities[0].path.ends_with("r.example:5000/ca.crt"));
    }
    // Each registry has its own, to the port.
    for other in ["r.example", "r.example:5001", "example:5000"] {
        assert!(found(other).is_empty(), "{other}");
    }
    // A directory that exists counts, though it is empty.
    fs::remove_file(system.path(CERTS[0]).join("r.example:5000/ca.crt")).unwrap();
    assert!(found("r.example:5000").is_empty());
    system.write(&format!("{}/[::1]:5000/ca.crt", CERTS[2]), "six");
    assert_eq!(found("[::1]:5000").authorities[0].bytes, b"six");
}

#[test]
fn a_directory_that_the_user_names_is_the_only_one() {
    let system = System::new();
    system.write("mine/ca.crt", "mine");
    system.write(&format!("{}/r.example/ca.crt", CERTS[0]), "other");
    let mine = system.path("mine");
    let certs = CertFiles::find("r.example", Some(&mine), &system.places()).unwrap();
    assert_eq!(certs.authorities.len(), 1);
    assert_eq!(certs.authorities[0].bytes, b"mine");
    let slip = system.path("slip");
    let error = CertFiles::find("r.example", Some(&slip), &system.places()).unwrap_err();
    assert!(error.to_string().contains("slip"), "{error}");
}

#[test]
fn a_client_has_a_certificate_and_a_key() {
    let system = System::new();
    let folder = format!("{}/r.example", CERTS[0]);
    for file in [
        "b.cert",
        "b.key",
        "a.cert",
        "a.key",
        "x.crt",
        "y.crt",
        "README",
        "old.crt.bak",
    ] {
        system.write(&format!("{folder}/{file}"), file);
    }
    let find = || CertFiles::find("r.example", None, &system.places());
    let certs = find().unwrap();
    let names = |files: Vec<&PemFile>| -> Vec<String> {
        files
            .iter()
            .map(|it| String::from_utf8(it.bytes.clone()).unwrap())
            .collect()
    };
    assert_eq!(
        names(certs.authorities.iter().collect()),
        ["x.crt", "y.crt"]
    );
    let pairs = certs
        .clients
        .iter()
        .flat_map(|it| [&it.certificate, &it.key]);
    assert_eq!(
        names(pairs.collect()),
        ["a.cert", "a.key", "b.cert", "b.key"]
    );

    for (lone, other) in [("c.cert", "c.key"), ("d.key", "d.cert")] {
        system.write(&format!("{folder}/{lone}"), "");
        let error = find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(lone), "{error}");
        system.write(&format!("{folder}/{other}"), "");
        assert!(find().is_ok());
    }
}

#[test]
fn s40_a_key_is_not_shown() {
    let system = System::new();
    system.write("mine/a.cert", "canary");
    system.write("mine/a.key", "canary");
    let mine = system.path("mine");
    let certs = CertFiles::find("r.example", Some(&mine), &system.places()).unwrap();
    assert_eq!(certs.clients[0].key.bytes, b"canary");
    let bytes = format!("{:?}", b"canary");
    let text = format!("{certs:?}");
    assert!(
        text.contains("a.key") && !text.contains("canary") && !text.contains(&bytes),
        "{text}"
    );
}

#[test]
fn a_link_to_a_certificate_that_is_not_installed_is_passed_over() {
    let system = System::new();
    let folder = format!("{}/r.example", CERTS[2]);
    system.write(&format!("{folder}/ca.crt"), "ca");
    let link = |name: &str| {
        let path = system.path(&folder).join(name);
        std::os::unix::fs::symlink("/nonexistent/ca.pem", path).unwrap();
    };
    let find = || CertFiles::find("r.example", None, &system.places());
    link("dangling.crt");
    assert_eq!(find().unwrap().authorities.len(), 1);
    // One that says who we are was meant to be used.
    link("client.cert");
    system.write(&format!("{folder}/client.key"), "key");
    assert_eq!(find().unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn s49_a_registry_cannot_lead_out_of_the_directory_of_certificates() {
    let system = System::new();
    system.write("etc/docker/ca.crt", "x");
    for bad in ["..", ".", "", "a/b", "../docker", "a\0b"] {
        let error = CertFiles::find(bad, None, &system.places()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
    }
}
