//! What Debian's skopeo writes is read, and is what it writes into a directory.

use std::process::Command;

use super::*;

fn skopeo(args: &[&str]) -> Run {
    let mut skopeo = Command::new("skopeo");
    Run::of(skopeo.args(["--insecure-policy", "copy", "-q"]).args(args)).ok()
}

#[test]
fn what_skopeo_wrote_is_read_with_the_digest_of_the_directory() {
    if !has_peer("skopeo") {
        return;
    }
    let saved = archive_at(&fixture("docker20/single.tar"));
    let layout = format!("oci:{}", fixture("podman/oci-dir-zstd").display());
    let list = in_tar(&fixture("podman/oci-archive-index.tar"));
    let named = in_tar(&fixture("podman/oci-archive.tar"));
    for (source, name) in [
        (&saved, "latest"),
        (&saved, "localhost/app:1.2"),
        (&layout, "v1"),
        (&list, "list"),
        (&named, ""),
    ] {
        let directory = tempdir();
        let at = |what: &str| directory.path().join(what);
        let suffix = match name {
            "" => String::new(),
            name => format!(":{name}"),
        };
        let archive = format!("{}{suffix}", in_tar(&at("x.tar")));
        let place = format!("oci:{}{suffix}", at("layout").display());
        skopeo(&["--all", source, &archive]);
        skopeo(&["--all", source, &place]);
        let there = truth::entries(&at("layout")).remove(0);

        let to = at("to");
        let digest = copy(&archive, &oci_at(&to, "a"));
        assert_eq!(there["digest"], *digest, "{source}");
        assert_eq!(copy(&place, &oci_at(&to, "b")), digest, "{source}");
        assert_eq!(assert_whole(&to), ["a", "b"]);
        imgcopy(["verify", &archive]).ok();
        let tags = |place: &Path, kind: &str| {
            imgcopy(["tags", &format!("{kind}:{}", place.display())])
                .ok()
                .stdout
        };
        let expected = tags(&at("layout"), "oci");
        assert_eq!(tags(&at("x.tar"), "oci-archive"), expected, "{source}");
    }
}

#[test]
fn what_skopeo_writes_into_a_pipe_is_read_from_it() {
    if !has_peer("skopeo") {
        return;
    }
    let source = fixture("podman/oci-dir");
    let directory = tempdir();
    let line = format!(
        "skopeo --insecure-policy copy -q oci:{} docker-archive:/dev/stdout:app:1 | \
         {} -q docker-archive:-:app:1 {}",
        source.display(),
        env!("CARGO_BIN_EXE_imgcopy"),
        oci_at(&directory.path().join("to"), "a"),
    );
    let (name, nowhere) = crate::support::NO_CACHE;
    Run::of(Command::new("sh").args(["-c", &line]).env(name, nowhere)).ok();
    let there = truth::graph(&source, &truth::entries(&source)[0]).images;
    let to = directory.path().join("to");
    let here = truth::graph(&to, &truth::entry(&to, "a")).images;
    assert_eq!(here[0].diff_ids, there[0].diff_ids);
}
