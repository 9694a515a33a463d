//! In which order things are written.

use crate::kit::{REPO, at, copy_with, registries, sha256};
use crate::support::registry::{Action, Fault, Form, Gate, Image, Registry};

fn one_at_a_time(job: &mut imgcopy::copy::Job<'_>) {
    job.parallel = std::num::NonZeroUsize::MIN;
}

#[tokio::test]
async fn p14_the_largest_blob_comes_first() {
    let (here, there) = (Registry::start(), Registry::start());
    here.add_image(REPO, "1", &[1000, 90_000, 20, 40_000], 1);
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    copy_with(&registries(), &from, &to, one_at_a_time)
        .await
        .unwrap();
    let puts = there.requests("PUT", "/blobs/uploads/");
    let sizes: Vec<usize> = puts.iter().map(|put| put.body_len).collect();
    assert_eq!(sizes.len(), 5);
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
}

#[tokio::test]
async fn r12_a_manifest_follows_its_blobs_at_once_and_r11_the_tag_comes_last() {
    let (here, there) = (Registry::start(), Registry::start());
    let (small, large) = (
        Image::new(Form::OciGzip, &[2000, 1000], 1),
        Image::new(Form::OciGzip, &[50_000, 3000], 2),
    );
    let children = [&small, &large].map(|image| here.add(REPO, None, image));
    here.add_index(
        REPO,
        "1",
        &[("amd64", &children[0]), ("arm64", &children[1])],
    );
    // A layer of the one image does not arrive before the manifest of the other has.
    let gate = Gate::closed();
    let layer = sha256(&large.blobs[1]);
    let hex = layer.split_once(':').unwrap().1.to_string();
    let held = Fault::on("PUT", "/blobs/uploads/").when(move |put| put.target.contains(&hex));
    let held = there.fail(held.then(Action::Hold(gate.clone())));
    let (from, to) = (at(&here, REPO, "1"), at(&there, REPO, "1"));
    let shared = registries();
    let path = format!("/manifests/{}", children[0]);
    let (copied, ()) = tokio::join!(copy_with(&shared, &from, &to, |_| {}), async {
        while there.count("PUT", &path) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(there.tag_of(REPO, "1"), None);
        gate.open();
    });
    copied.unwrap();
    assert_eq!(held.count(), 1);
    let last = there.log().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("PUT", "/v2/team/app/manifests/1")
    );
    there.assert_whole(REPO);
}
