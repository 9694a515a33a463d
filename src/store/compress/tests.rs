use std::io::Read as _;
use std::num::NonZeroUsize;

use super::*;
use crate::image::Digest;

/// Bytes that compress somewhat, the same every time.
fn sample(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state & 0x0f0f_0f0f_ff00_0000).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn packed(plain: &[u8], to: Coding, threads: usize) -> Vec<u8> {
    let workers = Workers::start(NonZeroUsize::new(threads).unwrap()).unwrap();
    let mut out = Vec::new();
    encode(plain, to, &workers, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    out
}

fn unpacked(packed: &[u8], compression: Compression) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder(packed, compression)
        .unwrap()
        .read_to_end(&mut plain)?;
    Ok(plain)
}

fn all_codings() -> Vec<Coding> {
    let of = |compression, level| Coding::new(compression, Some(level)).unwrap();
    vec![
        Coding::GZIP,
        of(Compression::Gzip, 12),
        of(Compression::Zstd, 2),
        of(Compression::Zstd, 19),
        Coding::new(Compression::None, None).unwrap(),
    ]
}

#[test]
fn everything_comes_back_whatever_its_length() {
    for len in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let plain = sample(len);
        for to in all_codings() {
            let packed = packed(&plain, to, 3);
            assert_eq!(
                Compression::sniff(&packed),
                if len == 0 && to.compression() == Compression::None {
                    Compression::None
                } else {
                    to.compression()
                }
            );
            assert!(
                unpacked(&packed, to.compression()).unwrap() == plain,
                "{to}, {len} bytes"
            );
        }
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let plain = sample(5 << 20);
    for to in all_codings() {
        let digests: Vec<Digest> = [1, 2, 8]
            .map(|threads| Digest::of(&packed(&plain, to, threads)))
            .into();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{to}");
    }
}

#[test]
fn neither_does_how_the_input_is_cut() {
    /// Gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8]);
    impl std::io::Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = buffer.len().min(7777);
            self.0.read(&mut buffer[..n])
        }
    }
    let plain = sample(2_500_000);
    let whole = packed(&plain, Coding::GZIP, 2);
    let workers = Workers::start(NonZeroUsize::MIN).unwrap();
    let mut out = Vec::new();
    let taken = encode(Dribble(&plain), Coding::GZIP, &workers, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    });
    taken.unwrap();
    assert!(out == whole);
}

#[test]
fn the_fast_level_stores_what_would_hardly_shrink() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(1 << 20)
    .collect();
    let fast = packed(&noise, Coding::GZIP, 1);
    assert!(fast.len() > noise.len() && fast.len() < noise.len() + 1000);
    assert!(unpacked(&fast, Compression::Gzip).unwrap() == noise);
    let text = sample(1 << 20);
    assert!(packed(&text, Coding::GZIP, 1).len() < text.len());
    let mixed = [noise, text].concat();
    assert!(unpacked(&packed(&mixed, Coding::GZIP, 2), Compression::Gzip).unwrap() == mixed);
}

#[test]
fn many_layers_share_few_hands_and_nobody_waits_for_ever() {
    let workers = Workers::start(NonZeroUsize::MIN).unwrap();
    let plain = sample(4 << 20);
    let expected = packed(&plain, Coding::GZIP, 1);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut out = Vec::new();
                let taken = encode(plain.as_slice(), Coding::GZIP, &workers, &mut |piece| {
                    out.extend_from_slice(piece);
                    Ok(())
                });
                taken.unwrap();
                assert!(out == expected);
            });
        }
    });
}

#[test]
fn a_layer_that_fails_gives_its_room_back() {
    let workers = Workers::start(NonZeroUsize::MIN).unwrap();
    let plain = sample(8 << 20);
    for _ in 0..20 {
        let failed = encode(plain.as_slice(), Coding::GZIP, &workers, &mut |_| {
            Err(Error::new(ErrorKind::NoSpace, "full"))
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NoSpace);
    }
    let mut pieces = 0;
    let taken = encode(plain.as_slice(), Coding::GZIP, &workers, &mut |_| {
        pieces += 1;
        Ok(())
    });
    taken.unwrap();
    assert_eq!(pieces, 8);
}

#[test]
fn s07_damage_and_rubbish_behind_the_end_are_errors() {
    let plain = sample(100_000);
    let with = |compression| packed(&plain, Coding::new(compression, None).unwrap(), 1);
    let mut rubbish = with(Compression::Gzip);
    rubbish.extend_from_slice(b"rubbish behind the end");
    assert!(unpacked(&rubbish, Compression::Gzip).is_err());
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = with(compression);
        assert!(
            unpacked(&whole[..whole.len() / 2], compression).is_err(),
            "cut {compression}"
        );
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        assert!(
            unpacked(&flipped, compression).is_err(),
            "flipped {compression}"
        );
    }
}

#[test]
fn only_real_levels_and_methods_are_taken() {
    let kind = |compression, level| Coding::new(compression, level).unwrap_err().kind();
    assert_eq!(kind(Compression::Gzip, Some(0)), ErrorKind::Invalid);
    assert_eq!(kind(Compression::Gzip, Some(13)), ErrorKind::Invalid);
    assert_eq!(kind(Compression::Zstd, Some(20)), ErrorKind::Invalid);
    assert_eq!(kind(Compression::None, Some(1)), ErrorKind::Invalid);
    assert_eq!(kind(Compression::Xz, None), ErrorKind::Unsupported);
}
