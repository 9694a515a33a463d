//! OCI archives as destinations.

use std::path::Path;
use std::process::Command;

use crate::support::{
    Run, archive_at, copy, fixture, fixtures, has_peer, imgcopy, oci_at, tempdir, tree,
};

fn at(path: &Path) -> String {
    format!("oci-archive:{}", path.display())
}

fn lines(args: &[&str]) -> Vec<String> {
    let told = imgcopy(args).ok();
    told.stdout.lines().map(str::to_string).collect()
}

/// Every image in an OCI directory of the fixtures, with the name that a copy can have.
fn images() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["podman", "variants", "others"] {
        for path in fixtures(folder).into_iter().filter(|path| path.is_dir()) {
            let layouts = match path.join("oci-layout").exists() {
                true => vec![path],
                false => std::fs::read_dir(path)
                    .unwrap()
                    .map(|it| it.unwrap().path())
                    .collect(),
            };
            for layout in layouts
                .iter()
                .filter(|path| path.join("oci-layout").exists())
            {
                let place = format!("oci:{}", layout.display());
                let names = lines(&["tags", &place]);
                let image = |name: &String| (format!("{place}:{name}"), name.replace('@', "n"));
                found.extend(names.iter().map(image));
            }
        }
    }
    found
}

#[test]
fn every_image_arrives_with_its_digest() {
    let images = images();
    assert!(images.len() > 20, "{}", images.len());
    for (source, name) in images {
        let home = tempdir();
        let path = home.path().join("x.tar");
        let archive = format!("{}:{name}", at(&path));
        let wanted = lines(&["digest", &source]).remove(0);
        assert_eq!(copy(&source, &archive), wanted, "{source}");
        assert_eq!(lines(&["digest", &archive])[0], wanted, "{source}");
        imgcopy(["verify", &archive]).ok();
        assert_eq!(tree(home.path()), ["x.tar"]);
        // And back: the same directory as without the detour.
        let (through, direct) = (home.path().join("through"), home.path().join("direct"));
        copy(&archive, &oci_at(&through, &name));
        copy(&source, &oci_at(&direct, &name));
        assert_eq!(
            tree(&through.join("blobs")),
            tree(&direct.join("blobs")),
            "{source}"
        );
    }
}

#[test]
fn several_images_of_one_archive_share_their_blobs() {
    let home = tempdir();
    let layout = home.path().join("layout");
    for name in ["single", "manylayers", "whiteout"] {
        let source = archive_at(&fixture(&format!("docker28/{name}.tar")));
        let first = lines(&["tags", &source]).remove(0);
        copy(&format!("{source}:{first}"), &oci_at(&layout, name));
    }
    let all = home.path().join("all.tar");
    let sources = ["single", "manylayers", "whiteout"].map(|name| oci_at(&layout, name));
    let told = lines(&[
        "copy",
        "-q",
        &sources[0],
        &sources[1],
        &sources[2],
        &at(&all),
    ]);
    assert_eq!(
        lines(&["tags", &at(&all)]),
        ["single", "manylayers", "whiteout"]
    );
    for (source, digest) in sources.iter().zip(&told) {
        let name = source.rsplit(':').next().unwrap();
        assert_eq!(
            lines(&["digest", &format!("{}:{name}", at(&all))]),
            [digest.as_str()]
        );
    }
    let mut tar = tar::Archive::new(std::fs::File::open(&all).unwrap());
    let files = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned());
    let mut files: Vec<_> = files.collect();
    let blobs = tree(&layout.join("blobs/sha256")).len();
    assert_eq!(
        files.len(),
        blobs + 2,
        "oci-layout, index.json, and each blob once"
    );
    files.sort();
    files.dedup();
    assert_eq!(files.len(), blobs + 2);

    are_the_same_each_time(&sources, &all);
}

fn are_the_same_each_time(sources: &[String; 3], all: &Path) {
    let home = tempdir();
    let again = home.path().join("again.tar");
    lines(&[
        "copy",
        "-q",
        &sources[0],
        &sources[1],
        &sources[2],
        &at(&again),
    ]);
    assert!(std::fs::read(all).unwrap() == std::fs::read(&again).unwrap());
    let piped = home.path().join("piped.tar");
    let out = std::fs::File::create(&piped).unwrap();
    let mut command = crate::support::command();
    command.args([
        "copy",
        "-q",
        &sources[0],
        &sources[1],
        &sources[2],
        "oci-archive:-",
    ]);
    assert!(command.stdout(out).status().unwrap().success());
    assert!(std::fs::read(all).unwrap() == std::fs::read(&piped).unwrap());
}

#[test]
fn what_belongs_to_an_image_goes_with_it() {
    let home = tempdir();
    let (source, image, referrer) = crate::reading::with_referrer();
    let source = source.write(home.path(), "source.tar");
    let archive = home.path().join("x.tar");
    copy(
        &format!("{}:a", at(&source)),
        &format!("{}:image", at(&archive)),
    );
    let listed = lines(&["tags", &at(&archive)]);
    assert!(
        listed.contains(&"image".to_string()) && listed.len() == 2,
        "{listed:?}"
    );
    for digest in [image, referrer] {
        imgcopy(["verify", &format!("{}@{digest}", at(&archive))]).ok();
    }
}

#[test]
fn skopeo_reads_what_was_written() {
    if !has_peer("skopeo") {
        return;
    }
    let home = tempdir();
    for (number, name) in ["oci-gzip", "oci-dup-layers", "oci-zero-layers"]
        .iter()
        .enumerate()
    {
        let source = format!("oci:{}", fixture(&format!("variants/{name}")).display());
        let name = lines(&["tags", &source]).remove(0);
        let archive = home.path().join(format!("{number}.tar"));
        let digest = copy(&format!("{source}:{name}"), &format!("{}:x", at(&archive)));
        let out = home.path().join(format!("out{number}"));
        let to = format!("oci:{}:x", out.display());
        let mut skopeo = Command::new("skopeo");
        Run::of(skopeo.args(["copy", "-q", "--all", &format!("{}:x", at(&archive)), &to])).ok();
        assert_eq!(lines(&["digest", &to]), [digest]);
    }
}
