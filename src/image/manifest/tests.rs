use super::*;
use crate::image::Compression;

fn descriptor(content: &[u8], media_type: &str) -> String {
    serde_json::to_string(&Descriptor::of(media_type.into(), content)).unwrap()
}

fn of(text: &str, media_type: &str) -> Result<Manifest> {
    Manifest::of(Bytes::copy_from_slice(text.as_bytes()), media_type.into())
}

#[test]
fn bytes_are_kept_and_the_parts_are_seen() {
    let config = descriptor(b"c", MediaType::OCI_CONFIG);
    let layer = descriptor(b"l", MediaType::OCI_LAYER);
    let text = format!("{{ \"config\": {config},\n\"layers\": [{layer}], \"x\": 1 }}\n");
    let manifest = of(&text, MediaType::OCI_MANIFEST).unwrap();
    assert_eq!(&manifest.bytes()[..], text.as_bytes());
    assert_eq!(manifest.blobs().count(), 2);
    assert!(manifest.children().is_empty());
}

#[test]
fn s02_s03_the_descriptor_rules() {
    let named = Descriptor::of(MediaType::OCI_INDEX.into(), b"other");
    let bytes = Bytes::from_static(br#"{"manifests":[]}"#);
    assert_eq!(
        Manifest::parse(bytes, &named).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn s05_what_could_be_read_as_two_kinds_is_refused() {
    let config = descriptor(b"c", MediaType::OCI_CONFIG);
    let both = format!(r#"{{"config":{config},"layers":[],"manifests":[]}}"#);
    let index_with_layers = r#"{"manifests":[],"layers":[]}"#;
    let with_history = format!(r#"{{"config":{config},"layers":[],"history":[]}}"#);
    let says_index = format!(
        r#"{{"mediaType":"{}","config":{config}}}"#,
        MediaType::OCI_INDEX
    );
    for media_type in [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, ""] {
        for text in [&both, index_with_layers, &with_history, &says_index] {
            let error = of(text, media_type).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text} as {media_type}");
        }
    }
    assert!(of(r#"{"manifests":[]}"#, MediaType::OCI_MANIFEST).is_err());
    assert!(of(r#"{"manifests":[]}"#, "").is_ok());
}

#[test]
fn s14_schema_1_is_refused_by_name() {
    let text = r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#;
    for media_type in [
        "",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let error = of(text, media_type).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("schema 1"));
    }
}

#[test]
fn s17_s19_too_large_is_refused() {
    let padded = format!("{{\"manifests\":[]{}}}", " ".repeat(4 << 20));
    assert_eq!(of(&padded, "").unwrap_err().kind(), ErrorKind::Invalid);
    let entry = descriptor(b"c", MediaType::OCI_MANIFEST);
    let many = format!("{{\"manifests\":[{}]}}", vec![entry; 5000].join(","));
    assert!(of(&many, "").unwrap_err().to_string().contains("limit"));
}

#[test]
fn replacing_keeps_everything_else() {
    let layer = Descriptor::of(MediaType::OCI_LAYER.into(), b"plain");
    let packed = Descriptor::of(MediaType::oci_layer(Compression::Gzip), b"packed");
    let config = descriptor(b"c", MediaType::OCI_CONFIG);
    let text = format!(
        r#"{{"schemaVersion":2,"annotations":{{"k":"v"}},"config":{config},"layers":[{}],"new":true}}"#,
        serde_json::to_string(&layer).unwrap()
    );
    let by = BTreeMap::from([(layer.digest.clone(), packed.clone())]);
    let changed = of(&text, "").unwrap().with_replaced(&by).unwrap();
    assert_eq!(changed.as_image().unwrap().layers, [packed]);
    let text = std::str::from_utf8(changed.bytes()).unwrap();
    assert!(text.contains(r#""annotations":{"k":"v"}"#) && text.contains(r#""new":true"#));
}

#[test]
fn attestations_follow_their_image() {
    let old = Digest::of(b"old");
    let text = format!(
        r#"{{"manifests":[{{"digest":"{}","size":1,"annotations":{{"{ATTESTED}":"{old}"}}}}]}}"#,
        Digest::of(b"attestation")
    );
    let new = Descriptor::of(MediaType::OCI_MANIFEST.into(), b"new");
    let changed = of(&text, "")
        .unwrap()
        .with_replaced(&BTreeMap::from([(old, new.clone())]))
        .unwrap();
    assert_eq!(
        changed.children()[0].annotations[ATTESTED],
        new.digest.to_string()
    );
}

#[test]
fn only_an_index_has_entries_to_choose_from() {
    let entries: Vec<_> = [b"a", b"b", b"c"]
        .map(|content| descriptor(content, MediaType::OCI_MANIFEST))
        .to_vec();
    let text = format!(r#"{{"x":1,"manifests":[{}],"y":{{}}}}"#, entries.join(","));
    let index = of(&text, "").unwrap();
    let last = index.children()[2].clone();
    let kept = index.with_entries(&|entry| *entry == last).unwrap();
    let expected = format!(r#"{{"x":1,"manifests":[{}],"y":{{}}}}"#, entries[2]);
    assert_eq!(kept.bytes()[..], *expected.as_bytes());
    assert_ne!(kept.descriptor().digest, index.descriptor().digest);
    let config = descriptor(b"c", MediaType::OCI_CONFIG);
    let image = of(&format!(r#"{{"config":{config},"layers":[]}}"#), "").unwrap();
    let error = image.with_entries(&|_| true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
