use std::io::Write as _;

use tar::Header;

use super::*;
use crate::error::ErrorKind;

/// One header and its content, padded.
fn entry(kind: EntryType, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, name, "", content)
}

fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    let mut len = body.len() + 1;
    while len != body.len() + len.to_string().len() {
        len = body.len() + len.to_string().len();
    }
    format!("{len}{body}").into_bytes()
}

fn indexed(parts: &[Vec<u8>]) -> Result<TarIndex> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&parts.concat()).unwrap();
    TarIndex::of(&FileRange::whole(file).unwrap())
}

/// The problem that an archive of these entries has.
fn problem(parts: &[Vec<u8>]) -> String {
    let checked = indexed(parts).and_then(|mut index| index.check());
    checked.unwrap_err().to_string()
}

fn content(index: &TarIndex, name: &str) -> Option<String> {
    let bytes = index.read(name, 1 << 20).unwrap()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn files_are_found_by_any_spelling_of_their_name() {
    let parts = [file("./a/b", b"one"), file("c", b""), vec![0; 1024]];
    let index = indexed(&parts).unwrap();
    for name in ["a/b", "./a/b", "/a/b", "a//b", "a/x/../b"] {
        assert_eq!(content(&index, name).unwrap(), "one", "{name}");
    }
    assert_eq!(content(&index, "c").unwrap(), "");
    assert!(content(&index, "d").is_none());
}

#[test]
fn an_archive_may_lack_its_end_but_not_a_part() {
    let whole = [file("a", &[1; 600]), file("b", b"two")].concat();
    for cut in 0..whole.len() {
        let parts = [whole[..cut].to_vec()];
        match indexed(&parts) {
            // Between two entries nothing tells that there were more.
            Ok(_) => assert!(cut == 512 + 1024, "{cut}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }
    assert!(indexed(&[whole]).is_ok());
}

#[test]
fn links_lead_once_and_inside() {
    let parts = [
        file("one/layer.tar", b"layer"),
        entry(EntryType::Symlink, "two/layer.tar", "../one/layer.tar", b""),
        entry(EntryType::Symlink, "three/layer.tar", "/one/layer.tar", b""),
        entry(EntryType::Link, "four/layer.tar", "one/layer.tar", b""),
        entry(EntryType::Symlink, "far", "two/layer.tar", b""),
        entry(EntryType::Symlink, "loop", "loop", b""),
        entry(EntryType::Symlink, "dangling", "nowhere", b""),
        entry(EntryType::Fifo, "fifo", "", b""),
    ];
    let mut index = indexed(&parts).unwrap();
    index.check().unwrap();
    for name in ["two/layer.tar", "three/layer.tar", "four/layer.tar"] {
        assert_eq!(content(&index, name).unwrap(), "layer", "{name}");
    }
    for (name, why) in [
        ("far", "a link to a link"),
        ("loop", "a link to a link"),
        ("dangling", "which is not there"),
        ("fifo", "no file"),
    ] {
        assert!(
            index.file(name).unwrap_err().to_string().contains(why),
            "{name}"
        );
    }
}

#[test]
fn s50_names_and_links_that_leave_the_archive_are_refused() {
    for parts in [
        [file("../x", b"")],
        [file("a/../../x", b"")],
        [entry(EntryType::Symlink, "a/b", "../../x", b"")],
        [entry(EntryType::Link, "a/b", "../x", b"")],
    ] {
        assert!(problem(&parts).contains("leads out of the archive"));
    }
}

#[test]
fn s52_two_entries_of_one_name_are_one_or_refused() {
    let mut index = indexed(&[file("a", b"same"), file("./a", b"same")]).unwrap();
    index.check().unwrap();
    assert!(problem(&[file("a", b"one"), file("a", b"two")]).contains("two entries"));
    assert!(problem(&[file("a", b"one"), file("./a", b"longer")]).contains("two entries"));
    let link = entry(EntryType::Symlink, "a", "b", b"");
    assert!(problem(&[file("a", b"one"), link]).contains("two entries"));
}

#[test]
fn long_names_are_read_in_both_dialects() {
    let long = "d/".repeat(150) + "layer.tar";
    let gnu = [
        entry(
            EntryType::GNULongName,
            "././@LongLink",
            "",
            format!("{long}\0").as_bytes(),
        ),
        file("short", b"gnu"),
    ];
    assert_eq!(content(&indexed(&gnu).unwrap(), &long).unwrap(), "gnu");
    let pax = [
        entry(EntryType::XHeader, "x", "", &pax_record("path", &long)),
        file("short", b"pax"),
    ];
    assert_eq!(content(&indexed(&pax).unwrap(), &long).unwrap(), "pax");
    let link = [
        file("target", b"here"),
        entry(
            EntryType::XHeader,
            "x",
            "",
            &pax_record("linkpath", "target"),
        ),
        entry(EntryType::Symlink, "link", "elsewhere", b""),
        entry(EntryType::GNULongLink, "././@LongLink", "", b"target\0"),
        entry(EntryType::Symlink, "other", "elsewhere", b""),
    ];
    let index = indexed(&link).unwrap();
    assert_eq!(content(&index, "link").unwrap(), "here");
    assert_eq!(content(&index, "other").unwrap(), "here");
}

#[test]
fn s52_names_and_records_of_any_length_are_not_read() {
    let bomb = entry(
        EntryType::GNULongName,
        "././@LongLink",
        "",
        &vec![b'a'; 5000],
    );
    assert!(indexed(&[bomb]).unwrap_err().to_string().contains("limit"));
    let bomb = entry(EntryType::XHeader, "x", "", &vec![b'a'; (1 << 20) + 1]);
    assert!(indexed(&[bomb]).unwrap_err().to_string().contains("limit"));
}

#[test]
fn s51_headers_that_disagree_on_a_size_are_refused() {
    let with_pax = |size: &str| {
        let pax = entry(EntryType::XHeader, "x", "", &pax_record("size", size));
        indexed(&[pax, file("a", b"four"), file("b", b"next")])
    };
    assert!(with_pax("4").is_ok());
    assert!(
        with_pax("1024")
            .unwrap_err()
            .to_string()
            .contains("disagree")
    );
    assert!(with_pax("-1").unwrap_err().to_string().contains("PAX"));
    let mut header = entry(EntryType::Regular, "a", "", b"");
    header.extend_from_slice(&[b'z'; 512]);
    let pax = entry(EntryType::XHeader, "x", "", &pax_record("size", "512"));
    let index = indexed(&[pax, header, file("b", b"next")]).unwrap();
    assert_eq!(index.file("a").unwrap().unwrap().len(), 512);
    assert_eq!(content(&index, "b").unwrap(), "next");
}

#[test]
fn s51_a_damaged_pax_header_is_an_error() {
    for text in [&b"no record"[..], b"99 path=x\n", b"0 x=y\n"] {
        let pax = entry(EntryType::XHeader, "x", "", text);
        assert!(indexed(&[pax, file("a", b"")]).is_err(), "{text:?}");
    }
}

#[test]
fn s52_sparse_files_and_impossible_sizes_are_refused() {
    let sparse = entry(EntryType::GNUSparse, "a", "", b"");
    assert!(
        indexed(&[sparse])
            .unwrap_err()
            .to_string()
            .contains("sparse")
    );
    let pax = entry(
        EntryType::XHeader,
        "x",
        "",
        &pax_record("GNU.sparse.major", "1"),
    );
    assert!(
        indexed(&[pax, file("a", b"")])
            .unwrap_err()
            .to_string()
            .contains("sparse")
    );
    for field in [
        [0xff_u8; 12],
        [
            0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ] {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[0] = b'a';
        header.set_entry_type(EntryType::Regular);
        header.as_old_mut().size = field;
        header.set_cksum();
        let error = indexed(&[header.as_bytes().to_vec()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn what_is_no_tar_is_said_so() {
    let rubbish: Vec<u8> = (0..2048_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    assert!(
        indexed(&[rubbish])
            .unwrap_err()
            .to_string()
            .contains("no tar archive")
    );
    let mut damaged = [file("a", b"x"), file("b", b"y")].concat();
    damaged[1024] ^= 1;
    assert!(
        indexed(&[damaged])
            .unwrap_err()
            .to_string()
            .contains("byte 1024")
    );
    assert!(indexed(&[]).is_err());
}
