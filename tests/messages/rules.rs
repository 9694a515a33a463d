//! Every text is in a snapshot, so that none changes unseen, and keeps the rules of CONTRIBUTING.md.

use std::collections::{BTreeMap, BTreeSet};

use super::literals::{Literal, texts};

/// The layers of the architecture, each with a snapshot of its own; the first that fits counts.
const LAYERS: [&str; 7] = [
    "bin/imgcopy/skopeo",
    "bin",
    "sync",
    "copy",
    "inspect",
    "store",
    "image",
];

/// Where texts are not errors, or not our words.
const NO_ERRORS: [(&str, &str); 9] = [
    (
        "bin/imgcopy/skopeo",
        "skopeo's words, as scripts look for them",
    ),
    (
        "bin/imgcopy/login",
        "what `docker login` says, as scripts look for it",
    ),
    ("bin/imgcopy/tables", "tables for people"),
    ("sync/report/html", "a page"),
    ("sync/report/forecast", "a table for people"),
    ("sync/report/junit", "XML"),
    ("sync/report/metrics", "descriptions of metrics"),
    ("sync/watch/board", "descriptions of metrics"),
    ("sync/watch/counters", "descriptions of metrics"),
];

/// Words that other programs wrote or read.
const FOREIGN: [&str; 9] = [
    "Directory Transport Version: ",
    "Basic ",
    "Bearer ",
    "Name or service",
    "Name does not resolve",
    "Name has no usable",
    "No address associated",
    "unexpected EOF during chunk",
    "# ",
];

/// Texts may begin with these although they have a capital.
const PROPER: [&str; 3] = ["Docker", "Go", "HTTP"];

/// Words that say nothing or blame.
const NOISE: [&str; 9] = [
    "failed to ",
    "unable to",
    "error occurred",
    "oops",
    "please",
    "sorry",
    "unexpected",
    "illegal",
    "n't ",
];

#[test]
fn no_text_changes_unseen() {
    let mut layers: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for Literal { module, text, .. } in texts() {
        let layer = LAYERS.iter().find(|layer| module.starts_with(*layer));
        let modules = layers.entry(layer.unwrap_or(&"image")).or_default();
        modules.entry(module).or_default().insert(text);
    }
    for (layer, modules) in layers {
        let shown = modules.into_iter().map(|(module, texts)| {
            let texts: Vec<String> = texts.into_iter().map(|text| format!("  {text}")).collect();
            format!("{module}\n{}\n", texts.join("\n"))
        });
        let name = format!("texts-{}", layer.replace("bin/imgcopy/", ""));
        insta::assert_snapshot!(name, shown.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn errors_are_written_in_one_way() {
    let is_error = |text: &&Literal| {
        let is_other = NO_ERRORS
            .iter()
            .any(|(module, _)| text.module.starts_with(module));
        let is_foreign = FOREIGN.iter().any(|words| text.text.starts_with(words));
        !is_other && !is_foreign && !text.text.contains('⏎')
    };
    let all = texts();
    let complaints: Vec<String> = all
        .iter()
        .filter(is_error)
        .filter_map(|text| {
            let what = complaint(&text.text)?;
            Some(format!("{}: {what}: \"{}\"", text.module, text.text))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is wrong with a text, if something is.
fn complaint(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let word: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    let has_capital = text.starts_with(|c: char| c.is_uppercase());
    let is_acronym = word.len() > 1 && !word.contains(|c: char| c.is_lowercase());
    let wrong: [(bool, &str); 6] = [
        (
            has_capital && !is_acronym && !PROPER.contains(&word.as_str()),
            "it begins with a capital",
        ),
        (
            text.ends_with('.') && !text.ends_with("..."),
            "it ends with a stop",
        ),
        (
            text.ends_with('!') || text.contains("! "),
            "nobody is shouted at",
        ),
        (
            NOISE.iter().any(|noise| lower.contains(noise)),
            "it has words that say nothing",
        ),
        (
            text.contains(":?}"),
            "text from outside is shown by escape_debug, not as Rust writes it",
        ),
        (
            text.starts_with("invalid") && !text.contains(": "),
            "it does not say what would be valid",
        ),
    ];
    let found = wrong.into_iter().find(|(is_wrong, _)| *is_wrong);
    found.map(|(_, what)| what)
}

#[test]
fn the_rules_find_what_breaks_them() {
    for bad in [
        "Cannot read it",
        "cannot read it.",
        "it is done!",
        "failed to read it",
        "please read it",
        "it isn't there",
        "got {found:?} there",
        "got {:?} there",
        "invalid name {name}",
    ] {
        assert!(complaint(bad).is_some(), "{bad}");
    }
    for good in [
        "cannot read {name}: it is no file",
        "invalid name {name}: letters are allowed",
        "Docker schema 1 is not read",
        "HTTP_PROXY is not set",
        "write >= or != and a version",
        "and so on...",
        "{name} is missing",
    ] {
        assert_eq!(complaint(good), None, "{good}");
    }
}
