//! Shapes of images that no fixture has, or not by itself.

use serde_json::{Value, json};

use crate::Subject;
use crate::build::*;
use crate::support::truth;

fn made(name: &str, make: impl FnOnce(&mut Pieces) -> Value) -> Subject {
    let mut pieces = Pieces::default();
    let root = make(&mut pieces);
    pieces.subject(name, &root)
}

/// What an image may look like beside its layers.
pub(crate) fn images() -> Vec<Subject> {
    vec![
        made("gzip layers", |of| of.image_for("amd64", &[100, 2000])),
        made("plain layers", |of| {
            let layers = [tar(10), tar(20)];
            let plain = layers.each_ref().map(|it| of.add(PLAIN, it.clone()));
            of.image(&[(&plain[0], &layers[0]), (&plain[1], &layers[1])])
        }),
        made("plain, gzip and zstd layers", |of| {
            let [one, two, three] = [tar(10), tar(20), tar(30)];
            let plain = of.add(PLAIN, one.clone());
            let gzip = of.add(GZIP, gzip(&two));
            let zstd = of.add(ZSTD, zstd(&three));
            of.image(&[(&plain, &one), (&gzip, &two), (&zstd, &three)])
        }),
        made("Docker's gzip layers", |of| {
            of.docker_image("amd64", DOCKER_GZIP, gzip)
        }),
        made("Docker's plain layers", |of| {
            of.docker_image("amd64", DOCKER_PLAIN, <[u8]>::to_vec)
        }),
        made("no layers", |of| of.image(&[])),
        made("no media type, odd spaces", odd_spaces),
        made("unknown fields", unknown_fields),
    ]
}

/// Old tools leave the media type out, and nobody says how documents are spaced.
fn odd_spaces(of: &mut Pieces) -> Value {
    let layer = tar(10);
    let packed = of.add(GZIP, gzip(&layer));
    let config = of.config(CONFIG, "amd64", &[&layer]);
    let text =
        format!("{{ \"schemaVersion\":2,\n\t\"config\":{config}, \"layers\": [ {packed} ] }}\n");
    of.add(MANIFEST, text)
}

fn unknown_fields(of: &mut Pieces) -> Value {
    let layer = tar(10);
    let packed = of.add(GZIP, gzip(&layer));
    let fields = json!({ "annotations": { "a": "ü" }, "com.example.new": [1, null] });
    let packed = with(&packed, &fields);
    let config = json!({
        "architecture": "amd64", "os": "linux", "os.features": [], "x": { "y": 1.0e3 },
        "rootfs": { "type": "layers", "diff_ids": [truth::digest("sha256", &layer)] },
        "history": [{ "created_by": "a" }, { "created_by": "b", "empty_layer": true }],
    });
    let config = of.document(CONFIG, &config);
    let annotations = json!({ "org.opencontainers.image.ref.name": "else" });
    of.manifest(&json!({
        "config": config, "layers": [packed], "annotations": annotations, "z": {},
    }))
}

/// What layers may look like.
pub(crate) fn layers() -> Vec<Subject> {
    vec![
        made("a hundred layers", |of| {
            of.image_for("amd64", &(0..100).collect::<Vec<_>>())
        }),
        made("empty gzip layers", |of| empty_layers(of, GZIP, gzip)),
        made("empty plain layers", |of| {
            empty_layers(of, PLAIN, <[u8]>::to_vec)
        }),
        made("a layer of no bytes", |of| {
            let nothing = of.add(PLAIN, "");
            of.image(&[(&nothing, b"")])
        }),
        made("one DiffId in four blobs", |of| {
            let layer = tar(10);
            let twice = [1, 0].map(|level| of.add(GZIP, gzip_at(&layer, level)));
            let plain = of.add(PLAIN, layer.clone());
            let zstd = of.add(ZSTD, zstd(&layer));
            let all = [&twice[0], &twice[1], &plain, &zstd, &twice[0]];
            of.image(&all.map(|it| (it, layer.as_slice())))
        }),
        made("eStargz", stargz),
        made("a foreign layer elsewhere", |of| {
            foreign(of, FOREIGN, false)
        }),
        made("a foreign layer that is there", |of| {
            foreign(of, FOREIGN, true)
        }),
        made("Docker's foreign layer elsewhere", |of| {
            foreign(of, DOCKER_FOREIGN, false)
        }),
        made("a layer by SHA-512", |of| {
            let layer = tar(10);
            let hashed = of.add_by("sha512", GZIP, gzip(&layer));
            of.image(&[(&hashed, &layer)])
        }),
        made("inline data", |of| inline(of, true)),
        made("inline data alone", |of| inline(of, false)),
    ]
}

/// What Docker writes for an instruction that changes no file, below and above a layer.
fn empty_layers(of: &mut Pieces, kind: &str, pack: fn(&[u8]) -> Vec<u8>) -> Value {
    let (empty, layer) = (vec![0; 1024], tar(10));
    let [nothing, packed] = [of.add(kind, pack(&empty)), of.add(kind, pack(&layer))];
    of.image(&[
        (&nothing, &empty),
        (&packed, &layer),
        (&nothing, &empty),
        (&nothing, &empty),
    ])
}

/// Its list of files is a gzip member of its own, and the digest of that is annotated.
fn stargz(of: &mut Pieces) -> Value {
    let layer = tar(10);
    let packed = of.add(GZIP, [gzip(&layer), gzip(b"")].concat());
    let annotations = json!({
        "containerd.io/snapshot/stargz/toc.digest": truth::digest("sha256", b"toc"),
        "io.containers.estargz.uncompressed-size": layer.len().to_string(),
    });
    let packed = with(&packed, &json!({ "annotations": annotations }));
    of.image(&[(&packed, &layer)])
}

fn foreign(of: &mut Pieces, kind: &str, is_there: bool) -> Value {
    let [base, layer] = [tar(20), tar(10)];
    let foreign = of.add(kind, gzip(&base));
    let foreign = with(&foreign, &json!({ "urls": ["https://example.com/layer"] }));
    let own = of.add(GZIP, gzip(&layer));
    if !is_there {
        of.lose(&foreign);
    }
    of.image(&[(&foreign, &base), (&own, &layer)])
}

fn inline(of: &mut Pieces, is_file: bool) -> Value {
    let layer = tar(10);
    let packed = gzip(&layer);
    let bare = of.add(GZIP, packed.clone());
    if !is_file {
        of.lose(&bare);
    }
    of.image(&[(&with_data(&bare, &packed), &layer)])
}

/// Images for two machines that share a layer.
fn pair(of: &mut Pieces) -> [Value; 2] {
    [
        of.image_for("amd64", &[10, 20]),
        of.image_for("arm64", &[10, 30]),
    ]
}

/// What indexes may look like.
pub(crate) fn indexes() -> Vec<Subject> {
    vec![
        made("an index", |of| {
            let [one, two] = pair(of);
            of.index(&[&one, &two])
        }),
        made("nested indexes", |of| {
            let [one, two] = pair(of);
            let lower = of.index(&[&one]);
            let middle = of.index(&[&lower, &two]);
            of.index(&[&middle, &one])
        }),
        made("an image for two platforms", |of| {
            let image = of.image_for("amd64", &[10]);
            let again = json!({ "platform": { "architecture": "arm64", "os": "linux" } });
            of.index(&[&image, &with(&image, &again)])
        }),
        made("Docker's list", |of| {
            let [one, two] = ["amd64", "arm64"].map(|it| of.docker_image(it, DOCKER_GZIP, gzip));
            of.docker_list(&[&one, &two])
        }),
        made("Docker's image in an OCI index", |of| {
            let docker = of.docker_image("amd64", DOCKER_GZIP, gzip);
            let other = of.image_for("arm64", &[20]);
            of.index(&[&docker, &other])
        }),
        made("an attestation", attestation),
        made("an image by SHA-512", |of| {
            let layer = tar(10);
            let config = of.config(CONFIG, "amd64", &[&layer]);
            let packed = of.add(GZIP, gzip(&layer));
            let image = json!({ "schemaVersion": 2, "config": config, "layers": [packed] });
            let image = of.add_by("sha512", MANIFEST, image.to_string());
            of.index(&[&image])
        }),
        made("an index of nothing", |of| of.index(&[])),
    ]
}

/// As BuildKit writes it.
fn attestation(of: &mut Pieces) -> Value {
    let image = of.image_for("amd64", &[10]);
    let statement = of.add("application/vnd.in-toto+json", "{}");
    let config = of.config(CONFIG, "unknown", &[b"{}"]);
    let attestation = of.manifest(&json!({ "config": config, "layers": [statement] }));
    let fields = json!({
        "platform": { "architecture": "unknown", "os": "unknown" },
        "annotations": {
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        },
    });
    of.index(&[&image, &with(&attestation, &fields)])
}

/// Indexes of which not all is there.
pub(crate) fn sparse() -> Vec<Subject> {
    vec![
        made("a sparse index", |of| {
            let [one, two] = pair(of);
            of.lose(&two);
            of.index(&[&two, &one])
        }),
        made("an index that lacks another one", |of| {
            let [one, two] = pair(of);
            let lower = of.index(&[&two]);
            of.lose(&lower);
            of.index(&[&one, &lower])
        }),
    ]
}

/// What is no container image.
pub(crate) fn artifacts() -> Vec<Subject> {
    vec![
        made("an artifact with a config of its own", |of| {
            let config = of.add(
                "application/vnd.cncf.helm.config.v1+json",
                "{\"name\":\"x\"}",
            );
            let kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
            let chart = of.add(kind, gzip(b"chart"));
            of.manifest(&json!({ "config": config, "layers": [chart] }))
        }),
        // ORAS: config and layer are the same two bytes.
        made("an artifact with an empty config", |of| {
            let empty = with_data(&of.add(EMPTY, "{}"), b"{}");
            of.artifact(&json!({ "config": empty, "layers": [empty] }))
        }),
        made("an artifact without layers", |of| {
            let config = of.add(EMPTY, "{}");
            of.artifact(&json!({ "config": config, "layers": [] }))
        }),
        made("an artifact of no bytes", |of| {
            let [config, nothing] = [of.add(EMPTY, "{}"), of.add("text/plain", "")];
            of.artifact(&json!({ "config": config, "layers": [nothing] }))
        }),
        // Of what it refers to, nothing is here.
        made("an artifact with a subject", |of| {
            let config = of.add(EMPTY, "{}");
            let layer = of.add("application/spdx+json", "{\"spdxVersion\":\"SPDX-2.3\"}");
            let digest = truth::digest("sha256", b"x");
            let subject = json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
            of.artifact(&json!({ "config": config, "layers": [layer], "subject": subject }))
        }),
        made("an artifact that says it is an image", |of| {
            let wasm = of.add("application/wasm", "\0asm");
            of.image(&[(&wasm, b"\0asm")])
        }),
        made("an artifact beside an image", |of| {
            let image = of.image_for("amd64", &[10]);
            let config = of.add(EMPTY, "{}");
            let artifact = of.artifact(&json!({ "config": config, "layers": [] }));
            of.index(&[
                &with(&artifact, &json!({ "artifactType": ARTIFACT })),
                &image,
            ])
        }),
    ]
}
