use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::image::Digest;

fn of(content: &'static [u8]) -> Blob {
    let descriptor = Descriptor::of("application/octet-stream".into(), content);
    Blob::memory(descriptor, Bytes::from_static(content))
}

fn layer(content: &[u8], compression: Compression) -> Blob {
    let descriptor = Descriptor::of(MediaType::oci_layer(compression), content);
    Blob::memory(descriptor, Bytes::copy_from_slice(content))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(plain).unwrap();
    to.finish().unwrap()
}

/// Pours a blob and says what came out before the end.
fn poured(blob: Blob) -> (Result<Receipt>, Vec<u8>) {
    let mut out = Vec::new();
    let receipt = blob.pour(&mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    });
    (receipt, out)
}

fn in_file(content: &[u8], offset: u64, len: u64) -> FileRange {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    FileRange {
        file: Arc::new(file),
        offset,
        len,
    }
}

#[test]
fn what_is_right_passes() {
    for content in [&b""[..], b"x", b"hello"] {
        let (receipt, out) = poured(of(content));
        assert_eq!(receipt.unwrap().descriptor.digest, Digest::of(content));
        assert_eq!(out, content);
    }
}

#[test]
fn s12_the_piece_that_completes_a_wrong_blob_is_never_handed_on() {
    let content = vec![7_u8; 3 * PIECE];
    let mut descriptor = Descriptor::of("".into(), &content);
    descriptor.digest = Digest::of(b"something else");
    let (receipt, out) = poured(Blob::memory(descriptor, content.clone().into()));
    assert_eq!(receipt.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(
        out.len() < content.len(),
        "{} of {}",
        out.len(),
        content.len()
    );
}

#[test]
fn s09_a_longer_or_shorter_blob_fails_at_its_size() {
    for wrong in [2_u64, 4, 6, 1 << 40] {
        let mut descriptor = Descriptor::of("".into(), b"hello");
        descriptor.size = wrong;
        let (receipt, out) = poured(Blob::memory(descriptor, Bytes::from_static(b"hello")));
        assert_eq!(receipt.unwrap_err().kind(), ErrorKind::Corrupt, "{wrong}");
        assert!(out.len() <= 5);
    }
    let mut empty = Descriptor::of("".into(), b"");
    empty.digest = Digest::of(b"not empty");
    assert!(poured(Blob::memory(empty, Bytes::new())).0.is_err());
}

#[test]
fn s04_sha512_is_checked_by_sha512() {
    let digest = Digest::by(Algorithm::Sha512, b"hello");
    let descriptor = Descriptor::new("".into(), digest, 5);
    assert!(
        poured(Blob::memory(
            descriptor.clone(),
            Bytes::from_static(b"hello")
        ))
        .0
        .is_ok()
    );
    assert!(
        poured(Blob::memory(descriptor, Bytes::from_static(b"jello")))
            .0
            .is_err()
    );
}

#[test]
fn any_split_of_the_reading_gives_the_same() {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let range = in_file(
        &[b"before".as_slice(), &content, b"behind"].concat(),
        6,
        400_000,
    );
    let descriptor = Descriptor::of("".into(), &content);
    let (receipt, out) = poured(Blob::file(descriptor, range));
    assert!(receipt.is_ok() && out == content);
}

#[test]
fn f87_a_file_that_shrinks_while_it_is_read_is_noticed() {
    let range = in_file(b"hell", 0, 5);
    let descriptor = Descriptor::of("".into(), b"hello");
    assert_eq!(
        poured(Blob::file(descriptor, range)).0.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn a_compressed_layer_is_checked_against_its_diff_id_before_it_is_complete() {
    let packed = gzip(b"the files");
    let blob = layer(&packed, Compression::Gzip);
    let (receipt, out) = poured(blob.clone().unpacking_to(Digest::of(b"the files")));
    assert_eq!(receipt.unwrap().diff_id, Some(Digest::of(b"the files")));
    assert_eq!(out, packed);
    let (receipt, out) = poured(blob.unpacking_to(Digest::of(b"other files")));
    assert_eq!(receipt.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(out.len() < packed.len());
}

#[test]
fn a_layer_that_is_not_what_its_type_says_is_refused() {
    let plain = layer(b"a plain tar, it seems", Compression::Gzip);
    let (receipt, out) = poured(plain);
    assert_eq!(receipt.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(out.is_empty());
}

#[test]
fn recompressing_checks_what_goes_in_and_names_what_comes_out() {
    let workers = Arc::new(Workers::start(NonZeroUsize::MIN).unwrap());
    let plain = vec![5_u8; 2_500_000];
    let zstd = Coding::new(Compression::Zstd, None).unwrap();
    for (stored, from) in [
        (plain.clone(), Compression::None),
        (gzip(&plain), Compression::Gzip),
    ] {
        let blob = layer(&stored, from).unpacking_to(Digest::of(&plain));
        let (receipt, out) = poured(blob.recompressed(zstd, Arc::clone(&workers)).unwrap());
        let receipt = receipt.unwrap();
        assert_eq!(
            receipt.descriptor,
            Descriptor::of(MediaType::oci_layer(Compression::Zstd), &out)
        );
        assert_eq!(receipt.diff_id, Some(Digest::of(&plain)));
        assert_eq!(zstd::stream::decode_all(out.as_slice()).unwrap(), plain);
        let wrong =
            layer(&stored, from).read_from(in_file(&vec![1; stored.len()], 0, stored.len() as u64));
        assert!(
            poured(wrong.recompressed(zstd, Arc::clone(&workers)).unwrap())
                .0
                .is_err()
        );
    }
    assert!(of(b"no layer").recompressed(zstd, workers).is_err());
}

#[test]
fn recompressing_a_wrong_layer_never_hands_on_its_end() {
    let workers = Arc::new(Workers::start(NonZeroUsize::MIN).unwrap());
    let plain = vec![5_u8; 2 << 20];
    let blob = layer(&gzip(&plain), Compression::Gzip).unpacking_to(Digest::of(b"other"));
    let none = Coding::new(Compression::None, None).unwrap();
    let (receipt, out) = poured(blob.recompressed(none, workers).unwrap());
    assert_eq!(receipt.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(out.len() < plain.len());
}

#[test]
fn a_watcher_hears_of_every_byte_once() {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let watch = move |bytes| {
        count.fetch_add(bytes, Ordering::Relaxed);
    };
    let content = vec![1_u8; 3_000_000];
    let blob = layer(&content, Compression::None).watched(Arc::new(watch));
    poured(blob).0.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 3_000_000);
}

#[tokio::test]
async fn what_is_too_large_for_memory_is_not_read() {
    assert_eq!(
        of(b"hello").bytes(4).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(of(b"hello").bytes(5).await.unwrap(), "hello");
}
