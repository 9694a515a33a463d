//! Every fixture goes to a registry and comes back to the last byte, and then nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use imgcopy::error::Result;
use imgcopy::store::registry::{Options, Registries};

use crate::fixtures::{Fixtures, Image};
use crate::server::Server;
use crate::support::{oci_at, tempdir, told};
use crate::{carry, is_settled};

/// The fixtures that a registry does not take, and what of its answer is told.
type Limits<'l> = BTreeMap<&'l str, &'l str>;

/// There, and back into an OCI directory.
async fn there_and_back(image: &Image, there: &str) -> Result<()> {
    let options = Options::bare();
    let strangers = || Registries::new(options.clone());
    let pushed = carry(&strangers(), &image.source, there).await?;
    assert!(is_settled(&options, &image.source, there).await?, "{there}");

    let directory = tempdir();
    let back = oci_at(directory.path(), "back");
    let pulled = carry(&strangers(), there, &back).await?;
    assert_eq!(pulled.digest, pushed.digest, "{there}");
    image.check(directory.path(), "back");
    assert!(is_settled(&options, there, &back).await?, "{there}");
    Ok(())
}

async fn every_fixture(server: Option<Server>, limits: Limits<'_>) {
    let Some(server) = server else {
        return;
    };
    let fixtures = Fixtures::all();
    let server = &server;
    let copies = fixtures.images.iter().map(|image| async move {
        let there = server.image(&image.name, &image.tag);
        (image, there_and_back(image, &there).await)
    });
    let mut copies = stream::iter(copies).buffer_unordered(8);
    let (mut known, mut problems) = (BTreeSet::new(), Vec::new());
    while let Some((image, copied)) = copies.next().await {
        let Err(error) = copied else { continue };
        let told = told(&error);
        match limits.contains_key(&*image.name) && told.contains(limits[&*image.name]) {
            true => drop(known.insert(&*image.name)),
            false => problems.push(format!("{}: {told}", image.name)),
        }
    }
    assert_eq!(problems, [""; 0]);
    // A limit that is none any more has to go.
    assert_eq!(known, limits.keys().copied().collect());
}

#[tokio::test]
async fn every_fixture_goes_to_docker_registry_and_back() {
    every_fixture(Server::debian(), Limits::new()).await;
}

#[tokio::test]
async fn every_fixture_goes_to_distribution_3_and_back() {
    every_fixture(Server::distribution3(), Limits::new()).await;
}

#[tokio::test]
async fn every_fixture_goes_to_a_registry_with_referrers_and_back() {
    let limits = Limits::from([("variants/oci-sha512-layers", "invalid digest")]);
    every_fixture(Server::with_referrers(), limits).await;
}
