//! Archives that are cut, damaged or made to harm: refused, or read as everybody reads them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use serde_json::json;
use support::*;
use tar::EntryType;

#[test]
fn f86_a_cut_archive_is_refused_or_is_the_whole_image() {
    let sandbox = Sandbox::new();
    let plain = [
        "docker20/single.tar",
        "docker28/single.tar",
        "podman/docker-archive.tar",
    ];
    for name in plain {
        let whole = fs::read(fixture(name)).unwrap();
        let digest = sandbox.accepts(&whole);
        let odd = (1..whole.len()).step_by(3331);
        for cut in (0..whole.len()).step_by(512).chain(odd) {
            let copied = sandbox.copy(&whole[..cut]);
            if copied.is_err() {
                sandbox.is_bad(copied);
            } else {
                assert_eq!(sandbox.is_good(copied), digest, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn f86_a_cut_compressed_archive_is_refused() {
    let sandbox = Sandbox::new();
    for docker in ["docker20", "docker28"] {
        let digest = sandbox.accepts(&fs::read(fixture(&format!("{docker}/single.tar"))).unwrap());
        for packed in ["gz", "zst", "xz", "bz2"] {
            let whole = fs::read(fixture(&format!("{docker}/single.tar.{packed}"))).unwrap();
            assert_eq!(sandbox.accepts(&whole), digest);
            let last = whole.len() - 20..whole.len();
            for cut in (0..whole.len()).step_by(64).chain(last) {
                let copied = sandbox.copy(&whole[..cut]);
                let what = format!("{docker} as {packed} cut at {cut} of {}", whole.len());
                assert!(copied.is_err(), "{what} was copied");
                sandbox.is_bad(copied);
            }
        }
    }
}

/// An image with one layer, which `manifest.json` says is called `name`; it is yet to be added.
fn image_with_layer_at(name: &str, layer: &[u8]) -> Archive {
    let diff_id = format!("sha256:{}", sha256(layer));
    let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    image_of(&config.to_string(), &[name])
}

/// An image without its layers.
fn image_of(config: &str, layers: &[&str]) -> Archive {
    let list = json!([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": layers}]);
    let archive = Archive::new().file("config.json", config.as_bytes());
    archive.file("manifest.json", list.to_string().as_bytes())
}

#[test]
fn s50_names_that_lead_out_are_refused() {
    let sandbox = Sandbox::new();
    let digest = sandbox.accepts(&image(&[b"layer"], "a:1").bytes());
    for name in [
        "../x",
        "a/../../b",
        "../../../../../etc/x",
        "./../x",
        "/../x",
        "a/b/../../../c",
    ] {
        sandbox.refuses(&image(&[b"layer"], "a:1").file(name, b"x").bytes());
        sandbox.refuses(&image(&[b"layer"], "a:1").symlink("link", name).bytes());
        sandbox.refuses(&image(&[b"layer"], "a:1").hardlink("link", name).bytes());
        sandbox.refuses(&image_with_layer_at(name, b"layer").bytes());
        sandbox.refuses(
            &image_with_layer_at(name, b"layer")
                .file(name, b"layer")
                .bytes(),
        );
    }
    // Nothing is ever unpacked, so these are names like any other.
    let at = sandbox.at("planted").display().to_string();
    for name in ["a/../b", "/etc/x", &at, "a//b", "C:\\x", "\\..\\x"] {
        let archive = image(&[b"layer"], "a:1").file(name, b"x");
        assert_eq!(sandbox.accepts(&archive.bytes()), digest, "{name}");
    }
}

#[test]
fn s50_files_outside_are_never_read() {
    let sandbox = Sandbox::new();
    let secret = sandbox.at("secret").display().to_string();
    let content = fs::read(&secret).unwrap();
    let near = "../secret";
    for target in [secret.as_str(), near] {
        sandbox.refuses(&image_with_layer_at(target, &content).bytes());
        let layer = || image_with_layer_at("layer", &content);
        sandbox.refuses(&layer().symlink("layer", target).bytes());
        sandbox.refuses(&layer().hardlink("layer", target).bytes());
        let list = json!([{"Config": target, "Layers": []}]).to_string();
        sandbox.refuses(
            &Archive::new()
                .file("manifest.json", list.as_bytes())
                .bytes(),
        );
        sandbox.refuses(&Archive::new().symlink("manifest.json", target).bytes());
    }
}

#[test]
fn s50_links_are_followed_once_and_inside_only() {
    let sandbox = Sandbox::new();
    let at = |name: &str| image_with_layer_at(name, b"layer");
    let digest = sandbox.accepts(&at("layer").file("layer", b"layer").bytes());
    let there = || at("x/link").file("y/file", b"layer");
    for good in [
        there().symlink("x/link", "../y/file"),
        there().hardlink("x/link", "y/file"),
    ] {
        let copied = sandbox.accepts(&good.bytes());
        assert_eq!(copied, digest);
    }
    sandbox.refuses(&at("x").symlink("x", "x").bytes());
    sandbox.refuses(&at("x").hardlink("x", "x").bytes());
    sandbox.refuses(&at("x").symlink("x", "y").symlink("y", "x").bytes());
    sandbox.refuses(
        &at("x")
            .symlink("x", "y")
            .symlink("y", "z")
            .file("z", b"layer")
            .bytes(),
    );
    sandbox.refuses(
        &at("x")
            .hardlink("x", "y")
            .symlink("y", "z")
            .file("z", b"layer")
            .bytes(),
    );
    sandbox.refuses(&at("x").symlink("x", "not there").bytes());
    sandbox.refuses(
        &at("d/layer")
            .symlink("d", "e")
            .file("e/layer", b"layer")
            .bytes(),
    );
    sandbox.refuses(
        &Archive::new()
            .symlink("manifest.json", "config.json")
            .bytes(),
    );
    for kind in [
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Directory,
    ] {
        let mut archive = at("x");
        archive.entry(kind, "x", "", b"");
        sandbox.refuses(&archive.bytes());
    }
}

/// What is not what it is called, or not what the config says.
#[test]
fn s08_content_that_is_not_what_it_should_be_is_refused() {
    let sandbox = Sandbox::new();
    let good = image(&[b"the first layer", b"the second layer"], "a:1").bytes();
    sandbox.accepts(&good);
    let changed = |what: &[u8]| {
        let mut bytes = good.clone();
        let at = bytes
            .windows(what.len())
            .position(|part| part == what)
            .unwrap();
        bytes[at] ^= 1;
        bytes
    };
    assert!(
        sandbox
            .refuses(&changed(b"the second layer"))
            .contains("its bytes are")
    );
    assert!(
        sandbox
            .refuses(&changed(b"amd64"))
            .contains("not what it is called")
    );
    // Compressed layers are called by their digest, but must unpack to their DiffIds.
    let packed = |content: &[u8]| {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(content).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(content).unwrap();
        let zstd = zstd::encode_all(content, 1).unwrap();
        [
            gzip.finish().unwrap(),
            bzip2.finish().unwrap(),
            xz.finish().unwrap(),
            zstd,
        ]
    };
    for (good, bad) in packed(b"layer").iter().zip(&packed(b"LAYER")) {
        let at = || image_with_layer_at("layer", b"layer");
        sandbox.accepts(&at().file("layer", good).bytes());
        sandbox.refuses(&at().file("layer", bad).bytes());
        sandbox.refuses(&at().file("layer", &good[..good.len() - 1]).bytes());
        let mut damaged = good.clone();
        damaged[good.len() - 6] ^= 1;
        sandbox.refuses(&at().file("layer", &damaged).bytes());
    }
}

#[test]
fn s06_documents_that_go_reads_otherwise_are_refused() {
    let sandbox = Sandbox::new();
    let (diff_id, config) = (sha256(b"layer"), "config.json");
    let good_config = format!(r#"{{"rootfs":{{"diff_ids":["sha256:{diff_id}"]}}}}"#);
    let copy = |config_text: &str, list: &str| {
        let archive = Archive::new().file(config, config_text.as_bytes());
        archive
            .file("layer", b"layer")
            .file("manifest.json", list.as_bytes())
            .bytes()
    };
    let good_list = r#"[{"Config":"config.json","Layers":["layer"]}]"#;
    sandbox.accepts(&copy(&good_config, good_list));
    for list in [
        r#"[{"Config":"config.json","Layers":["layer"],"Layers":[]}]"#,
        r#"[{"Config":"config.json","Layers":["layer"],"layers":[]}]"#,
        r#"[{"Config":"config.json","Layers":["layer"],"\u004cayers":[]}]"#,
        r#"[{"config":"config.json","Layers":["layer"]}]"#,
        r#"[{"Config":"config.json","Config":"x","Layers":["layer"]}]"#,
        r#"[{"Config":"config.json","Layers":["layer"]}] []"#,
        r#"{"Config":"config.json","Layers":["layer"]}"#,
        r#"[{"Config":"config.json","Layers":["layer","layer"]}]"#,
        "",
        "[]",
    ] {
        sandbox.refuses(&copy(&good_config, list));
    }
    let ids = |ids: &str| format!(r#"{{"rootfs":{{"diff_ids":[{ids}]}}}}"#);
    for config in [
        good_config.replace("{\"rootfs", "{\"RootFS\":{},\"rootfs"),
        good_config.replace("{\"diff_ids", "{\"Diff_Ids\":[],\"diff_ids"),
        good_config.replace("{\"diff_ids", "{\"diff_ids\":[],\"diff_ids"),
        "[".repeat(1_000_000),
        // S-01, S-04, S-10: what DiffIds can be.
        ids(""),
        ids("\"sha256:../../../secret\""),
        ids(&format!("\"sha256:{}\"", diff_id.to_uppercase())),
        ids(&format!("\"md5:{diff_id}\"")),
        ids(&format!("\"sha512:{diff_id}\"")),
        ids(&vec![format!("\"sha256:{diff_id}\""); 1000].join(",")),
    ] {
        sandbox.refuses(&copy(&config, good_list));
    }
}

#[test]
fn s17_s18_s53_documents_over_their_limits_are_refused_unread() {
    let sandbox = Sandbox::new();
    let (config, spaces) = (r#"{"rootfs":{}}"#, " ".repeat(17 << 20));
    let list = r#"[{"Config":"config.json","Layers":[]}]"#;
    let copy = |config: &str, list: &str| {
        let archive = Archive::new().file("config.json", config.as_bytes());
        archive.file("manifest.json", list.as_bytes()).bytes()
    };
    sandbox.accepts(&copy(config, list));
    assert!(
        sandbox
            .refuses(&copy(&format!("{config}{spaces}"), list))
            .contains("limit")
    );
    assert!(
        sandbox
            .refuses(&copy(config, &format!("{list}{spaces}")))
            .contains("limit")
    );
    // A file with a hole: two gigabytes that nobody should read.
    let size = 2_u64 << 30;
    for name in ["manifest.json", "config.json"] {
        let path = sandbox.at("in/large.tar");
        let mut archive = Archive::new();
        if name == "config.json" {
            archive = archive.file("manifest.json", list.as_bytes());
        }
        let mut bytes = archive.file(name, b"").bytes();
        let at = bytes.len() - 1024 - 512;
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[at..at + 512]);
        header.set_size(size);
        header.set_cksum();
        bytes[at..at + 512].copy_from_slice(header.as_bytes());
        let file = fs::File::create(&path).unwrap();
        file.write_all_at(&bytes[..at + 512], 0).unwrap();
        file.set_len(at as u64 + 512 + size + 1024).unwrap();
        let args = [archive_at(&path), oci_at(&sandbox.at("out"), "a")];
        let run = run_within(command().args(args), Duration::from_secs(10)).fails(1);
        assert!(run.stderr.contains("over the limit"), "{}", run.stderr);
        assert!(!sandbox.at("out").exists());
    }
}

/// 1 GiB is free; beyond that, 200 times what was read.
#[test]
fn s22_an_archive_that_unpacks_to_too_much_is_refused() {
    let sandbox = Sandbox::new();
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 1030 << 20),
        &mut bomb,
    )
    .unwrap();
    assert!(
        sandbox
            .refuses(&bomb.finish().unwrap())
            .contains("200 times")
    );
}

#[test]
fn s22_what_would_need_gigabytes_of_memory_to_unpack_is_refused() {
    let sandbox = Sandbox::new();
    // An xz block whose dictionary is of 4 GiB.
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut xz, &[0; 4096]).unwrap();
    let mut xz = xz.finish().unwrap();
    let block = 12;
    let end = block + (usize::from(xz[block]) + 1) * 4 - 4;
    let filter = (block..end)
        .find(|at| xz[*at..*at + 2] == [0x21, 1])
        .unwrap();
    xz[filter + 2] = 40;
    let mut crc = flate2::Crc::new();
    crc.update(&xz[block..end]);
    xz[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
    // A zstd frame whose window is of 2 GiB: magic, no flags, the window, one raw block of 1 byte.
    let zstd = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3][..],
        &[(1 << 3) | 1, 0, 0, b'x'],
    ]
    .concat();
    for packed in [xz, zstd] {
        let told = sandbox.refuses(&packed);
        assert!(told.contains("cannot unpack it"), "{told}");
        let with_layer = image_with_layer_at("layer", b"x").file("layer", &packed);
        sandbox.refuses(&with_layer.bytes());
    }
}
