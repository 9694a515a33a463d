//! From and to a registry.

use super::*;
use support::registry::{Form, Image, Registry};

fn docker(registry: &Registry, image: &str) -> String {
    format!("docker://{}/{image}", registry.host())
}

#[test]
fn an_image_keeps_its_digest_from_registry_to_registry() {
    for form in [Form::OciGzip, Form::OciPlain, Form::DockerGzip] {
        let (here, there) = (Registry::start(), Registry::start());
        let image = Image::new(form, &[1000, 100_000], 1);
        let digest = here.add("a/app", Some("1"), &image);
        let folder = tempdir();
        let place = folder.path().join("d");
        copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
        assert_eq!(whole(&place), (digest.clone(), vec![]));
        let root = std::fs::read(place.join("manifest.json")).unwrap();
        assert_eq!(root, image.manifest);
        copy_here(&dir_at(&place), &docker(&there, "b/app:2")).unwrap();
        assert_eq!(there.tag_of("b/app", "2"), Some(digest));
        there.assert_whole("b/app");
    }
}

#[test]
fn an_index_keeps_its_digest_and_all_of_its_images() {
    let (here, there) = (Registry::start(), Registry::start());
    let one = here.add_image("a/app", "one", &[1000], 1);
    let two = here.add_image("a/app", "two", &[2000, 3000], 2);
    let index = here.add_index("a/app", "1", &[("amd64", &one), ("arm64", &two)]);
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
    assert_eq!(whole(&place), (index.clone(), vec![]));
    copy_here(&dir_at(&place), &docker(&there, "b/app:2")).unwrap();
    assert_eq!(there.tag_of("b/app", "2"), Some(index));
    there.assert_whole("b/app");
    // One of its images, and then the whole again.
    let platform = ["--platform", "linux/arm64", "-q"];
    let args = [docker(&here, "a/app:1"), dir_at(&place)];
    let run = imgcopy(args.iter().map(String::as_str).chain(platform)).ok();
    assert_eq!(run.stdout.trim(), two);
    assert_eq!(whole(&place), (two, vec![]));
}

#[test]
fn p04_what_is_up_to_date_costs_one_question() {
    let here = Registry::start();
    here.add_image("a/app", "1", &[1000, 2000], 1);
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
    let before = stamps(&place);
    here.forget();
    copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
    assert_eq!(here.log().len(), here.count("HEAD", "/manifests/1"));
    assert_eq!(here.log().len(), 1);
    assert_eq!(stamps(&place), before);
}

#[test]
fn only_what_is_new_is_fetched() {
    let here = Registry::start();
    here.add_image("a/app", "1", &[1000, 2000], 1);
    let folder = tempdir();
    let place = folder.path().join("d");
    copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
    // The first layer is the same.
    let new = here.add_image("a/app", "1", &[1000, 2001], 1);
    here.forget();
    copy_here(&docker(&here, "a/app:1"), &dir_at(&place)).unwrap();
    assert_eq!(here.count("GET", "/blobs/"), 2);
    assert_eq!(whole(&place), (new, vec![]));
}
