//! Layers that live at their URLs.

use imgcopy::copy::{Job, Silent, copy};
use imgcopy::image::{Manifest, MediaType};
use imgcopy::store::{Destination as _, Memory, Role, open_destination};

use crate::support::registry::{Action, Fault, Registry};
use crate::support::{fixture, imgcopy, nobody, oci_at, tempdir};
use crate::{digest, raw};

#[test]
fn q83_a_foreign_layer_is_sent_to_a_registry_only_if_that_is_allowed() {
    let name = "variants/oci-nondistributable-urls-present-blob";
    let source = format!("oci:{}", fixture(name).display());
    let manifest = raw(&source);
    let layers = manifest["layers"].as_array().unwrap().iter();
    let foreign: Vec<&str> = layers
        .filter(|layer| layer["urls"].is_array())
        .map(|layer| layer["digest"].as_str().unwrap())
        .collect();
    assert_eq!(foreign.len(), 1);
    for (options, sent) in [(&[][..], 0), (&["--allow-foreign-layers"], 1)] {
        let registry = Registry::start();
        let at = format!("docker://{}/app:1", registry.host());
        let copy = ["copy", &source, &at].into_iter();
        imgcopy(copy.chain(options.iter().copied())).ok();
        assert_eq!(
            registry.count("PUT", foreign[0].trim_start_matches("sha256:")),
            sent
        );
        assert_eq!(digest(&at), digest(&source), "its descriptor travels");
        // From there it goes into a directory that can do without, too.
        let home = tempdir();
        let back = oci_at(&home.path().join("back"), "x");
        imgcopy(["copy", "-q", &at, &back]).ok();
        assert_eq!(digest(&back), digest(&source));
    }
    // A directory that can hold it gets it.
    let home = tempdir();
    let there = home.path().join("there");
    imgcopy(["copy", "-q", &source, &oci_at(&there, "x")]).ok();
    assert!(
        there
            .join("blobs")
            .join(foreign[0].replace(':', "/"))
            .exists()
    );
}

#[test]
fn q83_a_registry_that_wants_the_foreign_layer_all_the_same_is_explained() {
    let name = "variants/oci-nondistributable-urls-present-blob";
    let source = format!("oci:{}", fixture(name).display());
    let registry = Registry::start();
    let lost = Action::error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown");
    registry.fail(Fault::on("PUT", "/manifests/").always().then(lost));
    let at = format!("docker://{}/app:1", registry.host());
    let told = imgcopy(["copy", &source, &at]).fails(1).stderr;
    assert!(told.contains("--allow-foreign-layers"), "{told}");
}

/// Registries want such a layer to be there, and take it from nobody's URL.
#[tokio::test]
async fn a_layer_of_an_ordinary_type_is_sent_although_it_has_a_url() {
    let (here, there) = (Memory::new(), Registry::start());
    let config = here.add(MediaType::OCI_CONFIG, r#"{"architecture":"amd64"}"#);
    let mut layer = here.add(MediaType::OCI_LAYER, "a layer");
    layer.urls = vec!["https://example.com/layer".into()];
    let image = Manifest::image(&config, std::slice::from_ref(&layer)).unwrap();
    here.put_manifest(&image, Role::Root(&[])).await.unwrap();
    let at = format!("docker://{}/app:1", there.host());
    let to = open_destination(&at.parse().unwrap(), &nobody(), false).unwrap();
    let mut job = Job::new(&here, &*to);
    job.tags = vec!["1".parse().unwrap()];
    copy(&job, &Silent::new()).await.unwrap();
    let sent = there.blob("app", &layer.digest.to_string());
    assert_eq!(sent.unwrap(), "a layer");
}
