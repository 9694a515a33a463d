//! `inspect`, `list-tags` and `manifest-digest` of what is on the disk, byte for byte.

use crate::pair::{Desk, Pair};

#[test]
fn images_are_shown_byte_for_byte() {
    let Some(pair) = Pair::new() else { return };
    for image in ["dir:gzip", "dir:list", "dir:oci-index", "dir:plain"] {
        for options in [
            "",
            "--config ",
            "--no-tags ",
            "--override-arch arm64 ",
            "--override-arch arm64 --config ",
            "--config --raw ",
            "--raw ",
        ] {
            pair.same(&format!("inspect {options}{image}"));
        }
    }
    pair.same("inspect dir:schema1");
    pair.same("inspect --config dir:schema1");
}

#[test]
fn templates_are_filled_as_go_does_it() {
    let Some(pair) = Pair::new() else { return };
    for template in [
        "{{.Digest}}",
        "json",
        "{{.Layers}}|{{.Env}}|{{.Labels}}",
        "{{.Created}}",
        "{{.Os}}/{{.Architecture}}",
        "{{range.Layers}}{{.}};{{end}}",
    ] {
        // Words are apart by blanks.
        let template = template.replace("range.", "range\u{20}.");
        let run = |desk: &Desk| {
            let mut command = desk.command();
            let ended = command.args(["inspect", "--format", &template, "dir:gzip"]);
            crate::support::Run::of(ended)
        };
        let (theirs, ours) = (run(&pair.theirs), run(&pair.ours));
        let (theirs, ours) = (pair.theirs.outcome(&theirs), pair.ours.outcome(&ours));
        assert_eq!(theirs, ours, "{template}");
    }
    pair.same("inspect --config --format {{.Architecture}}|{{.OS}}|{{.Config.Env}} dir:gzip");
    pair.same("inspect --config --format {{.RootFS.DiffIDs}} dir:oci-index");
}

#[test]
fn newer_versions_tell_of_layers() {
    let desk = Desk::ours(None);
    let line = "inspect --format {{range\u{a0}.LayersData}}{{.Digest}}={{.Size}};{{end}} dir:gzip";
    let ended = desk.command().args(line.split(' ')).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    let manifest = desk.json("gzip/manifest.json");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(text.matches(';').count(), layers.len());
    for layer in layers {
        let told = format!("{}={};", layer["digest"].as_str().unwrap(), layer["size"]);
        assert!(text.contains(&told), "{text}");
    }
}

#[test]
fn tags_and_digests_are_listed_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.same("list-tags docker-archive:single.tar");
    pair.same("list-tags docker-archive:multitag.tar");
    pair.same("manifest-digest gzip/manifest.json");
    pair.same("manifest-digest list/manifest.json");
    pair.same("manifest-digest single.tar");
}
