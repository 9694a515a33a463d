//! Holds `docs/THREATS.md` to the code: every attack of the list is on the page once, in order, with
//! modules that exist and tests that run.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/THREATS.md";

/// The attacks that this project lists. Numbers that were never given are left out.
fn listed() -> Vec<u32> {
    (1..=26).chain(30..=58).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn page() -> String {
    std::fs::read_to_string(root().join(PAGE)).unwrap()
}

/// The number of `S-12`.
fn number(text: &str) -> Option<u32> {
    text.trim().strip_prefix("S-")?.parse().ok()
}

/// A row of a table: which attack, what stops it, and the tests.
struct Row {
    id: u32,
    modules: Vec<String>,
    tests: Vec<(String, String)>,
}

/// What stands between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').collect();
    let id = number(cells.get(1)?)?;
    let [_, _, _, stops, tests, _] = cells[..] else {
        panic!("S-{id:02} has not four cells");
    };
    let is_path = |text: &&str| text.starts_with("src/") || text.starts_with("Cargo");
    let modules = code(stops).into_iter().filter(is_path);
    let tests = code(tests).into_iter().map(|test| {
        let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
        (file.to_string(), name.to_string())
    });
    Some(Row {
        id,
        modules: modules.map(str::to_string).collect(),
        tests: tests.collect(),
    })
}

/// The tables of rows, each by itself.
fn tables(page: &str) -> Vec<Vec<Row>> {
    let sections = page.split("\n## ");
    let rows = sections.map(|section| section.lines().filter_map(row).collect());
    rows.filter(|rows: &Vec<Row>| !rows.is_empty()).collect()
}

/// Whether a file has a test of this name: a function with the attribute right above it, other
/// attributes and comments in between or not.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|it| it.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let at = lines.iter().position(|line| is_it(line));
    let above = lines.iter().take(at.unwrap_or(0)).rev();
    let above = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let above: Vec<&&str> = above.collect();
    let runs = above
        .iter()
        .any(|it| **it == "#[test]" || it.starts_with("#[tokio::test"));
    let ignored = above.iter().any(|it| it.starts_with("#[ignore"));
    at.is_some() && runs && !ignored
}

#[test]
fn every_attack_is_on_the_page_once_and_in_order() {
    let tables = tables(&page());
    assert_eq!(tables.len(), 5, "one table for each attacker");
    let mut all = Vec::new();
    for table in &tables {
        let ids: Vec<u32> = table.iter().map(|row| row.id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        all.extend(ids);
    }
    all.sort_unstable();
    assert_eq!(all, listed());
}

#[test]
fn every_attack_that_is_mentioned_is_one_of_the_list() {
    let page = page();
    let mentioned = page.split("S-").skip(1);
    for text in mentioned {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let id: u32 = digits.parse().unwrap_or_else(|_| panic!("S-{text:.20}"));
        assert!(listed().contains(&id), "S-{id:02} is not an attack");
    }
}

#[test]
fn every_module_that_is_named_exists() {
    for row in tables(&page()).iter().flatten() {
        assert!(!row.modules.is_empty(), "nothing stops S-{:02}", row.id);
        for module in &row.modules {
            let exists = root().join(module).is_file();
            assert!(exists, "S-{:02}: {module} is not there", row.id);
        }
    }
}

#[test]
fn every_attack_has_a_test_that_carries_its_id_and_runs() {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for row in tables(&page()).iter().flatten() {
        let id = format!("s{:02}_", row.id);
        let carries = |name: &String| name.starts_with(&id) || name.contains(&format!("_{id}"));
        let own = row.tests.iter().any(|(_, name)| carries(name));
        assert!(own, "S-{:02} has no test of its own", row.id);
        for (file, name) in &row.tests {
            let text = texts.entry(file.clone()).or_insert_with(|| {
                let text = std::fs::read_to_string(root().join(file));
                text.unwrap_or_else(|error| panic!("{file}: {error}"))
            });
            assert!(has_test(text, name), "{file} has no test {name}");
        }
    }
}

#[test]
fn what_is_no_test_is_told_apart() {
    for is in [
        "#[test]\nfn a() {}",
        "#[tokio::test]\nasync fn a() {}",
        "#[test]\n#[cfg(unix)]\n// why\nfn a() {}",
    ] {
        assert!(has_test(is, "a"), "{is}");
    }
    for is_not in [
        "fn a() {}",
        "#[test]\nfn ab() {}",
        "#[test]\nfn b() {}\nfn a() {}",
        "",
    ] {
        assert!(!has_test(is_not, "a"), "{is_not}");
    }
}
