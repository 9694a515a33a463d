//! Names, tokens and warnings.

use imgcopy::image::Repository;
use imgcopy::store::Store as _;
use imgcopy::store::registry::credentials::Credential;
use imgcopy::store::registry::{Login, Registries};

use crate::kit::{REPO, at, copy_of, options, repository, tag, writes};
use crate::support::imgcopy;
use crate::support::registry::{Action, Auth, Fault, Options, Registry, TokenRules, TokenServer};
use crate::two;

#[test]
fn q01_docker_hub_has_one_name() {
    for name in [
        "alpine",
        "docker.io/alpine",
        "docker.io/library/alpine",
        "index.docker.io/library/alpine",
        "registry-1.docker.io/alpine",
    ] {
        let repository: Repository = name.parse().unwrap();
        assert_eq!(repository.registry(), "docker.io", "{name}");
        assert_eq!(repository.path(), "library/alpine", "{name}");
    }
}

#[tokio::test]
async fn q28_a_token_service_that_only_knows_get_is_asked_so() {
    let tokens = TokenServer::start(TokenRules::login("me", "secret"));
    let server = Registry::with(Options {
        auth: Auth::Bearer(tokens.issuer()),
        ..Options::default()
    });
    server.add(REPO, Some("1"), &two());
    let mut options = options();
    options.login = Login::As(Credential::basic("me", "secret").unwrap());
    let place = Registries::new(options)
        .source(&repository(&server, REPO))
        .unwrap();
    assert!(place.find(&tag("1")).await.unwrap().is_some());
    assert_eq!(
        (tokens.count("GET", "/token"), tokens.count("POST", "/")),
        (1, 0)
    );
}

#[tokio::test]
async fn q24_no_credential_goes_to_where_blobs_are_kept() {
    let image = two();
    let store = Registry::start();
    for blob in &image.blobs {
        store.add_blob(REPO, blob.clone());
    }
    // As object stores do with two ways to authenticate at once.
    let refused = Fault::on("*", "/").authorized().always();
    store.fail(refused.then(Action::status(400)));
    let here = Registry::with(Options {
        auth: Auth::bearer(TokenRules::default()),
        ..Options::default()
    });
    here.add(REPO, Some("1"), &image);
    let away = Fault::on("GET", "/blobs/").authorized().always();
    here.fail(away.then(Action::redirect_to_server(&store.origin())));
    let there = Registry::start();
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(store.count("GET", "/blobs/"), 3);
    there.assert_whole(REPO);
}

#[test]
fn q08_a_plan_writes_nothing_not_even_to_find_out_whether_it_may() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add(REPO, Some("1"), &two());
    imgcopy(["plan", &at(&here, REPO, "1"), &at(&there, REPO, "1")]).ok();
    assert_eq!(writes(&there), 0);
}

#[test]
fn q99_a_warning_harms_nothing_and_is_told_fit_to_be_shown() {
    let here = Registry::start();
    let digest = here.add(REPO, Some("1"), &two());
    let warning = Action::header("Warning", "299 - \"this \\\\registry\tmoves on Monday\"");
    here.fail(Fault::on("*", "/v2/").always().then(warning));
    let at = at(&here, REPO, "1");
    let told = imgcopy(["digest", &at]).ok();
    assert_eq!(told.stdout.trim(), digest);
    assert_eq!(told.stderr, "");
    let told = imgcopy(["digest", "--debug", &at]).ok();
    assert!(told.stderr.contains("moves on Monday"), "{}", told.stderr);
    assert!(!told.stderr.contains('\t'), "{}", told.stderr);
}
