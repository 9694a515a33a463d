//! The Dockerfile. To build it needs a network, so here it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::scene::read;

/// Instructions and their arguments; lines that end with a backslash go on.
fn instructions() -> Vec<(String, Vec<String>)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            let rest = rest.split_whitespace().map(str::to_string).collect();
            (word.to_string(), rest)
        })
        .collect()
}

#[test]
fn everything_that_it_copies_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stages = Vec::new();
    let mut copied = 0;
    for (word, args) in instructions() {
        match (word.as_str(), args.as_slice()) {
            ("FROM", [_, _, name]) => stages.push(name.clone()),
            ("COPY", [from, ..]) if from.starts_with("--from=") => {
                let stage = from.trim_start_matches("--from=").to_string();
                assert!(stages.contains(&stage), "{stage}");
            }
            ("COPY", [sources @ .., _]) => {
                for source in sources {
                    assert!(root.join(source).exists(), "{source}");
                    copied += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!(copied, 3);
}

#[test]
fn it_is_built_by_the_oldest_rust_that_is_promised() {
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let rust = manifest["package"]["rust-version"].as_str().unwrap();
    let first = instructions().into_iter().find(|(word, _)| word == "FROM");
    assert_eq!(first.unwrap().1[0], format!("rust:{rust}-alpine"));
}

#[test]
fn nothing_but_the_binary_runs_and_not_as_root() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|(word, _)| word == "FROM");
    let (last, rest) = instructions[last.unwrap()..].split_first().unwrap();
    assert_eq!(last.1, ["scratch"]);
    let rest: BTreeMap<&str, &Vec<String>> = rest
        .iter()
        .map(|(word, args)| (word.as_str(), args))
        .collect();
    assert_eq!(rest["USER"], &["65532:65532"]);
    assert_eq!(rest["ENTRYPOINT"], &["[\"/imgcopy\"]"]);
    assert!(!rest.contains_key("RUN"), "there is no shell");
}

/// What the sources include at build time must be among what is copied.
#[test]
fn the_sources_include_nothing_from_outside() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut included = Vec::new();
    visit(&src, &mut included);
    assert!(!included.is_empty(), "the report's page has a style sheet");
    let src = src.canonicalize().unwrap();
    included.retain(|file| !file.canonicalize().unwrap().starts_with(&src));
    assert_eq!(included, Vec::<PathBuf>::new());
}

/// Every file that a source includes, but for tests.
fn visit(directory: &Path, included: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            visit(&path, included);
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let files = text.split("include_str!(\"").skip(1);
        let files = files.chain(text.split("include_bytes!(\"").skip(1));
        let files = files.filter_map(|rest| rest.split('"').next());
        included.extend(files.map(|file| directory.join(file)));
    }
}
