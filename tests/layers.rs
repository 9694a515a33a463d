//! Architecture as a test: which module may use which, how long a file may be, and what no file
//! may hold. A rule that only stands in a document is broken within a month.
//!
//! The sources are read as text: comments and strings are blanked, `use` trees are spread out, and
//! every path that begins with `crate`, `super`, `self` or a child module is resolved, through
//! re-exports too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The top-level modules. Each may use only those to its right.
const ORDER: [&str; 7] = ["bin", "sync", "copy", "inspect", "store", "image", "error"];

/// What every part of `store` may use of its siblings.
const SHARED_IN_STORE: [&str; 2] = ["blob", "compress"];

/// Opens every kind of store by its reference, so it uses them all.
const OPENER: &str = "open";

/// Arrows between siblings in `store` that are meant: who, what, and why.
const STORE_EXCEPTIONS: [(&str, &[&str], &str); 1] = [(
    "archive",
    &["store", "oci_dir", "index"],
    "archives of Docker 25 and later hold an index.json like that of an OCI directory",
)];

/// The longest a source file may be, in lines. The guide is 300; files of tests are exempt.
const LINES: usize = 400;

/// Macros that print or stand for missing code. The binary prints through `render`.
const MACROS: [&str; 7] = [
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
    "todo",
    "unimplemented",
];

// The rules, on the real sources.

#[test]
fn a_module_uses_only_those_to_its_right() {
    nothing(&arrows_to_the_left(&real()));
}

#[test]
fn a_kind_of_store_does_not_know_the_others() {
    nothing(&arrows_between_stores(&real()));
}

#[test]
fn the_binary_uses_the_public_modules_and_its_own() {
    nothing(&foreign_to_the_binary(&real()));
}

#[test]
fn folders_do_not_use_each_other_in_a_circle() {
    nothing(&circles(&real()));
}

#[test]
fn no_file_is_too_long() {
    nothing(&too_long(&real()));
}

#[test]
fn the_library_does_not_print_and_leaves_nothing_to_do() {
    nothing(&forbidden_macros(&real()));
}

#[test]
fn nothing_is_unsafe() {
    nothing(&unsafe_files(&real()));
}

#[track_caller]
fn nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// A source file: its path below `src`, and its text.
struct File {
    path: String,
    text: String,
}

fn real() -> Vec<File> {
    fn visit(root: &Path, at: &Path, files: &mut Vec<File>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(root, &path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap();
                files.push(File {
                    path: below.to_str().unwrap().to_string(),
                    text: std::fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    visit(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 20, "the sources were not found");
    files
}

// The rules, as functions from sources to complaints.

fn arrows_to_the_left(files: &[File]) -> Vec<String> {
    let place = |module: &str| ORDER.iter().position(|it| *it == module);
    let mut complaints = Vec::new();
    for Arrow { file, from, to } in arrows(files) {
        // The root declares the modules and uses none.
        let Some(from) = from.first() else {
            continue;
        };
        let allowed = match (place(from), to.first().map(|top| place(top))) {
            (Some(here), Some(Some(there))) => here <= there,
            // Everything at once.
            (here, None) => here == Some(0),
            _ => false,
        };
        if !allowed {
            complaints.push(format!("{file}: {from} may not use {}", shown(&to)));
        }
    }
    complaints
}

fn shown(path: &[String]) -> String {
    match path.is_empty() {
        true => "the whole crate".to_string(),
        false => path.join("::"),
    }
}

fn arrows_between_stores(files: &[File]) -> Vec<String> {
    let parts: BTreeSet<Module> = modules(files)
        .into_iter()
        .filter(|module| module.len() == 2 && module[0] == "store")
        .collect();
    let part = |path: &[String]| {
        let module = path.get(..2)?;
        parts.contains(module).then(|| module[1].clone())
    };
    let mut complaints = Vec::new();
    for Arrow { file, from, to } in arrows(files) {
        let (Some(from), Some(used)) = (part(&from), part(&to)) else {
            continue;
        };
        let meant = |(who, what, _why): &(&str, &[&str], &str)| {
            *who == from
                && to
                    .iter()
                    .map(String::as_str)
                    .take(what.len())
                    .eq(what.iter().copied())
        };
        let allowed = from == used
            || from == OPENER
            || SHARED_IN_STORE.contains(&used.as_str())
            || STORE_EXCEPTIONS.iter().any(meant);
        if !allowed {
            complaints.push(format!(
                "{file}: store::{from} may not use {}",
                to.join("::")
            ));
        }
    }
    complaints
}

fn foreign_to_the_binary(files: &[File]) -> Vec<String> {
    let public = public_modules(files);
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("bin/")) {
        let code = code_only(&file.text);
        for Import { path, .. } in imports(&module_of(&file.path), &code) {
            if let [library, module, ..] = path.as_slice()
                && library == "imgcopy"
                && !public.contains(module)
            {
                complaints.push(format!("{}: {} is not public", file.path, path.join("::")));
            }
        }
        let borrowed = ["include", "path"].into_iter().filter(|word| {
            let tokens = tokens(&code);
            let marks = |pair: &[&str]| pair[0] == *word && matches!(pair[1], "!" | "=");
            tokens.windows(2).any(marks)
        });
        complaints
            .extend(borrowed.map(|word| format!("{}: {word} brings in other sources", file.path)));
    }
    complaints
}

/// Circles among the folders below each top-level module. A folder and the one that holds it are
/// one thing here: parents re-export their children, and children use what their parents define.
fn circles(files: &[File]) -> Vec<String> {
    let folders: BTreeSet<Module> = files
        .iter()
        .filter_map(|file| file.path.strip_suffix("/mod.rs"))
        .map(|folder| folder.split('/').map(String::from).collect())
        .collect();
    let folder_of = |path: &[String]| {
        let prefixes = (1..=path.len()).rev().map(|n| &path[..n]);
        prefixes.into_iter().find_map(|prefix| folders.get(prefix))
    };
    let mut uses: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for Arrow { from, to, .. } in arrows(files) {
        if let (Some(from), Some(to)) = (folder_of(&from), folder_of(&to)) {
            let nested = from.starts_with(to) || to.starts_with(from);
            if !nested && from[0] == to[0] {
                uses.entry(from).or_default().insert(to);
            }
        }
    }
    let reaches = |from: &Module, to: &Module| {
        let mut seen = BTreeSet::new();
        let mut left: Vec<&Module> = uses.get(from).into_iter().flatten().copied().collect();
        while let Some(next) = left.pop() {
            if seen.insert(next) {
                left.extend(uses.get(next).into_iter().flatten());
            }
        }
        seen.contains(to)
    };
    let in_circle = uses.keys().filter(|folder| reaches(folder, folder));
    in_circle
        .map(|folder| format!("{} is part of a circle", folder.join("::")))
        .collect()
}

fn too_long(files: &[File]) -> Vec<String> {
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    let long = files
        .iter()
        .filter(|file| !is_test(&file.path) && file.text.lines().count() > LINES);
    long.map(|file| {
        let lines = file.text.lines().count();
        format!("{}: {lines} lines, more than {LINES}", file.path)
    })
    .collect()
}

fn forbidden_macros(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with("bin/")) {
        let code = code_only(&file.text);
        for pair in tokens(&code).windows(2) {
            if MACROS.contains(&pair[0]) && pair[1] == "!" {
                complaints.push(format!("{}: {}!", file.path, pair[0]));
            }
        }
    }
    complaints
}

fn unsafe_files(files: &[File]) -> Vec<String> {
    let holds_unsafe = |file: &&File| tokens(&code_only(&file.text)).contains(&"unsafe");
    let found = files.iter().filter(holds_unsafe);
    found.map(|file| format!("{}: unsafe", file.path)).collect()
}

// From sources to arrows.

/// A module or an item, from the root of the crate: `["store", "oci_dir", "index"]`.
type Module = Vec<String>;

/// That one module uses another, or something in it.
struct Arrow {
    file: String,
    from: Module,
    to: Module,
}

/// What a file names: where, what, and what it calls it from then on.
struct Import {
    path: Module,
    /// The module that gets the name, and the name; `None` if it is a mere mention or a glob.
    alias: Option<Module>,
}

/// Every use of something of this crate, led to where it is defined.
fn arrows(files: &[File]) -> Vec<Arrow> {
    let modules = modules(files);
    let mut found = Vec::new();
    let mut names: BTreeMap<Module, Module> = BTreeMap::new();
    for file in files {
        let from = module_of(&file.path);
        for import in imports(&from, &code_only(&file.text)) {
            let Some(path) = inside(import.path, &modules) else {
                continue;
            };
            if let Some(alias) = import.alias {
                // A function may be called like its module, which then keeps the name.
                if !modules.contains(&alias) && alias != path {
                    names.insert(alias, path.clone());
                }
            }
            let (file, from) = (file.path.clone(), from.clone());
            found.push(Arrow {
                file,
                from,
                to: path,
            });
        }
    }
    for arrow in &mut found {
        arrow.to = origin(&arrow.to, &names);
    }
    found
}

/// The path as seen from this crate's root; `None` if it is in another crate.
fn inside(path: Module, modules: &BTreeSet<Module>) -> Option<Module> {
    match path.first().map(String::as_str) {
        Some("imgcopy") => Some(path[1..].to_vec()),
        Some(RELATIVE) => {
            let end = path.iter().rposition(|part| part == RELATIVE)?;
            let (base, rest) = (&path[1..end], &path[end + 1..]);
            let child = [base, &rest[..1]].concat();
            modules.contains(&child).then(|| [base, rest].concat())
        }
        _ => Some(path),
    }
}

/// Follows re-exports and imports until the path is where the thing is.
fn origin(path: &[String], names: &BTreeMap<Module, Module>) -> Module {
    let mut path = path.to_vec();
    for _ in 0..16 {
        let step = (1..=path.len()).find_map(|n| {
            let target = names.get(&path[..n])?;
            Some([target, &path[n..]].concat())
        });
        match step {
            Some(next) if next != path => path = next,
            _ => break,
        }
    }
    path
}

fn modules(files: &[File]) -> BTreeSet<Module> {
    files.iter().map(|file| module_of(&file.path)).collect()
}

/// The modules that `lib.rs` shows to everybody.
fn public_modules(files: &[File]) -> BTreeSet<String> {
    let root = files.iter().find(|file| file.path == "lib.rs");
    let code = root.map(|root| code_only(&root.text)).unwrap_or_default();
    let tokens = tokens(&code);
    let declared = tokens
        .windows(3)
        .filter(|three| three[0] == "pub" && three[1] == "mod");
    declared.map(|three| three[2].to_string()).collect()
}

/// `store/oci_dir/index.rs` is the module `store::oci_dir::index`; `lib.rs` is the root.
fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Module = path.split('/').map(String::from).collect();
    let last = parts.last().map(String::as_str);
    if matches!(last, Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Stands before and behind the module that a relative path is seen from.
const RELATIVE: &str = "?";

/// Everything that a file takes by `use`, and every path in it that begins at the crate, at itself
/// or at a parent.
fn imports(file: &[String], code: &str) -> Vec<Import> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    // Modules written inside the file, each with the number of braces around it.
    let mut inner: Vec<(&str, usize)> = Vec::new();
    let mut braces = 0;
    let mut at = 0;
    while at < tokens.len() {
        let here = || {
            let inner = inner.iter().map(|(name, _)| (*name).to_string());
            file.iter().cloned().chain(inner).collect::<Module>()
        };
        let word = |at: usize| tokens.get(at).copied().unwrap_or_default();
        match tokens[at] {
            "mod" if word(at + 2) == "{" => inner.push((word(at + 1), braces)),
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                inner.pop_if(|(_, around)| *around == braces);
            }
            // `use<>` says what a type captures.
            "use" if word(at + 1) != "<" => {
                let here = here();
                let mut spread = Vec::new();
                at = use_tree(&tokens, at + 1, &[], &mut spread);
                for (path, name) in spread {
                    let mut alias = here.clone();
                    alias.extend(name.clone());
                    found.push(Import {
                        path: absolute(&here, &path),
                        alias: name.map(|_| alias),
                    });
                }
            }
            "crate" | "super" | "self" | "imgcopy" if word(at + 1) == "::" => {
                let mut path = vec![tokens[at].to_string()];
                while word(at + 1) == "::" && is_word(word(at + 2)) {
                    path.push(word(at + 2).to_string());
                    at += 2;
                }
                found.push(Import {
                    path: absolute(&here(), &path),
                    alias: None,
                });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Spreads a `use` tree into paths, each with the name that it brings in. Returns where it ends.
fn use_tree(
    tokens: &[&str],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<(Module, Option<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).copied() {
            Some("::") => at += 1,
            Some("*") => {
                found.push((path, None));
                return at + 1;
            }
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = use_tree(tokens, at, &path, found);
                    at += usize::from(tokens.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some("as") => {
                let name = tokens.get(at + 1).copied().filter(|name| *name != "_");
                found.push((path, name.map(String::from)));
                return at + 2;
            }
            // At the end, `self` is the module itself.
            Some("self") if !path.is_empty() => at += 1,
            Some(word) if is_word(word) => {
                path.push(word.to_string());
                at += 1;
            }
            _ => {
                let name = path.last().cloned();
                found.push((path, name));
                return at;
            }
        }
    }
}

/// The path from the root. One that begins with neither a crate nor a parent is marked as seen from
/// `here`: whether it is a child or another crate depends on the modules that there are.
fn absolute(here: &[String], path: &[String]) -> Module {
    let mut base = here.to_vec();
    let mut rest = path;
    match path.first().map(String::as_str) {
        // A binary is a crate of its own: `bin/imgcopy`.
        Some("crate") if here.first().is_some_and(|top| top == "bin") => base.truncate(2),
        Some("crate") => base.clear(),
        Some("imgcopy") => return path.to_vec(),
        Some("self") => {}
        Some("super") => {
            base.pop();
            rest = &path[1..];
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
            return [&base, rest].concat();
        }
        _ => {
            let mark = [RELATIVE.to_string()];
            return [&mark, here, &mark, path].concat();
        }
    }
    base.extend_from_slice(&rest[1..]);
    base
}

// From text to words.

fn is_word(token: &str) -> bool {
    let first = token.bytes().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
}

/// Words, `::`, and every other mark by itself.
fn tokens(code: &str) -> Vec<&str> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if in_word(first) {
            rest.find(|c| !in_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(len);
        found.push(token);
        rest = after.trim_start();
    }
    found
}

/// The text without comments, and with nothing between quotes, so that words in them do not count.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest),
            'r' | 'b' if !after_word => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped > 0 {
            // What stood there still parts the words around it.
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// How long the comment is that begins here; comments may hold comments.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(text.len())
}

/// How long the string is that begins here.
fn quoted(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// How long the raw string is that begins here, or 0 if none does.
fn raw_string(text: &str) -> usize {
    let raw = text.strip_prefix('b').unwrap_or(text);
    let Some(raw) = raw.strip_prefix('r') else {
        return 0;
    };
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let Some(body) = raw[hashes..].strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    let body_ends = body.find(&end).map_or(body.len(), |at| at + end.len());
    text.len() - body.len() + body_ends
}

/// How long the character literal is that begins here, or 0 if it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            let end = chars.find(|(_, c)| *c == '\'');
            end.map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

// The rules themselves, on sources that break them.

fn sources(files: &[(&str, &str)]) -> Vec<File> {
    let file = |(path, text): &(&str, &str)| File {
        path: (*path).to_string(),
        text: (*text).to_string(),
    };
    files.iter().map(file).collect()
}

fn paths(module: &str, text: &str) -> Vec<String> {
    let found = imports(&module_of(module), &code_only(text));
    found.iter().map(|it| it.path.join("::")).collect()
}

#[test]
fn an_arrow_to_the_left_is_caught_however_it_is_written() {
    for text in [
        "use crate::copy::Job;",
        "use crate::{error::Result, copy::{self as verb}};",
        "pub use crate::copy as verb;",
        "fn f() { let _ = crate::copy::plan(); }",
        "use super::super::copy::Job;",
        "mod inner { use super::super::super::copy::Job; }",
        "#[cfg(test)] mod tests { fn f(_: crate::copy::Job) {} }",
        "use crate::copy::*;",
        "use crate\n    ::copy\n    ::Job;",
        "use crate::*;",
    ] {
        let files = sources(&[("store/blob.rs", text)]);
        assert_eq!(arrows_to_the_left(&files).len(), 1, "{text}");
    }
}

#[test]
fn an_arrow_to_the_right_is_none_of_them() {
    let files = sources(&[
        (
            "copy/plan.rs",
            "use super::Survey; use crate::store::Blob; use crate::error::Result;",
        ),
        ("sync/mod.rs", "use crate::copy::{copy, Job};"),
        (
            "bin/imgcopy/main.rs",
            "mod args; use args::Cli; use imgcopy::sync::run; use crate::args::Verb;",
        ),
        ("bin/imgcopy/args.rs", "use imgcopy::image::Name;"),
        (
            "store/mod.rs",
            "//! See crate::copy.\nconst S: &str = \"crate::copy::x\"; use std::io::Read;",
        ),
        ("lib.rs", "pub mod copy; pub mod store; pub use copy::Job;"),
    ]);
    nothing(&arrows_to_the_left(&files));
}

#[test]
fn an_arrow_that_hides_behind_a_reexport_is_caught() {
    let through_root = sources(&[
        ("lib.rs", "pub mod copy; pub use copy::Job as Work;"),
        ("copy/mod.rs", ""),
        ("image/mod.rs", "use crate::Work;"),
    ]);
    let complaints = arrows_to_the_left(&through_root);
    assert_eq!(complaints, ["image/mod.rs: image may not use copy::Job"]);

    let through_store = sources(&[
        ("store/mod.rs", "mod memory; pub use memory::Memory;"),
        ("store/memory.rs", ""),
        ("store/archive/mod.rs", "use crate::store::Memory;"),
    ]);
    let complaints = arrows_between_stores(&through_store);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
}

#[test]
fn a_module_that_is_not_in_the_order_is_caught() {
    let files = sources(&[("util/mod.rs", "use crate::error::Result;")]);
    assert_eq!(arrows_to_the_left(&files).len(), 1);
    let files = sources(&[("util/mod.rs", ""), ("image/mod.rs", "use crate::util::f;")]);
    assert_eq!(arrows_to_the_left(&files).len(), 1);
}

#[test]
fn stores_share_blobs_and_compression_and_nothing_else() {
    let store = |path, text| {
        let files = sources(&[
            ("store/mod.rs", "pub mod blob; use blob::Blob;"),
            ("store/blob/mod.rs", ""),
            ("store/compress.rs", ""),
            ("store/memory.rs", ""),
            ("store/open.rs", ""),
            ("store/oci_dir/mod.rs", ""),
            ("store/oci_dir/index.rs", ""),
            ("store/archive/mod.rs", ""),
            (path, text),
        ]);
        arrows_between_stores(&files).len()
    };
    assert_eq!(
        store(
            "store/archive/x.rs",
            "use super::super::{Blob, Source, compress::Coding};"
        ),
        0
    );
    assert_eq!(
        store("store/archive/x.rs", "use crate::store::oci_dir::index;"),
        0
    );
    assert_eq!(
        store("store/archive/x.rs", "use crate::store::oci_dir::OciDir;"),
        1
    );
    assert_eq!(
        store(
            "store/oci_dir/x.rs",
            "use crate::store::archive::DockerArchive;"
        ),
        1
    );
    assert_eq!(store("store/memory.rs", "use super::oci_dir::index;"), 1);
    assert_eq!(
        store("store/blob/x.rs", "use super::super::memory::Memory;"),
        1
    );
    assert_eq!(
        store(
            "store/open.rs",
            "use super::{archive::A, oci_dir::B, memory::C};"
        ),
        0
    );
}

#[test]
fn what_the_binary_may_not_see_is_caught() {
    let binary = |text| {
        let files = sources(&[
            ("lib.rs", "pub mod copy; mod secret;"),
            ("bin/imgcopy/main.rs", text),
        ]);
        foreign_to_the_binary(&files).len()
    };
    assert_eq!(binary("use imgcopy::copy::Job; use clap::Parser;"), 0);
    assert_eq!(binary("use imgcopy::secret::Key;"), 1);
    assert_eq!(binary("#[path = \"../../copy/plan.rs\"] mod plan;"), 1);
    assert_eq!(binary("include!(\"../../copy/plan.rs\");"), 1);
}

#[test]
fn a_circle_of_folders_is_caught() {
    let two = [
        ("store/blob/mod.rs", "use super::compress::Coding;"),
        ("store/mod.rs", "mod blob;"),
    ];
    let straight = sources(&[
        two[0],
        two[1],
        ("store/compress/mod.rs", "use super::Sink;"),
    ]);
    nothing(&circles(&straight));
    let round = sources(&[
        two[0],
        two[1],
        ("store/compress/mod.rs", "use super::blob::Blob;"),
    ]);
    assert_eq!(circles(&round).len(), 2);
}

#[test]
fn long_files_are_caught_unless_they_are_tests() {
    let long = "\n".repeat(LINES + 1);
    let exact = "\n".repeat(LINES);
    let files = sources(&[
        ("copy/plan.rs", &long),
        ("copy/survey.rs", &exact),
        ("copy/plan/tests.rs", &long),
    ]);
    assert_eq!(too_long(&files), ["copy/plan.rs: 401 lines, more than 400"]);
}

#[test]
fn macros_and_unsafe_are_caught_in_code_only() {
    let files = sources(&[
        (
            "error.rs",
            "fn f() { println!(\"x\"); todo ! () } // dbg!(1)",
        ),
        (
            "store/mod.rs",
            "/// println!\nfn print() { let eprintln = 1; }",
        ),
        ("bin/imgcopy/main.rs", "fn f() { println!() }"),
    ]);
    assert_eq!(
        forbidden_macros(&files),
        ["error.rs: println!", "error.rs: todo!"]
    );
    let files = sources(&[
        (
            "error.rs",
            "#![forbid(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";",
        ),
        ("bin/imgcopy/main.rs", "fn f() { unsafe { g() } }"),
    ]);
    assert_eq!(unsafe_files(&files), ["bin/imgcopy/main.rs: unsafe"]);
}

#[test]
fn use_trees_are_spread_out() {
    let text = "pub(super) use crate::{a::{self, B as C, d::*}, e}; fn f() -> impl A + use<> {}";
    let expected = ["a", "a::B", "a::d", "e"];
    assert_eq!(paths("store/mod.rs", text), expected);
    let text = "use super::super::x::{Y, z}; use self::w::V;";
    let expected = ["store::x::Y", "store::x::z", "store::a::b::w::V"];
    assert_eq!(paths("store/a/b.rs", text), expected);
}

#[test]
fn comments_strings_and_characters_do_not_count() {
    let text = r##"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        const A: &str = "crate::e \" crate::f";
        const B: &str = r#"crate::g " crate::h"#;
        const C: &[u8] = b"crate::i";
        const D: char = '"'; const E: char = '\''; const F: char = '\u{22}';
        fn f<'a>(x: &'a str) -> &'a str { crate::real::g(x) }
        const G: &str = "";
    "##;
    assert_eq!(paths("image/name.rs", text), ["real::g"]);
}
