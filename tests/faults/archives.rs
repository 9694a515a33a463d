//! An archive that is written while its layers are still on their way.

use std::sync::mpsc;
use std::time::Duration;

use imgcopy::image::{Descriptor, Reference};
use imgcopy::store::{Destination, open_destination, open_source};

use crate::support::registry::Action;
use crate::support::{nobody, tempdir};
use crate::{FROM, Pair, at, block};

/// One thread is enough to write an archive: nobody who asks it something, or gives it up, stops that
/// thread while it waits for a layer (found by the random scripts: a copy stood still for ever).
#[test]
fn whoever_asks_a_new_archive_something_does_not_hold_up_the_layer_that_it_waits_for() {
    for question in 0..3 {
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            block(asked_while_a_layer_comes(question));
            done.send(()).unwrap();
        });
        let ended = ended.recv_timeout(Duration::from_mins(1));
        assert!(
            ended.is_ok(),
            "question {question}: it stands still, or failed"
        );
    }
}

async fn asked_while_a_layer_comes(question: usize) {
    let pair = Pair::new(&[100_000]);
    let gate = crate::support::registry::Gate::closed();
    let held = pair
        .from
        .fail(pair.reads().then(Action::Hold(gate.clone())));
    let directory = tempdir();
    let registries = nobody();
    let source: Reference = at(&pair.from, FROM).parse().unwrap();
    let source = open_source(&source, &registries).unwrap();
    let archive = format!("oci-archive:{}", directory.path().join("a").display());
    let archive = open_destination(&archive.parse().unwrap(), &registries, false).unwrap();
    let size = pair.size(0) as u64;
    let layer = Descriptor::new("".into(), pair.layer(0).parse().unwrap(), size);
    let blob = source.blob(&layer).await.unwrap();
    let mut put = archive.put_blob(blob);
    while held.count() == 0 {
        let _waits = tokio::time::timeout(Duration::from_millis(1), &mut put).await;
    }
    let mut asked = std::pin::pin!(ask(&*archive, &layer, question));
    let _waits = tokio::time::timeout(Duration::from_millis(1), &mut asked).await;
    gate.open();
    let ((), put) = tokio::join!(asked, put);
    assert_eq!(put.unwrap().digest, layer.digest);
}

async fn ask(archive: &dyn Destination, layer: &Descriptor, question: usize) {
    match question {
        0 => drop(archive.presence(layer).await.unwrap()),
        1 => drop(archive.names().await.unwrap()),
        _ => archive.discard().await.unwrap(),
    }
}
