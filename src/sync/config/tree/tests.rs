use std::fmt::Write as _;

use super::*;
use crate::sync::config::problem::Problem;

fn read(text: &str) -> Result<Node, Vec<String>> {
    let mut problems = Problems::new("f".into());
    let node = parse(text.as_bytes(), &mut problems);
    let told: Vec<Problem> = problems.into_found();
    let told: Vec<String> = told.iter().map(Problem::to_string).collect();
    match node {
        Some(node) if told.is_empty() => Ok(node),
        _ => Err(told),
    }
}

fn why(text: &str) -> String {
    read(text).unwrap_err().join("\n")
}

#[test]
fn plain_scalars_keep_their_text() {
    for text in [
        "3.10",
        "1e3",
        "0x10",
        "0o17",
        "no",
        "on",
        "y",
        "~x",
        "2024-01-01",
        "1_000",
        "+1",
        "-0",
        ".5",
        "1.",
        ".inf",
        "NaN",
        "null",
        "true",
        "007",
        "1:20",
        "3.20@sha256:ab",
        "a#b",
    ] {
        for document in [
            format!("k: {text}"),
            format!("k: [{text}]"),
            format!("k: [x, {text} ]"),
        ] {
            let root = read(&document).unwrap();
            let last = root.get("k").unwrap().items().last().unwrap();
            assert_eq!(last.text(), Some(text), "{document}");
        }
    }
    // Nothing is nothing, unless it is quoted.
    for document in ["k:", "k: ~", "k: # comment"] {
        assert_eq!(
            read(document).unwrap().get("k").unwrap().text(),
            None,
            "{document}"
        );
    }
    assert_eq!(read("k: ''").unwrap().get("k").unwrap().text(), Some(""));
}

#[test]
fn everything_knows_where_it_stands() {
    let root = read("a: 1\r\nb:\n  - é: x\n    long: |\n      1\n  - {c: [d]}\n").unwrap();
    let items = root.get("b").unwrap().items();
    let at = |node: &Node| (node.at.line, node.at.column);
    let long = items[0].pair("long").unwrap();
    assert_eq!((long.at.line, long.at.column), (4, 5));
    assert_eq!(at(items[0].get("é").unwrap()), (3, 8));
    assert_eq!(at(&items[1].get("c").unwrap().items()[0]), (6, 10));
    assert_eq!(long.value.text(), Some("1\n"));
    let with_mark = read("\u{feff}a: 1").unwrap();
    assert_eq!(at(with_mark.get("a").unwrap()), (1, 4));
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let root = read("x-a: &a {k: 1, l: 2}\nx-b: &b {l: 3, m: 4}\nc: {<<: [*a, *b], k: own}\nd: *a")
        .unwrap();
    let c = root.get("c").unwrap();
    let text = |key| c.get(key).and_then(Node::text);
    assert_eq!(
        [text("k"), text("l"), text("m")],
        [Some("own"), Some("2"), Some("4")]
    );
    assert_eq!(root.get("d").unwrap().get("l").unwrap().text(), Some("2"));
    assert!(why("a: {<<: 1}").contains("`<<` must stand for a map"));
    assert!(why("a: *nobody").contains("f:1:4: *nobody stands for nothing"));
}

#[test]
fn equal_keys_are_told() {
    let told = why("a: 1\nb: {c: 1, c: 2}\na: 2\n");
    assert!(
        told.contains("f:3:1: `a` is given twice; the first is in line 1"),
        "{told}"
    );
    assert!(told.contains("f:2:11: `c` is given twice"), "{told}");
}

#[test]
fn what_is_no_single_document_is_told() {
    for (text, reason) in [
        ("", "f:1:1: the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: 1\n---\nb: 2\n", "f:2:1: it is a second document"),
        ("a: [1\nb: 2", "it is not YAML"),
        ("a:\n\tb: 1", "it is not YAML"),
        ("a: !!int 3", "the YAML tag !!int has no meaning here"),
        ("a: !secret x", "the YAML tag !secret"),
        ("{[a]: 1}", "a key must be a text"),
    ] {
        let told = why(text);
        assert!(told.contains(reason), "{text:?}: {told}");
    }
    let mut problems = Problems::new("f".into());
    assert!(parse(b"a: \xff", &mut problems).is_none());
    assert_eq!(problems.into_found()[0].text, "the file is not UTF-8");
}

#[test]
fn s24_bombs_do_not_go_off() {
    // Each line stands for ten of the line before: a billion at the end.
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let ten = vec![format!("*a{}", n - 1); 10].join(", ");
        let _ = writeln!(laughs, "a{n}: &a{n} [{ten}]");
    }
    assert!(why(&laughs).contains("its aliases stand for too much"));

    // The same with long texts.
    let mut texts = format!("a0: &a0 {}\n", "x".repeat(1 << 20));
    for n in 0..2000 {
        let _ = writeln!(texts, "b{n}: *a0");
    }
    assert!(why(&texts).contains("its aliases stand for too much"));

    let deep = |open: &str, close: &str| {
        let text = open.repeat(100_000) + &close.repeat(100_000);
        assert!(!why(&text).is_empty());
    };
    deep("[", "]");
    deep("{a: ", "}");
    deep("- ", "");

    // Each line is one deeper than the line before.
    let mut chain = String::from("a0: &a0 [x]\n");
    for n in 1..10_000 {
        let _ = writeln!(chain, "a{n}: &a{n} [*a{}]", n - 1);
    }
    assert!(why(&chain).contains("nested too deep"));
    assert!(why("a: &a [*a]").contains("inside of what it stands for"));
    assert!(why(&"#".repeat(FILE_LIMIT + 1)).contains("larger than 32 MiB"));
    assert!(why(&format!("[{}]", "a,".repeat(NODE_LIMIT + 1))).contains("holds too much"));
}
