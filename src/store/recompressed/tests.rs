use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::image::{Compression, MediaType};

fn content(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn made(name: &str) -> Descriptor {
    Descriptor::of(MediaType::default(), name.as_bytes())
}

fn zstd() -> Coding {
    Coding::new(Compression::Zstd, None).unwrap()
}

fn place(name: &str) -> Repository {
    name.parse().unwrap()
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("recompressed")
}

#[test]
fn what_is_noted_is_known_to_the_next_run_by_each_of_its_names() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("a/b");
    let here = Recompressed::open(&folder).unwrap();
    assert!(!folder.exists(), "nothing to write, nothing made");
    let (packed, plain) = (content("packed"), content("plain"));
    let both = [packed.clone(), plain.clone()];
    let at = place("r.example/x");
    here.note(&both, zstd(), &made("zstd"), Some(&at)).unwrap();
    let size = here.extent().unwrap().bytes;
    here.note(&both, zstd(), &made("zstd"), Some(&at)).unwrap();
    let other = place("r.example/y");
    here.note(&both, zstd(), &made("zstd"), Some(&other))
        .unwrap();
    assert!(here.extent().unwrap().bytes > size);
    let next = Recompressed::open(&folder).unwrap();
    for of in [&packed, &plain] {
        let found = next.find(of, zstd()).unwrap();
        assert_eq!(found.digest, made("zstd").digest);
        assert_eq!(found.size, 4);
        assert_eq!(found.places, [at.clone(), other.clone()]);
    }
    assert_eq!(next.find(&packed, Coding::GZIP), None);
    let harder = Coding::new(Compression::Zstd, Some(9)).unwrap();
    assert_eq!(next.find(&packed, harder), None);
    assert_eq!(next.extent().unwrap().entries, 2);
    let mode = file_in(&folder).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    Recompressed::clear(&folder).unwrap();
    let cleared = Recompressed::open(&folder).unwrap().extent().unwrap();
    assert_eq!((cleared.entries, cleared.bytes), (0, 0));
}

#[test]
fn what_is_known_is_not_written_again() {
    let home = tempfile::tempdir().unwrap();
    let here = Recompressed::open(home.path()).unwrap();
    let note = || here.note(&[content("a")], Coding::GZIP, &made("b"), None);
    note().unwrap();
    let size = here.extent().unwrap().bytes;
    note().unwrap();
    assert_eq!(here.extent().unwrap().bytes, size);
}

#[test]
fn a_damaged_line_counts_for_nothing_and_spoils_no_other() {
    let home = tempfile::tempdir().unwrap();
    let here = Recompressed::open(home.path()).unwrap();
    for name in ["a", "b", "c"] {
        here.note(&[content(name)], zstd(), &made(name), None)
            .unwrap();
    }
    let file = file_in(home.path());
    let text = std::fs::read_to_string(&file).unwrap();
    let knows = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let next = Recompressed::open(home.path()).unwrap();
        ["a", "b", "c"].map(|name| next.find(&content(name), zstd()).is_some())
    };
    assert_eq!(knows(&text), [true; 3]);
    let line = text.lines().find(|line| !line.is_empty()).unwrap();
    let size_of_another = text.replacen(line, &line.replacen(" 1 ", " 2 ", 1), 1);
    assert_ne!(size_of_another, text);
    assert_eq!(knows(&size_of_another), [false, true, true]);
    // What a crash leaves of a line, and what is added after it.
    let cut = text.trim_end().len() - 3;
    assert_eq!(knows(&text[..cut]), [true, true, false]);
    here.note(&[content("d")], zstd(), &made("d"), None)
        .unwrap();
    let next = Recompressed::open(home.path()).unwrap();
    assert!(next.find(&content("d"), zstd()).is_some());
    assert_eq!(knows(&format!("\0\u{7}{line}\n{text}")), [true; 3]);
    // Other compressors would make something else.
    let mut other = text.clone();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let told = line.rsplit_once(' ').unwrap().0.replacen("1 ", "2 ", 1);
        let check: String = Digest::of(told.as_bytes()).hex().chars().take(16).collect();
        other = other.replace(line, &format!("{told} {check}"));
    }
    assert_eq!(knows(&other), [false; 3]);
}

#[test]
fn the_newest_of_contradictions_counts() {
    let home = tempfile::tempdir().unwrap();
    let here = Recompressed::open(home.path()).unwrap();
    for name in ["old", "new"] {
        here.note(&[content("a")], zstd(), &made(name), None)
            .unwrap();
    }
    let next = Recompressed::open(home.path()).unwrap();
    let found = next.find(&content("a"), zstd()).unwrap();
    assert_eq!(found.digest, made("new").digest);
}

#[test]
fn a_file_that_others_can_write_is_not_believed_and_a_link_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let here = Recompressed::open(home.path()).unwrap();
    here.note(&[content("a")], zstd(), &made("b"), None)
        .unwrap();
    let file = file_in(home.path());
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    mode(0o620).unwrap();
    let error = Recompressed::open(home.path()).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Denied);
    here.note(&[content("c")], zstd(), &made("d"), None)
        .unwrap_err();
    mode(0o644).unwrap();
    assert!(Recompressed::open(home.path()).is_ok());
    let moved = home.path().join("elsewhere");
    std::fs::rename(&file, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();
    Recompressed::open(home.path()).unwrap_err();
    here.note(&[content("e")], zstd(), &made("f"), None)
        .unwrap_err();
}

#[test]
fn many_writers_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let folder = &folder;
            scope.spawn(move || {
                let here = Recompressed::open(folder).unwrap();
                for line in 0..20 {
                    let name = format!("{writer}-{line}");
                    here.note(&[content(&name)], zstd(), &made(&name), None)
                        .unwrap();
                }
            });
        }
    });
    let all = Recompressed::open(&folder).unwrap().extent().unwrap();
    assert_eq!(all.entries, 160);
}

#[test]
fn the_file_stays_small_and_the_newest_stays() {
    let home = tempfile::tempdir().unwrap();
    let here = Recompressed::open(home.path()).unwrap();
    here.note(&[content("a")], zstd(), &made("a"), None)
        .unwrap();
    let file = file_in(home.path());
    let line = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, line.repeat(5 << 20 >> 7)).unwrap();
    assert!(here.extent().unwrap().bytes > 4 << 20);
    here.note(&[content("b")], zstd(), &made("b"), None)
        .unwrap();
    let next = Recompressed::open(home.path()).unwrap();
    let all = next.extent().unwrap();
    assert!(all.bytes < 2 << 20, "{all:?}");
    assert!(next.find(&content("b"), zstd()).is_some());
    assert!(next.find(&content("a"), zstd()).is_some());
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
