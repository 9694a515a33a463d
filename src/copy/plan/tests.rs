use std::collections::BTreeMap;

use super::*;
use crate::copy::{RememberedLayer, Standing};
use crate::image::{Config, Digest, Manifest, MediaType};

const PLAIN: Compression = Compression::None;

/// A survey of one image, put together sentence by sentence.
struct Given {
    survey: Survey,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

fn layer(content: &str, compression: Compression) -> Descriptor {
    Descriptor::of(MediaType::oci_layer(compression), content.as_bytes())
}

fn image_of(layers: &[Descriptor]) -> Given {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| layer.digest.to_string())
        .collect();
    let text = serde_json::json!({"rootfs": {"diff_ids": diff_ids}}).to_string();
    let config = Descriptor::of(MediaType::OCI_CONFIG.into(), text.as_bytes());
    let manifest = Manifest::image(&config, layers).unwrap();
    let survey = Survey {
        form: Form::Any,
        source: "source".into(),
        destination: "destination".into(),
        promise: Promise::ImageId,
        compression: None,
        tags: vec!["latest".parse().unwrap()],
        images: vec![SurveyedImage {
            manifest,
            config: Some(Config::parse(text.as_bytes()).unwrap()),
        }],
        expected: None,
        trimmed_from: None,
        recompress: false,
        preserve_digests: false,
        takes_any_format: false,
        converted: BTreeMap::new(),
        kept: Vec::new(),
        absent: Vec::new(),
        mount: None,
        presence: BTreeMap::new(),
        known_layers: Vec::new(),
        remembered: Vec::new(),
        current: vec![None],
    };
    Given {
        survey,
        config,
        layers: layers.to_vec(),
    }
}

impl Given {
    fn promising(mut self, promise: Promise) -> Self {
        self.survey.promise = promise;
        self
    }

    fn asked_for(mut self, compression: Compression) -> Self {
        self.survey.compression = Some(Coding::new(compression, None).unwrap());
        self
    }

    fn with(mut self, piece: &Descriptor, presence: Presence) -> Self {
        self.survey.presence.insert(piece.digest.clone(), presence);
        self
    }

    /// The destination has a packed form of a layer.
    fn knowing(mut self, of: usize, packed: &Descriptor) -> Self {
        let diff_id = self.layers[of].digest.clone();
        self.survey.known_layers.push(KnownLayer {
            diff_id,
            layer: packed.clone(),
        });
        self
    }

    fn standing(mut self, current: Manifest) -> Self {
        self.survey.current = vec![Some(stands(current))];
        self
    }

    fn manifest(&self) -> Descriptor {
        self.survey.images[0].manifest.descriptor().clone()
    }

    fn plan(&self) -> Plan {
        plan(&self.survey).unwrap()
    }

    fn decision(&self, of: &Descriptor) -> (BlobAction, Reason) {
        let plan = self.plan();
        let step = plan
            .blobs
            .iter()
            .find(|step| step.blob.digest == of.digest)
            .unwrap();
        (step.action.clone(), step.because.clone())
    }

    fn root(&self) -> (ManifestAction, Reason) {
        let plan = self.plan();
        let step = plan.manifests.last().unwrap();
        (step.action.clone(), step.because.clone())
    }
}

fn stands(current: Manifest) -> Standing {
    Standing {
        descriptor: current.descriptor().clone(),
        manifest: Some(current),
    }
}

fn keep(stored: &Descriptor) -> BlobAction {
    BlobAction::Keep {
        stored: stored.clone(),
    }
}

#[test]
fn what_happens_to_a_layer_depends_on_its_form_and_on_what_was_asked() {
    use Compression::{Bzip2, Gzip, Xz, Zstd};
    let gzip = || BlobAction::Recompress { to: Coding::GZIP };
    let to = |compression| BlobAction::Recompress {
        to: Coding::new(compression, None).unwrap(),
    };
    let send = || BlobAction::Send;
    let table = [
        // promise, asked for, form, what happens
        (Promise::ImageId, None, PLAIN, gzip()),
        (Promise::ImageId, None, Gzip, send()),
        (Promise::ImageId, None, Zstd, send()),
        (Promise::ImageId, None, Xz, gzip()),
        (Promise::ImageId, None, Bzip2, gzip()),
        (Promise::ImageId, Some(PLAIN), PLAIN, send()),
        (Promise::ImageId, Some(PLAIN), Xz, to(PLAIN)),
        (Promise::ImageId, Some(Zstd), PLAIN, to(Zstd)),
        (Promise::ImageId, Some(Zstd), Gzip, send()),
        (Promise::Digest, None, PLAIN, send()),
        (Promise::Digest, None, Gzip, send()),
        (Promise::Digest, Some(Gzip), PLAIN, gzip()),
        (Promise::Digest, Some(Zstd), Gzip, send()),
    ];
    for (promise, asked, form, expected) in table {
        let piece = layer("content", form);
        let mut given = image_of(std::slice::from_ref(&piece)).promising(promise);
        if let Some(asked) = asked {
            given = given.asked_for(asked);
        }
        assert_eq!(
            given.decision(&piece).0,
            expected,
            "{promise:?} {asked:?} {form}"
        );
    }
}

#[test]
fn what_is_there_is_kept_and_what_is_damaged_is_sent() {
    let piece = layer("content", Compression::Gzip);
    let table = [
        (Presence::Absent, BlobAction::Send, Reason::Missing),
        (Presence::Recorded, keep(&piece), Reason::Recorded),
        (Presence::Checked, keep(&piece), Reason::Checked),
        (
            Presence::Damaged("is short".into()),
            BlobAction::Send,
            Reason::Damaged("is short".into()),
        ),
    ];
    for (presence, action, because) in table {
        let given = image_of(std::slice::from_ref(&piece)).with(&piece, presence);
        assert_eq!(given.decision(&piece), (action, because));
    }
}

#[test]
fn a_layer_that_unpacks_to_the_same_is_kept_if_it_has_the_form_asked_for() {
    let piece = layer("content", PLAIN);
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(std::slice::from_ref(&piece)).knowing(0, &packed);
    assert_eq!(given.decision(&piece), (keep(&packed), Reason::SameDiffId));
    let zstd = given.asked_for(Compression::Zstd);
    assert!(matches!(
        zstd.decision(&piece).0,
        BlobAction::Recompress { .. }
    ));
}

#[test]
fn what_came_out_before_is_kept_or_mounted_and_else_the_layer_is_compressed_again() {
    let piece = layer("content", PLAIN);
    let packed = layer("packed", Compression::Gzip);
    let from: crate::image::Repository = "r.example/other".parse().unwrap();
    let recall = BlobAction::Recall {
        stored: packed.clone(),
        from: from.clone(),
        to: Coding::GZIP,
    };
    let recall = (recall, Reason::Remembered);
    let again = BlobAction::Recompress { to: Coding::GZIP };
    let again = (again, Reason::Plain(PLAIN));
    let harder = Coding::new(Compression::Gzip, Some(9)).unwrap();
    let damaged = Some(Presence::Damaged("is short".into()));
    let (vouched, absent) = (Some(Presence::Vouched), Some(Presence::Absent));
    let kept = (keep(&packed), Reason::Remembered);
    let (gzip, elsewhere) = (Coding::GZIP, Some(&from));
    let table = [
        // how it was compressed, what the destination says, where else it is, what happens
        (gzip, vouched.clone(), None, kept.clone()),
        (gzip, Some(Presence::Checked), elsewhere, kept),
        (gzip, None, elsewhere, recall.clone()),
        (gzip, absent.clone(), elsewhere, recall),
        (gzip, absent, None, again.clone()),
        (gzip, damaged, None, again.clone()),
        (harder, vouched, elsewhere, again),
    ];
    for (to, presence, from, expected) in table {
        let mut given = image_of(std::slice::from_ref(&piece));
        given.survey.remembered = vec![RememberedLayer {
            content: piece.digest.clone(),
            to,
            layer: packed.clone(),
            from: from.cloned(),
        }];
        if let Some(presence) = &presence {
            given = given.with(&packed, presence.clone());
        }
        assert_eq!(
            given.decision(&piece),
            expected,
            "{to} {presence:?} {from:?}"
        );
    }
}

#[test]
fn what_is_there_is_called_as_the_manifest_calls_its_layers() {
    let docker = "application/vnd.docker.image.rootfs.diff.tar";
    let piece = Descriptor::of(docker.into(), b"content");
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(std::slice::from_ref(&piece)).knowing(0, &packed);
    let (BlobAction::Keep { stored }, _) = given.decision(&piece) else {
        panic!("it is not kept");
    };
    assert_eq!(stored.media_type.as_str(), format!("{docker}.gzip"));
    assert_eq!(stored.digest, packed.digest);
}

#[test]
fn another_format_does_only_where_nobody_asked_for_one() {
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(&[layer("plain", PLAIN)]).knowing(0, &packed);
    let ours = Manifest::image(&given.config, &[packed]).unwrap();
    let docker = ours.in_format(crate::image::Format::V2s2).unwrap();
    let mut given = given.standing(docker.clone());
    assert_eq!(given.root().0, ManifestAction::Rewrite);
    given.survey.takes_any_format = true;
    let there = ManifestAction::Keep(docker.descriptor().digest.clone());
    assert_eq!(given.root(), (there, Reason::SameImage));
}

#[test]
fn q83_a_foreign_layer_stays_in_its_form() {
    let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let mut foreign = Descriptor::of(nondistributable.into(), b"windows");
    foreign.urls = vec!["https://example.com/layer".into()];
    let given = image_of(std::slice::from_ref(&foreign));
    assert_eq!(given.decision(&foreign).0, BlobAction::Send);
    foreign.urls.clear();
    let given = image_of(std::slice::from_ref(&foreign));
    let again = BlobAction::Recompress { to: Coding::GZIP };
    assert_eq!(given.decision(&foreign).0, again);
}

#[test]
fn each_digest_is_one_step_and_the_largest_comes_first() {
    let (small, large) = (layer("s", PLAIN), layer(&"large".repeat(999), PLAIN));
    let plan = image_of(&[small.clone(), large.clone(), small.clone()]).plan();
    assert_eq!(plan.blobs.len(), 3, "two layers and the config");
    assert_eq!(plan.blobs[0].blob, large);
    assert_eq!(plan.blobs[2].blob, small);
}

#[test]
fn a_manifest_is_rewritten_only_if_its_layers_change() {
    let packed = layer("packed", Compression::Gzip);
    assert_eq!(
        image_of(&[packed]).root(),
        (ManifestAction::Send, Reason::Missing)
    );
    let plain = layer("plain", PLAIN);
    assert_eq!(
        image_of(&[plain]).root(),
        (ManifestAction::Rewrite, Reason::LayersChanged)
    );
}

#[test]
fn a_repeat_has_nothing_to_do() {
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(&[layer("plain", PLAIN)]).knowing(0, &packed);
    let there = Manifest::image(&given.config, &[packed]).unwrap();
    let config = given.config.clone();
    let given = given
        .with(&config, Presence::Recorded)
        .standing(there.clone());
    assert_eq!(
        given.root().0,
        ManifestAction::Keep(there.descriptor().digest.clone())
    );
    assert!(given.plan().is_empty());
}

#[test]
fn a_manifest_of_another_tool_that_says_the_same_stays() {
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(&[layer("plain", PLAIN)]).knowing(0, &packed);
    let ours = Manifest::image(&given.config, &[packed]).unwrap();
    let mut text: serde_json::Value = serde_json::from_slice(ours.bytes()).unwrap();
    text["annotations"] = serde_json::json!({"made.by": "another"});
    let theirs = Manifest::of(text.to_string().into(), MediaType::OCI_MANIFEST.into()).unwrap();
    let given = given.standing(theirs.clone());
    assert_eq!(
        given.root(),
        (
            ManifestAction::Keep(theirs.descriptor().digest.clone()),
            Reason::SameImage
        )
    );
}

#[test]
fn a_manifest_that_is_there_without_its_name_is_named() {
    let packed = layer("packed", Compression::Gzip);
    let given = image_of(std::slice::from_ref(&packed));
    let (manifest, config) = (given.manifest(), given.config.clone());
    let given = given
        .with(&manifest, Presence::Recorded)
        .with(&config, Presence::Recorded)
        .with(&packed, Presence::Recorded);
    assert_eq!(given.root(), (ManifestAction::Name, Reason::NameMoves));
    assert!(!given.plan().is_empty());
    let own = given.survey.images[0].manifest.clone();
    assert!(given.standing(own).plan().is_empty());
}

#[test]
fn every_name_must_stand_for_the_same() {
    let packed = layer("packed", Compression::Gzip);
    let mut given = image_of(std::slice::from_ref(&packed));
    let own = given.survey.images[0].manifest.clone();
    let manifest = given.manifest();
    given = given.with(&manifest, Presence::Recorded);
    let other = Manifest::image(&given.config, &[]).unwrap();
    for second in [None, Some(stands(other))] {
        given.survey.current = vec![Some(stands(own.clone())), second];
        assert_eq!(given.root().0, ManifestAction::Name);
    }
    given.survey.current = vec![Some(stands(own.clone())), Some(stands(own))];
    assert!(matches!(given.root().0, ManifestAction::Keep(_)));
}

#[test]
fn without_a_name_it_is_enough_to_be_given_out() {
    let packed = layer("packed", Compression::Gzip);
    let mut given = image_of(std::slice::from_ref(&packed));
    let own = given.survey.images[0].manifest.clone();
    let manifest = given.manifest();
    given = given.with(&manifest, Presence::Recorded);
    given.survey.tags.clear();
    let other = Manifest::image(&given.config, &[]).unwrap();
    given.survey.current = vec![Some(stands(other.clone()))];
    assert_eq!(given.root().0, ManifestAction::Name);
    given.survey.current = vec![Some(stands(other)), None, Some(stands(own))];
    assert!(matches!(given.root().0, ManifestAction::Keep(_)));
}

#[test]
fn an_index_changes_with_its_images() {
    let mut given = image_of(&[layer("plain", PLAIN)]);
    let child = serde_json::to_string(&given.manifest()).unwrap();
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
    let index = Manifest::of(index.into(), MediaType::OCI_INDEX.into()).unwrap();
    given.survey.images.push(SurveyedImage {
        manifest: index.clone(),
        config: None,
    });
    assert_eq!(
        given.root(),
        (ManifestAction::Rewrite, Reason::ChildrenChanged)
    );

    // Once it is there in its new words, nothing is left to do.
    let packed = layer("packed", Compression::Gzip);
    let given = given.knowing(0, &packed);
    let image = Manifest::image(&given.config, &[packed]).unwrap();
    let by = BTreeMap::from([(given.manifest().digest, image.descriptor().clone())]);
    let there = index.with_replaced(&by).unwrap();
    let config = given.config.clone();
    let given = given.with(&config, Presence::Recorded).standing(there);
    assert!(
        !given.plan().is_empty(),
        "the image of the index is not there"
    );
    let given = given.with(image.descriptor(), Presence::Checked);
    assert!(given.plan().is_empty());
}

#[test]
fn a_foreign_layer_that_the_source_lacks_is_left_where_it_lives() {
    let mut foreign = layer("windows", Compression::Gzip);
    foreign.urls.push("https://example.org/windows".into());
    let mut given = image_of(std::slice::from_ref(&foreign));
    assert_eq!(
        given.decision(&foreign).0,
        BlobAction::Send,
        "the source has it"
    );
    given.survey.absent.push(foreign.clone());
    assert_eq!(
        given.decision(&foreign),
        (BlobAction::Leave, Reason::Foreign)
    );
}

#[test]
fn an_artifact_is_never_recompressed() {
    let mut given = image_of(&[layer("plain", PLAIN)]);
    let config = Descriptor::of("application/vnd.oci.empty.v1+json".into(), b"{}");
    let manifest = Manifest::image(&config, &given.layers).unwrap();
    given.survey.images[0].manifest = manifest;
    assert_eq!(given.decision(&given.layers[0].clone()).0, BlobAction::Send);
}

#[test]
fn a_config_that_lies_about_a_plain_layer_is_found_before_anything_moves() {
    let mut given = image_of(&[layer("plain", PLAIN)]);
    let other = format!(
        r#"{{"rootfs":{{"diff_ids":["{}"]}}}}"#,
        Digest::of(b"other")
    );
    given.survey.images[0].config = Some(Config::parse(other.as_bytes()).unwrap());
    assert_eq!(plan(&given.survey).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn dockers_manifests_have_no_word_for_zstd() {
    let mut docker = layer("plain", PLAIN);
    docker.media_type = "application/vnd.docker.image.rootfs.diff.tar".into();
    let given = image_of(&[docker]).asked_for(Compression::Zstd);
    assert_eq!(
        plan(&given.survey).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn totals_add_up() {
    let (packed, plain) = (layer("packed", Compression::Gzip), layer("plain!", PLAIN));
    let given = image_of(&[packed.clone(), plain.clone()]).with(&packed, Presence::Recorded);
    let totals = given.plan().totals();
    assert_eq!((totals.kept, totals.kept_bytes), (1, packed.size));
    assert_eq!(
        (totals.moving, totals.bytes),
        (2, plain.size + given.config.size)
    );
}

#[test]
fn a_place_of_plain_images_gets_every_layer_unpacked_and_no_artifacts() {
    let layers = [
        layer("one", Compression::Gzip),
        layer("two", Compression::None),
    ];
    let mut given = image_of(&layers).promising(Promise::Digest);
    given.survey.form = Form::PlainImages;
    let plan = plan(&given.survey).unwrap();
    let action = |layer: &Descriptor| {
        let step = plan.blobs.iter().find(|step| step.blob == *layer).unwrap();
        (step.action.clone(), step.because.clone())
    };
    let to = Coding::PLAIN;
    let packed = Reason::Packed(Compression::Gzip);
    assert_eq!(action(&layers[0]), (BlobAction::Recompress { to }, packed));
    assert_eq!(action(&layers[1]), (BlobAction::Send, Reason::Missing));

    given.survey.absent = vec![layers[0].clone()];
    let told = super::plan(&given.survey).unwrap_err().to_string();
    assert!(told.contains("lives at its URLs"), "{told}");
    let artifact = Descriptor::new("text/plain".into(), Digest::of(b"x"), 1);
    let mut given = image_of(&[artifact]);
    given.survey.form = Form::PlainImages;
    let told = super::plan(&given.survey).unwrap_err().to_string();
    assert!(told.contains("artifact"), "{told}");
}
