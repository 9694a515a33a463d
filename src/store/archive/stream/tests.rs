use std::io::Write as _;

use async_trait::async_trait;

use super::*;
use crate::store::blob::FileRange;

/// Takes layers and keeps nothing.
struct Nobody;

#[async_trait]
impl Taker for Nobody {
    async fn take(&self, layer: Passing) -> Result<Passed> {
        blocking(move || layer.pour(&mut |_| Ok(()))).await
    }
}

fn walked(bytes: &[u8]) -> Result<TarIndex> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let from = Cursor::new(bytes.to_vec());
    runtime.block_on(walk(from, &Nobody))
}

fn indexed(bytes: &[u8]) -> Result<TarIndex> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    TarIndex::of(&FileRange::whole(file).unwrap())
}

/// What an archive has under each of these names, or why it has nothing.
fn shown(index: Result<TarIndex>) -> std::result::Result<Vec<String>, String> {
    let mut index = index.map_err(|error| error.to_string())?;
    index.check().map_err(|error| error.to_string())?;
    let long = "long/".repeat(30) + "name";
    let names = ["layer.tar", "list.json", "link", &long, "other"];
    let show = |name: &str| match index.file(name) {
        Err(error) => error.to_string(),
        Ok(None) => "nothing".to_string(),
        Ok(Some(body)) => format!("{} {}", body.len(), digest(&body)),
    };
    Ok(names.into_iter().map(show).collect())
}

fn digest(body: &Body) -> Digest {
    match body {
        Body::Gone(gone) => gone.as_ref().as_ref().unwrap().came.digest.clone(),
        Body::Here(range) => {
            let mut bytes = Vec::new();
            range.reader().read_to_end(&mut bytes).unwrap();
            Digest::of(&bytes)
        }
    }
}

fn sample() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
    };
    add("layer.tar", &[7; 1500]);
    add("list.json", b"  [{\"a\": 1}]");
    add(&("long/".repeat(30) + "name"), &[8; 700]);
    add("layer.tar", &[7; 1500]);
    let mut link = Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "link", "layer.tar").unwrap();
    tar.into_inner().unwrap()
}

#[test]
fn a_stream_is_read_as_a_file_is() {
    let whole = sample();
    let read = shown(walked(&whole));
    assert_eq!(read, shown(indexed(&whole)));
    assert_eq!(read.unwrap()[0], format!("1500 {}", Digest::of(&[7; 1500])));
}

#[test]
fn f86_a_stream_that_is_cut_is_refused_as_a_file_is() {
    let whole = sample();
    for len in (0..whole.len())
        .step_by(37)
        .chain((0..whole.len()).step_by(512))
    {
        let cut = &whole[..len];
        assert_eq!(shown(walked(cut)), shown(indexed(cut)), "{len} bytes");
    }
}

#[test]
fn s51_a_damaged_stream_is_read_as_a_file_is() {
    let whole = sample();
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x11;
        assert_eq!(
            shown(walked(&damaged)),
            shown(indexed(&damaged)),
            "byte {at}"
        );
    }
}

#[test]
fn what_follows_the_end_is_read_too() {
    struct Told(Cursor<Vec<u8>>, Arc<Mutex<bool>>);
    impl Read for Told {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buffer)?;
            *locked(&self.1) |= n == 0;
            Ok(n)
        }
    }
    let is_at_end = Arc::default();
    let bytes = [sample(), vec![0; 100_000]].concat();
    let from = Told(Cursor::new(bytes), Arc::clone(&is_at_end));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(walk(from, &Nobody)).unwrap();
    assert!(*locked(&is_at_end));
}

#[test]
fn json_is_a_document_and_a_tar_whose_file_is_called_so_is_a_layer() {
    assert!(is_document(b" \n{\"a\":1}"));
    assert!(is_document(b"[]"));
    assert!(!is_document(b"\x1f\x8b\x08"));
    let mut block = Header::new_gnu();
    block.set_path("{json}").unwrap();
    block.set_size(0);
    block.set_cksum();
    assert!(!is_document(block.as_bytes()));
}

#[test]
fn digests_are_read_from_names() {
    let hex = "a".repeat(64);
    let long = "b".repeat(128);
    for name in ["blobs/sha256/", "", "x/", "sha256:"] {
        for end in ["", ".tar", ".tar.gz", ".json"] {
            let found = named(&format!("{name}{hex}{end}")).unwrap();
            assert_eq!(found.to_string(), format!("sha256:{hex}"));
        }
    }
    let found = named(&format!("blobs/sha512/{long}")).unwrap();
    assert_eq!(found.algorithm(), Algorithm::Sha512);
    assert!(named("1/layer.tar").is_none());
}
