//! How often anybody is asked who we are.

use futures_util::future::join_all;

use imgcopy::image::Descriptor;
use imgcopy::store::{Destination as _, Source as _};

use crate::kit::{REPO, at, copy_of, destination, kinds, source};
use crate::support::registry::{Auth, Options, Registry, TokenRules, TokenServer};

fn guarded(tokens: &TokenServer) -> Registry {
    Registry::with(Options {
        auth: Auth::Bearer(tokens.issuer()),
        ..Options::default()
    })
}

#[tokio::test]
async fn r19_one_token_serves_all_blobs_of_a_side() {
    let tokens = [0, 1].map(|_| TokenServer::start(TokenRules::default()));
    let (here, there) = (guarded(&tokens[0]), guarded(&tokens[1]));
    here.add_image(REPO, "1", &[700; 20], 1);
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    assert_eq!(tokens.each_ref().map(|server| server.log().len()), [1, 1]);
    let unauthorized = |server: &Registry| {
        let log = server.log();
        log.iter().filter(|request| request.status == 401).count()
    };
    assert_eq!((unauthorized(&here), unauthorized(&there)), (1, 1));
    there.assert_whole(REPO);
}

#[tokio::test]
async fn r19_twenty_that_need_a_token_at_once_fetch_one() {
    let tokens = TokenServer::start(TokenRules::default());
    let server = guarded(&tokens);
    let blobs: Vec<Descriptor> = (0..20)
        .map(|n| Descriptor::of("application/octet-stream".into(), &vec![0; n]))
        .collect();
    let place = destination(&server);
    let answers = join_all(blobs.iter().map(|blob| place.presence(blob))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(tokens.log().len(), 1);
}

#[tokio::test]
async fn p09_nobody_is_pinged_and_an_open_registry_is_not_asked_for_tokens() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add_image(REPO, "1", &[700; 5], 1);
    copy_of(&at(&here, REPO, "1"), &at(&there, REPO, "1"))
        .await
        .unwrap();
    for server in [&here, &there] {
        assert!(
            !kinds(server)
                .keys()
                .any(|kind| kind.contains("ping") || kind.contains("token"))
        );
    }
}

#[tokio::test]
async fn p09_a_guarded_registry_is_not_pinged_either() {
    let tokens = TokenServer::start(TokenRules::default());
    let server = guarded(&tokens);
    let digest = server.add_blob(REPO, "hello");
    let blob = Descriptor::new("".into(), digest.parse().unwrap(), 5);
    let read = source(&server).blob(&blob).await.unwrap();
    assert_eq!(read.bytes(100).await.unwrap(), "hello");
    assert_eq!(server.log().len(), 2, "{:?}", kinds(&server));
    assert_eq!(server.count("*", "/blobs/"), 2);
}
