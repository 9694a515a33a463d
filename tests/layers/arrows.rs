//! From sources to arrows: who uses whom.

use std::collections::{BTreeMap, BTreeSet};

use super::words::*;
use super::*;

/// A module or an item, from the root of the crate: `["store", "oci_dir", "index"]`.
pub(super) type Module = Vec<String>;

/// That one module uses another, or something in it.
pub(super) struct Arrow {
    pub(super) file: String,
    pub(super) from: Module,
    pub(super) to: Module,
}

/// What a file names: where, what, and what it calls it from then on.
pub(super) struct Import {
    pub(super) path: Module,
    /// The module that gets the name, and the name; `None` if it is a mere mention or a glob.
    pub(super) alias: Option<Module>,
}

/// Every use of something of this crate, led to where it is defined.
pub(super) fn arrows(files: &[File]) -> Vec<Arrow> {
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
pub(super) fn inside(path: Module, modules: &BTreeSet<Module>) -> Option<Module> {
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
pub(super) fn origin(path: &[String], names: &BTreeMap<Module, Module>) -> Module {
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

pub(super) fn modules(files: &[File]) -> BTreeSet<Module> {
    files.iter().map(|file| module_of(&file.path)).collect()
}

/// The modules that `lib.rs` shows to everybody.
pub(super) fn public_modules(files: &[File]) -> BTreeSet<String> {
    let root = files.iter().find(|file| file.path == "lib.rs");
    let code = root.map(|root| code_only(&root.text)).unwrap_or_default();
    let tokens = tokens(&code);
    let declared = tokens
        .windows(3)
        .filter(|three| three[0] == "pub" && three[1] == "mod");
    declared.map(|three| three[2].to_string()).collect()
}

/// `store/oci_dir/index.rs` is the module `store::oci_dir::index`; `lib.rs` is the root.
pub(super) fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Module = path.split('/').map(String::from).collect();
    let last = parts.last().map(String::as_str);
    if matches!(last, Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Stands before and behind the module that a relative path is seen from.
pub(super) const RELATIVE: &str = "?";

/// Everything that a file takes by `use`, and every path in it that begins at the crate, at itself
/// or at a parent.
pub(super) fn imports(file: &[String], code: &str) -> Vec<Import> {
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
pub(super) fn use_tree(
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
pub(super) fn absolute(here: &[String], path: &[String]) -> Module {
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
