//! The rules, as functions from sources to complaints.

use std::collections::{BTreeMap, BTreeSet};

use super::arrows::*;
use super::words::*;
use super::*;

pub(super) fn arrows_to_the_left(files: &[File]) -> Vec<String> {
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

pub(super) fn shown(path: &[String]) -> String {
    match path.is_empty() {
        true => "the whole crate".to_string(),
        false => path.join("::"),
    }
}

pub(super) fn arrows_between_stores(files: &[File]) -> Vec<String> {
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

pub(super) fn foreign_to_the_binary(files: &[File]) -> Vec<String> {
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
        let tokens = tokens(&code);
        // `include!(..)` and `#[path = ..]`.
        let forms: [(&str, &[&str]); 2] = [
            ("include", &["include", "!"]),
            ("path", &["[", "path", "="]),
        ];
        let borrowed = forms.into_iter().filter_map(|(word, form)| {
            let mut found = tokens.windows(form.len());
            found.any(|window| window == form).then_some(word)
        });
        complaints
            .extend(borrowed.map(|word| format!("{}: {word} brings in other sources", file.path)));
    }
    complaints
}

/// Circles among the folders below each top-level module. A folder and the one that holds it are
/// one thing here: parents re-export their children, and children use what their parents define.
pub(super) fn circles(files: &[File]) -> Vec<String> {
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

pub(super) fn too_long(files: &[File]) -> Vec<String> {
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

pub(super) fn forbidden_macros(files: &[File]) -> Vec<String> {
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

pub(super) fn unsafe_files(files: &[File]) -> Vec<String> {
    let holds_unsafe = |file: &&File| tokens(&code_only(&file.text)).contains(&"unsafe");
    let found = files.iter().filter(holds_unsafe);
    found.map(|file| format!("{}: unsafe", file.path)).collect()
}
