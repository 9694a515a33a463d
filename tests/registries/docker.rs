//! A Docker engine pushes what we copy on, and pulls what we pushed, under the same image ID.

use imgcopy::store::registry::{Options, Registries};

use crate::carry;
use crate::engine::Engine;
use crate::server::Server;
use crate::support::{archive_at, fixture, truth};

/// An image of the engine goes through two registries and comes back as what it was.
#[tokio::test]
async fn an_engine_pulls_what_was_copied_on_from_where_it_pushed() {
    let (Some(engine), Some(server)) = (Engine::start(), Server::debian()) else {
        return;
    };
    let registries = Registries::new(Options::bare());
    let name = |server: &Server, repository: &str| format!("{}/{repository}:1", server.host());
    let pushed = name(&server, "own/built");
    engine.build(&pushed);
    let id = engine.image_id(&pushed);
    engine.docker(&["push", "--quiet", &pushed]);
    engine.docker(&["image", "rm", &pushed]);

    let others = [Server::with_referrers(), Server::distribution3()];
    let mut from = server.image("own/built", "1");
    for other in others.iter().flatten().chain([&server]) {
        let to = other.image("copied/on", "1");
        carry(&registries, &from, &to).await.unwrap();
        let there = name(other, "copied/on");
        engine.docker(&["pull", "--quiet", &there]);
        assert_eq!(engine.image_id(&there), id);
        engine.docker(&["image", "rm", &there]);
        from = to;
    }

    // An archive of plain layers becomes an image of gzip layers with the same ID.
    let archive = fixture("docker20/single.tar");
    let there = server.image("from/archive", "1");
    carry(&registries, &archive_at(&archive), &there)
        .await
        .unwrap();
    let pulled = name(&server, "from/archive");
    engine.docker(&["pull", "--quiet", &pulled]);
    let saved = truth::saved(&archive).unwrap();
    assert_eq!(engine.image_id(&pulled), saved[0].id);
}
