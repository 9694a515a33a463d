//! The seeds of `fuzz/`, as they are, changed at random, and put together from words of the dictionaries.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use super::*;

/// Where the seeds are.
fn fuzz() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let why = "fuzz/ is in a checkout and not in the package: there, leave out `fuzzing::tests`";
    assert!(folder.is_dir(), "{why}");
    folder
}

/// The seeds of a target, in the order of their names.
fn seeds(folder: &Path, target: &str) -> Vec<Vec<u8>> {
    let listed = fs::read_dir(folder.join("corpus").join(target)).unwrap();
    let mut paths: Vec<PathBuf> = listed.map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The words of a target's dictionary, which is written as libFuzzer reads it.
fn words(folder: &Path, target: &str) -> Vec<Vec<u8>> {
    let path = folder.join("dict").join(format!("{target}.dict"));
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(word).collect()
}

fn word(line: &str) -> Vec<u8> {
    let inner = line.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
    let mut word = Vec::new();
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'\\').then(|| bytes.next().unwrap());
        match escaped {
            None => word.push(byte),
            Some(b'x') => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                let hex = std::str::from_utf8(&hex).unwrap();
                word.push(u8::from_str_radix(hex, 16).unwrap());
            }
            Some(other) => word.push(other),
        }
    }
    word
}

/// What is done to a seed.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let ends = |one: &Index, other: &Index| {
            let (one, other) = (one.index(bytes.len() + 1), other.index(bytes.len() + 1));
            one.min(other)..one.max(other)
        };
        match self {
            Self::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Set(..) => {}
            Self::Cut(one, other) => drop(bytes.drain(ends(one, other))),
            Self::Insert(at, word) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, word.iter().copied());
            }
            Self::Repeat(one, other) => {
                let range = ends(one, other);
                let part = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, part);
            }
        }
    }
}

fn inputs(seeds: Vec<Vec<u8>>, words: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let word = select(words);
    let change = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<(Index, Index)>().prop_map(|(one, other)| Change::Cut(one, other)),
        4 => (any::<Index>(), word.clone()).prop_map(|(at, word)| Change::Insert(at, word)),
        1 => any::<(Index, Index)>().prop_map(|(one, other)| Change::Repeat(one, other)),
    ];
    let changed = (select(seeds), vec(change, 0..6)).prop_map(|(mut bytes, changes)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    });
    let made = vec(prop_oneof![4 => word, 1 => vec(any::<u8>(), 0..4)], 0..20);
    prop_oneof![3 => changed, 1 => made.prop_map(|words| words.concat())]
}

/// Seeds first, then what becomes of them: as many as `PROPTEST_CASES` says.
fn holds(target: &str) {
    let folder = fuzz();
    let body = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let seeds = seeds(&folder, target);
    for seed in &seeds {
        body(seed);
    }
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let inputs = inputs(seeds, words(&folder, target));
    let held = TestRunner::new(config).run(&inputs, |mut bytes| {
        body(&bytes);
        if target == "archive" {
            with_checksums(&mut bytes);
            body(&bytes);
        }
        Ok(())
    });
    held.unwrap();
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                holds(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_tried_and_has_its_files() {
            let tried = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), tried);
            let folder = fuzz();
            for name in tried {
                assert!(folder.join(format!("targets/{name}.rs")).is_file(), "{name}");
                assert!(!words(&folder, name).is_empty());
                assert!(!seeds(&folder, name).is_empty());
            }
        }
    };
}

targets! {
    archive auth_file digest link location manifest reference refusal registries_conf retry_after
    www_authenticate yaml
}
