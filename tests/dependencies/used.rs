//! That each dependency is used, and told of in ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

/// What Cargo.toml asks for by itself.
struct Asked {
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

/// Dependencies that no line of ours names, and why they are there.
const UNNAMED: [(&str, &str); 0] = [];

fn asked() -> Asked {
    let manifest: toml::Table = toml::from_str(&super::top("Cargo.toml")).unwrap();
    let names = |table: &str| {
        manifest[table]
            .as_table()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    Asked {
        normal: names("dependencies"),
        dev: names("dev-dependencies"),
    }
}

/// The code below a folder, without comments. Files that are only compiled for tests are left out
/// where `tests_too` does not ask for them.
fn code(folder: &str, tests_too: bool) -> String {
    fn visit(at: &Path, tests_too: bool, code: &mut String) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let is_for_tests = path.file_stem().is_some_and(|name| name == "tests");
            if is_for_tests && !tests_too {
                continue;
            }
            if path.is_dir() {
                visit(&path, tests_too, code);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut code = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    visit(&root, tests_too, &mut code);
    let comment = Regex::new("(?m)^ *//.*$| // .*$").unwrap();
    comment.replace_all(&code, "").into_owned()
}

/// Whether a path begins with the package's name: `name::`, or `use name`.
fn is_named(package: &str, code: &str) -> bool {
    let name = package.replace('-', "_");
    let path = format!(r"(^|[^\w:])(::)?{name}::|\buse {name}\b");
    Regex::new(&path).unwrap().is_match(code)
}

#[test]
fn every_dependency_is_used() {
    let asked = asked();
    let (library, tests) = (
        code("src", false),
        [
            code("src", true),
            code("tests", true),
            code("examples", true),
        ]
        .concat(),
    );
    assert!(!is_named("no-such-package", &tests));
    let unused = |names: BTreeSet<String>, code: &str| {
        let unused = names.into_iter().filter(|name| !is_named(name, code));
        unused.collect::<Vec<_>>()
    };
    let mut unused = [unused(asked.normal, &library), unused(asked.dev, &tests)].concat();
    unused.retain(|name| UNNAMED.iter().all(|(unnamed, _)| unnamed != name));
    super::nothing(unused.into_iter().map(|name| {
        format!(
            "{name} is used nowhere: take it out of Cargo.toml, or say in UNNAMED what it is for"
        )
    }));
}

/// The packages in the first column of the tables below a heading of ARCHITECTURE.md.
fn told_of(heading: &str) -> Vec<String> {
    let text = super::top("ARCHITECTURE.md");
    let (_, section) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let section = section.split("\n#").next().unwrap();
    let note = Regex::new(r"\([^)]*\)").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| {
        note.replace_all(row.split('|').next().unwrap(), "")
            .into_owned()
    });
    cells
        .skip(1)
        .flat_map(|cell| {
            cell.split(',')
                .map(|name| name.trim().to_string())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[track_caller]
fn agree(asked: &BTreeSet<String>, told: &[String]) {
    let once: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(once.len(), told.len(), "twice in ARCHITECTURE.md: {told:?}");
    let untold = asked
        .difference(&once)
        .map(|name| format!("{name} is not in ARCHITECTURE.md"));
    let gone = once
        .difference(asked)
        .map(|name| format!("{name} is in ARCHITECTURE.md only"));
    super::nothing(untold.chain(gone));
}

#[test]
fn architecture_says_why_each_dependency_is_there() {
    let asked = asked();
    agree(&asked.normal, &told_of("## Dependencies"));
    agree(&asked.dev, &told_of("### Of the tests"));
}

#[test]
fn a_package_is_named_by_a_path_and_by_nothing_else() {
    for code in [
        "x_y::z()",
        "use x_y;",
        "(x_y::Z)",
        "::x_y::z",
        "use x_y::{a}",
        "&x_y::A",
    ] {
        assert!(is_named("x-y", code), "{code}");
    }
    for code in [
        "ax_y::z",
        "a::x_y::z",
        "x_yz::a",
        "let x_y = 1;",
        "use a::x_y;",
        "mod x_y;",
    ] {
        assert!(!is_named("x-y", code), "{code}");
    }
}
