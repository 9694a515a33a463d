//! The conformance tests of the distribution specification, where they can be had. Nothing of them is
//! here: `OCI_CONFORMANCE` names the program, or Go gets it (see `CONTRIBUTING.md`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::registry::{Auth, Locations, Options, Registry, TokenRules};
use crate::support::{Run, tempdir};

/// Where Go finds it, and which one: its results are listed below.
const SUITE: &str = "github.com/opencontainers/distribution-spec/conformance";
const COMMIT: &str = "967efdc079b91785ad18c77cc4f8991a47feefbf";

/// The program, or `None`, said on stderr.
fn suite() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| match std::env::var_os("OCI_CONFORMANCE") {
        Some(named) => Some(PathBuf::from(named)),
        None => installed(),
    });
    found.as_deref()
}

fn installed() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance-{COMMIT}"));
    let program = place.join("conformance");
    if program.exists() {
        return Some(program);
    }
    let mut go = Command::new("go");
    go.args(["install", &format!("{SUITE}@{COMMIT}")])
        .env("GOBIN", &place);
    let why = match go.output() {
        Ok(done) if done.status.success() => return Some(program),
        Ok(failed) => String::from_utf8_lossy(&failed.stderr).into_owned(),
        Err(error) => format!("Go: {error}"),
    };
    eprintln!("left out: the specification's conformance tests cannot be had: {why}");
    None
}

/// What it says in the end: the status of each area and kind of content, how many tests passed, and
/// whether all is well.
fn results(
    suite: &Path,
    registry: &Registry,
    settings: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let place = tempdir();
    let mut run = Command::new(suite);
    let is_setting = |name: &OsString| name.to_string_lossy().starts_with("OCI_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
        run.env_remove(name);
    }
    run.current_dir(place.path())
        .env("OCI_REGISTRY", registry.host())
        .env("OCI_TLS", "disabled")
        .envs(settings.iter().copied());
    let said = Run::of(&mut run);
    let Some(at) = said.stdout.find("OCI Conformance Result") else {
        panic!("no results: {}{}", said.stdout, said.stderr);
    };
    // "  Tag listing...................:       Pass"
    let line = |line: &str| {
        let (name, status) = line.split_once(": ")?;
        let name = name.trim().trim_end_matches('.');
        Some((name.to_string(), status.trim().to_string()))
    };
    let results: BTreeMap<_, _> = said.stdout[at..].lines().filter_map(line).collect();
    assert_eq!(results["OCI Conformance Result"], "Pass", "{}", said.stderr);
    assert_eq!((&*results["FAIL"], &*results["Error"]), ("0", "0"));
    eprintln!(
        "conformance tests: {} passed, {} skipped, {} disabled, of {}",
        results["Pass"], results["Skip"], results["Disabled"], results["Total"]
    );
    results
}

/// What was not tested.
fn rest(results: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let all = results.iter().map(|(name, status)| (&**name, &**status));
    all.filter(|(_, status)| matches!(*status, "Skip" | "Disabled"))
        .collect()
}

#[test]
fn the_default_passes_the_tests_of_version_1_1() {
    let Some(suite) = suite() else { return };
    let results = results(suite, &Registry::start(), &[("OCI_VERSION", "1.1")]);
    // As distribution, it takes no blob with POST alone, and mounts from a named repository only. The
    // rest is not in 1.1.
    let expected = [
        ("Blob anonymous mount", "Skip"),
        ("Blob post only", "Skip"),
        ("Blob upload cancel", "Disabled"),
        ("Manifest put with tag params", "Disabled"),
        ("Sparse Manifests", "Disabled"),
        ("Tag Param", "Disabled"),
        ("Tag Param sha512", "Disabled"),
    ];
    assert_eq!(rest(&results), expected);
}

#[test]
fn with_everything_on_it_passes_the_tests_of_the_next_version() {
    let Some(suite) = suite() else { return };
    let registry = Registry::with(Options {
        auth: Auth::bearer(TokenRules::login("me", "secret")),
        single_post: true,
        tag_parameters: true,
        checks_references: false,
        locations: Locations::RelativeStateful,
        ..Options::default()
    });
    let settings = [
        ("OCI_VERSION", "dev"),
        ("OCI_USERNAME", "me"),
        ("OCI_PASSWORD", "secret"),
        ("OCI_DATA_SPARSE", "true"),
    ];
    let results = results(suite, &registry, &settings);
    assert_eq!(rest(&results), [("Blob anonymous mount", "Skip")]);
}
