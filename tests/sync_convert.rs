//! Files of other tools as `sync.yaml`: the pages about them are true, and what comes out loads.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use imgcopy::sync::config::{Config, Converted, Surroundings, Tool, convert, load};
use support::{imgcopy, tempdir};

/// A `sync.yaml` alone in the world, in which every variable and secret is set.
struct Alone(String);

impl Surroundings for Alone {
    fn variable(&self, _: &str) -> Option<String> {
        Some("set".into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path == Path::new("sync.yaml") {
            true => Ok(self.0.clone().into_bytes()),
            false => Ok(b"secret".to_vec()),
        }
    }

    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }
}

fn converted(tool: Tool, text: &str) -> Converted {
    convert(tool, Path::new("old.yaml"), text.as_bytes()).unwrap()
}

#[track_caller]
fn loaded(text: &str) -> Config {
    load(Path::new("sync.yaml"), &Alone(text.into()))
        .unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

/// The blocks of YAML in a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_string())
        .collect()
}

const PAGES: [(Tool, &str, &str); 3] = [
    (Tool::Regsync, "regsync", "from-regsync.md"),
    (Tool::Skopeo, "skopeo", "from-skopeo-sync.md"),
    (Tool::Dregsy, "dregsy", "from-dregsy.md"),
];

#[test]
fn the_pages_show_what_comes_out_and_it_loads() {
    for (tool, _, page) in PAGES {
        let blocks = blocks(page);
        let [theirs, ours] = &blocks[..] else {
            panic!("{page} has {} blocks", blocks.len());
        };
        assert_eq!(converted(tool, theirs).text, *ours, "{page}");
        assert!(!loaded(ours).entries.is_empty());
    }
}

#[test]
fn the_command_prints_the_file_and_warns() {
    let folder = tempdir();
    for (_, name, page) in PAGES {
        let blocks = blocks(page);
        let file = folder.path().join(name);
        std::fs::write(&file, &blocks[0]).unwrap();
        let file = file.display().to_string();
        let run = imgcopy(["config", "--from", name, &file]).ok();
        assert_eq!(run.stdout, blocks[1]);
        let warnings = run.stderr.lines().count();
        assert_eq!(warnings, run.stdout.matches("# not translated: ").count());
        assert_eq!(
            warnings,
            run.stderr.matches("warning: not translated: ").count()
        );
        // It is no file of the others.
        for (_, other, _) in PAGES.iter().filter(|(_, other, _)| *other != name) {
            let run = imgcopy(["config", "--from", other, &file]);
            assert_eq!(run.code, Some(64), "{name} as {other}: {}", run.stdout);
            assert!(run.stderr.contains("this is no file of"), "{}", run.stderr);
            assert_eq!(run.stdout, "");
        }
    }
    let missing: PathBuf = folder.path().join("none");
    let run = imgcopy([
        "config",
        "--from",
        "regsync",
        &missing.display().to_string(),
    ]);
    assert_eq!(run.code, Some(64));
}

#[test]
fn passwords_do_not_leave_the_old_file() {
    let regsync = "creds: [{registry: a.example, user: bob, pass: CANARY}]\n\
                   sync: [{source: a, target: b.example/a, type: image}]";
    let skopeo = "a.example: {images: {a: [x]}, credentials: {username: CANARY, password: CANARY}}";
    let dregsy = "tasks: [{source: {registry: a.example, auth: CANARY}, \
                  target: {registry: b.example}, mappings: [{from: a, tags: [x]}]}]";
    for (tool, text) in [
        (Tool::Regsync, regsync),
        (Tool::Skopeo, skopeo),
        (Tool::Dregsy, dregsy),
    ] {
        let made = converted(tool, text);
        assert!(!format!("{made:?}").contains("CANARY"), "{}", made.text);
        assert!(
            made.text.contains("imgcopy login a.example"),
            "{}",
            made.text
        );
        loaded(&made.text);
    }
}

/// What chooses tags and cannot be said here must not become every tag.
#[test]
fn a_choice_that_cannot_be_said_chooses_nothing() {
    let regsync = "sync: [{source: a.example/a, target: b.example/a, type: repository, \
                   tags: {allow: ['(?=x)']}}]";
    let skopeo = "a.example: {images-by-semver: {a: 'one - two'}}";
    let dregsy = "tasks: [{source: {registry: a.example}, target: {registry: b.example}, \
                  mappings: [{from: a, tags: ['regex: (?=x)']}]}]";
    for (tool, text) in [
        (Tool::Regsync, regsync),
        (Tool::Skopeo, skopeo),
        (Tool::Dregsy, dregsy),
    ] {
        let made = converted(tool, text);
        assert!(made.text.ends_with("images: []\n"), "{}", made.text);
        assert!(!made.left.is_empty());
    }
}

#[test]
fn regular_expressions_match_what_they_matched() {
    // Anywhere in the tag for skopeo and dregsy; from end to end for regsync.
    for (regex, fits, other) in [
        ("^v2", "v2.1", "xv2"),
        ("rc", "1-rc1", "1"),
        ("^a|b$", "xb", "xbx"),
        ("^v$", "v", "vv"),
    ] {
        let skopeo = format!("a.example: {{images-by-tag-regex: {{a: '{regex}'}}}}");
        let config = loaded(&converted(Tool::Skopeo, &skopeo).text);
        let tags = [fits, other].map(|tag| tag.parse().unwrap());
        let found = config.entries[0].tags.candidates(Some(&tags));
        let now = std::time::SystemTime::now();
        let chosen = config.entries[0].tags.choose(&found, now).unwrap();
        let chosen: Vec<_> = chosen.iter().map(|it| it.tag.clone().unwrap()).collect();
        assert_eq!(chosen, [fits.parse().unwrap()], "{regex}");
    }
    let regsync = "sync: [{source: a.example/a, target: b.example/a, type: repository, \
                   tags: {allow: ['v2', 'v3\\..*']}}]";
    let made = converted(Tool::Regsync, regsync).text;
    assert!(made.contains(r#"[v2, "/v3\\..*/"]"#), "{made}");
}

#[test]
fn a_note_is_one_line_whatever_the_file_says() {
    let text = "sync: [{source: \"a\\nimages: [b]\", target: b.example/a, type: \"x\\r\\n\"}]\n\"k\\n#\": 1";
    let made = converted(Tool::Regsync, text);
    assert!(made.left.len() >= 2);
    let notes = made.text.lines().filter(|line| line.starts_with("# "));
    assert_eq!(notes.count(), made.left.len(), "{}", made.text);
    loaded(&made.text);
}

#[test]
fn what_regsync_writes_as_templates_is_translated_or_left() {
    let text = r#"
creds:
  - {registry: a.example, user: "{{env \"A_USER\"}}", pass: "{{file \"/run/a\"}}", tls: disabled}
  - {registry: b.example, user: bob, pass: "{{ env \"B\" | toUpper }}"}
sync:
  - {source: a.example/one, target: "b.example/{{.Repo}}", type: repository}
  - {source: "a.example/two@sha256:1111111111111111111111111111111111111111111111111111111111111111",
     target: b.example/two, type: image, backup: "old-{{.Ref.Tag}}-{{time.Now.Format \"2006\"}}"}
"#;
    let made = converted(Tool::Regsync, text);
    assert!(made.text.contains("${A_USER}") && made.text.contains("${file:/run/a}"));
    assert!(
        made.text.contains("imgcopy login b.example"),
        "{}",
        made.text
    );
    assert!(made.text.contains("old-{tag}-{date}"), "{}", made.text);
    let config = loaded(&made.text);
    assert_eq!(config.entries.len(), 1, "{}", made.text);
    assert_eq!(config.entries[0].to[0].to_string(), "b.example/two:latest");
}
