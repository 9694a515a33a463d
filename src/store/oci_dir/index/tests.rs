use super::*;

fn image(content: &str) -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST.into(), content.as_bytes())
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn put_all(steps: &[(&str, &str)]) -> Vec<u8> {
    steps.iter().fold(Vec::new(), |text, (content, name)| {
        let before = (!text.is_empty()).then_some(text.as_slice());
        let after = with_image(before, &image(content), &[tag(name)]).unwrap();
        after.unwrap_or(text)
    })
}

#[test]
fn a_tag_moves_and_everything_else_stays() {
    let text = put_all(&[("one", "a"), ("two", "b"), ("three", "a")]);
    let entries = entries(&text).unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|it| (it.ref_name().unwrap(), it.digest.clone()))
        .collect();
    assert_eq!(
        seen,
        [("a", image("three").digest), ("b", image("two").digest)]
    );
}

#[test]
fn r13_one_digest_keeps_both_its_tags() {
    let text = put_all(&[("one", "a"), ("one", "b")]);
    assert_eq!(entries(&text).unwrap().len(), 2);
}

#[test]
fn what_is_so_already_is_not_written_again() {
    let text = put_all(&[("one", "a")]);
    assert!(
        with_image(Some(&text), &image("one"), &[tag("a")])
            .unwrap()
            .is_none()
    );
    assert!(
        with_image(Some(&text), &image("one"), &[])
            .unwrap()
            .is_none()
    );
    assert!(
        with_image(Some(&text), &image("two"), &[])
            .unwrap()
            .is_some()
    );
}

#[test]
fn unknown_fields_and_annotations_survive() {
    let own = serde_json::to_value(image("own")).unwrap();
    let text = json!({"schemaVersion": 2, "x": [1], "manifests": [
        {"mediaType": own["mediaType"], "digest": own["digest"], "size": own["size"],
         "platform": {"os": "linux", "architecture": "s390x"}, "annotations": {REF_NAME: "own", "k": "v"}},
        {"mediaType": own["mediaType"], "digest": own["digest"], "size": own["size"],
         "annotations": {REF_NAME: "own"}}
    ]});
    let text = serde_json::to_vec(&text).unwrap();
    let after = with_image(Some(&text), &image("new"), &[tag("new")])
        .unwrap()
        .unwrap();
    let after = String::from_utf8(after).unwrap();
    assert!(
        after.contains("s390x") && after.contains(r#""k":"v""#) && after.contains(r#""x":[1]"#)
    );
    let moved = with_image(Some(after.as_bytes()), &image("new"), &[tag("own")])
        .unwrap()
        .unwrap();
    assert_eq!(
        entries(&moved).unwrap().len(),
        2,
        "two entries of one tag become one"
    );
}

#[test]
fn an_empty_or_null_list_is_filled() {
    for text in [
        r#"{"schemaVersion":2,"manifests":null}"#,
        r#"{"schemaVersion":2}"#,
    ] {
        let after = with_image(Some(text.as_bytes()), &image("one"), &[tag("a")]).unwrap();
        assert_eq!(entries(&after.unwrap()).unwrap().len(), 1);
    }
}

#[test]
fn several_images_and_no_choice_lists_them() {
    let text = put_all(&[("one", "a"), ("two", "b")]);
    let entries = entries(&text).unwrap();
    let error = find(&entries, &Name::Sole, "oci:x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert_eq!(error.to_string(), "oci:x holds 2 images, choose one: a, b");
    assert!(
        find(&entries, &Name::Tag(tag("c")), "oci:x")
            .unwrap()
            .is_none()
    );
    assert_eq!(
        find(&entries, &Name::At(1), "oci:x")
            .unwrap()
            .unwrap()
            .digest,
        image("two").digest
    );
}

#[test]
fn a_layout_is_of_a_version_that_is_known() {
    let checked = |text: &str| check_marker(text.as_bytes());
    checked(r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    checked(r#"{"imageLayoutVersion":"1.1.0","x":1}"#).unwrap();
    for (text, kind) in [
        (r#"{"imageLayoutVersion":"2.0.0"}"#, ErrorKind::Unsupported),
        (r#"{"imageLayoutVersion":"10.0"}"#, ErrorKind::Unsupported),
        (r#"{"imageLayoutVersion":1}"#, ErrorKind::Invalid),
        (r#"{"ImageLayoutVersion":"1.0.0"}"#, ErrorKind::Invalid),
        ("{}", ErrorKind::Invalid),
        ("", ErrorKind::Invalid),
    ] {
        assert_eq!(checked(text).unwrap_err().kind(), kind, "{text}");
    }
}

#[test]
fn a_digest_that_no_entry_names_is_looked_for_below() {
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    let digest = Digest::of(&bytes);
    let name = Name::Digest(digest.clone());
    let found = resolve(&[], &name, "here", |_| Ok(Some(bytes.clone()))).unwrap();
    assert_eq!(found.unwrap().digest, digest);
    assert!(resolve(&[], &name, "here", |_| Ok(None)).unwrap().is_none());
    let other = resolve(&[], &name, "here", |_| Ok(Some(b"{}".to_vec())));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Corrupt);
    let by_tag = Name::Tag(tag("a"));
    let asked = resolve(&[], &by_tag, "here", |_| panic!("a tag names no file"));
    assert!(asked.unwrap().is_none());
}
