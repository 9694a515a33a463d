//! Tar files whose headers contradict each other or lie (S-51, S-52). What Go's `archive/tar`, and
//! so Docker, would read otherwise is refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::*;

/// A tar that is put together block by block.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    /// A header with any size field, and blocks of content.
    fn put(mut self, kind: u8, name: &str, size: Size, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o644);
        header.as_old_mut().size = match size {
            Size::Right => octal(content.len() as u64),
            Size::Says(size) => octal(size),
            Size::Bytes(bytes) => bytes,
        };
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.put(b'0', name, Size::Right, content)
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        self.put(b'x', "pax", Size::Right, &records)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

#[derive(Clone, Copy)]
enum Size {
    Right,
    Says(u64),
    Bytes([u8; 12]),
}

fn octal(size: u64) -> [u8; 12] {
    format!("{size:011o}\0").into_bytes().try_into().unwrap()
}

/// A PAX record, which begins with its own length.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..10_000_000)
        .find(|n: &usize| n.to_string().len() + rest.len() == *n)
        .unwrap();
    format!("{length}{rest}").into_bytes()
}

const LAYER: &[u8] = b"the files of the image";

/// An image without its list.
fn parts() -> Raw {
    Raw::default()
        .file("config.json", config().as_bytes())
        .file("layer", LAYER)
}

fn config() -> String {
    let diff_id = format!("sha256:{}", sha256(LAYER));
    json!({"rootfs": {"type": "layers", "diff_ids": [diff_id]}}).to_string()
}

fn list() -> Vec<u8> {
    json!([{"Config": "config.json", "Layers": ["layer"]}])
        .to_string()
        .into_bytes()
}

/// Another image of the same parts: none of its layers.
fn other_list() -> Vec<u8> {
    json!([{"Config": "empty.json", "Layers": []}])
        .to_string()
        .into_bytes()
}

#[test]
fn s51_a_pax_size_counts_where_the_header_has_none() {
    let sandbox = Sandbox::new();
    let digest = sandbox.accepts(&parts().file("manifest.json", &list()).end());
    // What looks like an archive inside is content: another list in it is not seen.
    let inside = Raw::default().file("manifest.json", &other_list()).end();
    let outer = |own: Size| {
        let size = inside.len().to_string();
        let raw = parts()
            .file("manifest.json", &list())
            .pax(&[("size", &size)]);
        raw.put(b'0', "inside.tar", own, &inside).end()
    };
    assert_eq!(sandbox.accepts(&outer(Size::Says(0))), digest);
    assert_eq!(sandbox.accepts(&outer(Size::Right)), digest);
    for size in [
        1,
        511,
        512,
        1024,
        inside.len() as u64 - 1,
        inside.len() as u64 + 1,
    ] {
        sandbox.refuses(&outer(Size::Says(size)));
    }
}

#[test]
fn s51_the_size_of_one_entry_is_not_taken_for_that_of_another_header() {
    let sandbox = Sandbox::new();
    // Go gives the PAX size to the file "cover", so that the list is inside of it. Who gives it to
    // the header between them takes "cover" for content, and the list for an entry.
    let list = [list(), vec![b' '; 512]].concat();
    let list = &list[..512];
    for between in [b'K', b'L'] {
        let raw = parts()
            .pax(&[("size", "512")])
            .put(between, "between", Size::Says(0), b"");
        let raw = raw.put(b'0', "cover", Size::Says(0), b"");
        sandbox.refuses(&raw.put(b'0', "manifest.json", Size::Right, list).end());
    }
}

#[test]
fn s51_a_pax_header_counts_for_one_entry_as_it_does_in_go() {
    let sandbox = Sandbox::new();
    let named = || parts().pax(&[("path", "manifest.json")]);
    sandbox.accepts(&named().file("other", &list()).end());
    // In the first three of these, Go calls the last entry "other" and so finds no list.
    let again = named().pax(&[("comment", "replaces the first one")]);
    let global = named().put(
        b'g',
        "global",
        Size::Right,
        &record("comment", "comes between"),
    );
    let gnu = parts().put(b'L', "././@LongLink", Size::Right, b"other\0");
    let gnu = gnu.pax(&[("path", "manifest.json")]);
    // Go takes an empty path for none, so it sees two lists here, and the last one counts.
    let two = parts()
        .file("empty.json", b"{}")
        .file("manifest.json", &list());
    let two = two
        .pax(&[("path", "")])
        .file("manifest.json", &other_list());
    assert_all_refused([
        (
            "a second PAX header".to_string(),
            again.file("other", &list()).end(),
        ),
        (
            "a global header between".to_string(),
            global.file("other", &list()).end(),
        ),
        (
            "a GNU long name before".to_string(),
            gnu.file("x", &list()).end(),
        ),
        ("an empty path".to_string(), two.end()),
    ]);
}

#[test]
fn s51_malformed_pax_headers_are_refused() {
    let sandbox = Sandbox::new();
    let with = |records: &[u8]| {
        let raw = parts()
            .file("manifest.json", &list())
            .put(b'x', "pax", Size::Right, records);
        raw.file("other", b"12345").end()
    };
    sandbox.accepts(&with(b"6 a=1\n"));
    sandbox.accepts(&with(b"10 size=5\n"));
    let hidden = [&b"6 a=1\n\n"[..], &record("path", "manifest.json")].concat();
    let bad: [&[u8]; 17] = [
        b"7 a=1\n",
        b"5 a=1\n",
        b"a=1\n",
        b"6 a=1",
        b"6 a 1\n",
        b"0 a=1\n",
        b"-6 a=1\n",
        b"99999999999999999999 a=1\n",
        b"6 a=1\n\0\0\0\0",
        b" 6 a=1\n",
        b"10 size=x\n",
        b"11 size=-5\n",
        b"11 size=5x\n",
        b"29 size=18446744073709551616\n",
        b"28 size=9223372036854775808\n",
        b"\n10 size=5\n",
        &hidden,
    ];
    let shown = |records: &[u8]| String::from_utf8_lossy(records).into_owned();
    assert_all_refused(bad.map(|records| (shown(records), with(records))));
}

/// Like [`Sandbox::refuses`] over many archives, telling of all that are not refused as bad.
#[track_caller]
fn assert_all_refused(archives: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let sandbox = Sandbox::new();
    let mut wrong = Vec::new();
    for (name, archive) in archives {
        match sandbox.copy(&archive) {
            Ok(_) => {
                wrong.push(format!("{name:?} was accepted"));
                std::fs::remove_dir_all(sandbox.at("out")).unwrap();
            }
            Err(error) if !error.is_bad_source() => {
                wrong.push(format!("{name:?} is {:?}: {}", error.kind(), told(&error)));
            }
            bad => drop(sandbox.is_bad(bad)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn s52_sizes_that_no_entry_can_have_are_refused() {
    let sandbox = Sandbox::new();
    let binary = |first: [u8; 4], last: i64| {
        let mut field = [0; 12];
        field[..4].copy_from_slice(&first);
        field[4..].copy_from_slice(&last.to_be_bytes());
        field
    };
    let plus = [0x80, 0, 0, 0];
    let with = |field: [u8; 12]| {
        let raw = parts().file("manifest.json", &list());
        raw.put(b'0', "other", Size::Bytes(field), b"content").end()
    };
    sandbox.accepts(&with(binary(plus, 7)));
    let (minus, past) = ([0xff; 4], [0x80, 0, 0, 1]);
    let lies = [
        (plus, i64::MIN),
        (plus, i64::MAX),
        (plus, 1 << 40),
        (plus, -1),
        (minus, -1),
        (minus, -512),
        // Who looks at the last eight bytes only takes these for 7.
        (minus, 7),
        (past, 7),
        ([0xc0, 0, 0, 0], 7),
    ];
    let lies = lies.map(|(first, last)| binary(first, last));
    let texts = [
        b"77777777777\0",
        b"-0000000007\0",
        b"0000000008x\0",
        b"not a size!\0",
    ];
    let all = lies.into_iter().chain(texts.map(|text| *text));
    assert_all_refused(all.map(|field| (format!("{field:02x?}"), with(field))));
}

#[test]
fn s52_sparse_files_are_refused() {
    let sandbox = Sandbox::new();
    let raw = || parts().file("manifest.json", &list());
    sandbox.refuses(&raw().put(b'S', "sparse", Size::Right, b"content").end());
    for key in [
        "GNU.sparse.major",
        "GNU.sparse.name",
        "GNU.sparse.size",
        "GNU.sparse.map",
    ] {
        sandbox.refuses(&raw().pax(&[(key, "1")]).file("sparse", b"content").end());
    }
    let hidden = parts()
        .pax(&[("GNU.sparse.name", "manifest.json")])
        .file("x", &list());
    sandbox.refuses(&hidden.end());
}

#[test]
fn s52_two_entries_of_one_name_are_refused_unless_they_are_equal() {
    let sandbox = Sandbox::new();
    let raw = || parts().file("empty.json", b"{}");
    let digest = sandbox.accepts(&raw().file("manifest.json", &list()).end());
    for name in [
        "manifest.json",
        "./manifest.json",
        "/manifest.json",
        "a/../manifest.json",
    ] {
        let twice = |second: &[u8]| {
            raw()
                .file("manifest.json", &list())
                .file(name, second)
                .end()
        };
        assert_eq!(sandbox.accepts(&twice(&list())), digest);
        sandbox.refuses(&twice(&other_list()));
        sandbox.refuses(&twice(b""));
        let link = raw()
            .file("manifest.json", &list())
            .put(b'2', name, Size::Right, b"");
        sandbox.refuses(&link.end());
    }
    let layers = raw()
        .file("manifest.json", &list())
        .file("layer", b"the files of the OTHER");
    sandbox.refuses(&layers.end());
}

#[test]
fn s52_names_that_are_too_long_are_refused_unread() {
    let sandbox = Sandbox::new();
    let raw = || parts().file("manifest.json", &list());
    let name = |n: usize| "x/".repeat(n / 2);
    let gnu = |kind, n| raw().put(kind, "././@LongLink", Size::Right, name(n).as_bytes());
    let pax = |key: &str, n| raw().pax(&[(key, &name(n))]);
    for kind in [b'L', b'K'] {
        sandbox.accepts(&gnu(kind, 4000).file("x", b"").end());
        sandbox.refuses(&gnu(kind, 5000).file("x", b"").end());
        sandbox.refuses(&gnu(kind, 3 << 20).file("x", b"").end());
        // A name of a gigabyte, which is not there at all.
        sandbox.refuses(&raw().put(kind, "name", Size::Says(1 << 30), b"x").end());
    }
    for key in ["path", "linkpath"] {
        sandbox.accepts(&pax(key, 4000).file("x", b"").end());
        sandbox.refuses(&pax(key, 2 << 20).file("x", b"").end());
        let long = pax(key, 5000).put(b'2', "x", Size::Right, b"").end();
        assert_all_refused([(key.to_string(), long)]);
    }
    // One entry of many names: readers need not agree on which counts.
    let many = (0..2000).fold(raw(), |raw, _| {
        raw.put(b'L', "././@LongLink", Size::Right, name(4000).as_bytes())
    });
    sandbox.refuses(&many.file("x", b"").end());
}

#[test]
fn s52_what_follows_the_end_of_an_archive_is_not_read() {
    let sandbox = Sandbox::new();
    let whole = parts().file("manifest.json", &list()).end();
    let digest = sandbox.accepts(&whole);
    let more = Raw::default()
        .file("empty.json", b"{}")
        .file("manifest.json", &other_list())
        .end();
    for garbage in [
        noise(1, 5000),
        vec![0; 100_001],
        b"x".to_vec(),
        more.clone(),
    ] {
        assert_eq!(sandbox.accepts(&[whole.clone(), garbage].concat()), digest);
    }
    // Without the two empty blocks that mark the end, it is in the middle.
    let open = &whole[..whole.len() - 1024];
    for garbage in [noise(1, 5000), noise(2, 512), b"x".to_vec()] {
        sandbox.refuses(&[open, &garbage].concat());
    }
    // One empty block is no end: it is a hole, and Go says so.
    sandbox.refuses(&[open, &[0; 512], &more].concat());
}

#[test]
fn s46_what_is_told_of_an_archive_has_no_control_characters() {
    let sandbox = Sandbox::new();
    let nasty = "\u{1b}[31m\r\n::error::\u{202e}x";
    let size = Size::Bytes(*b"\x1b[31m\r\nabc\0\0");
    let with = |name: &str| parts().file(name, b"x");
    for archive in [
        parts().put(b'0', "other", size, b"").end(),
        with(nasty)
            .file(nasty, b"y")
            .file("manifest.json", &list())
            .end(),
        with(&format!("../{nasty}"))
            .file("manifest.json", &list())
            .end(),
        with("x")
            .file(
                "manifest.json",
                json!([{"Config": nasty}]).to_string().as_bytes(),
            )
            .end(),
        with("x")
            .file(
                "manifest.json",
                json!([{ nasty: 1, "config": 1 }]).to_string().as_bytes(),
            )
            .end(),
    ] {
        let told = told(&sandbox.copy(&archive).unwrap_err());
        assert!(
            !told.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{told:?}"
        );
    }
}
