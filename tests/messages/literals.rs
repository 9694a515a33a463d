//! The texts that stand in the sources: every literal of more than one word that is neither for
//! programmers (attributes, tracing) nor for tests.

use std::path::Path;

use regex::Regex;

/// A text, without the marks around it, and where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Literal {
    /// The module, as in `store/oci_dir/index`.
    pub(super) module: String,
    /// As the source writes it, on one line.
    pub(super) text: String,
    /// The functions and macros that it is given to, the outermost first.
    pub(super) given_to: Vec<String>,
}

/// All of them, by module.
pub(super) fn texts() -> Vec<Literal> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    visit(&root, &mut files);
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let module = path.strip_prefix(&root).unwrap().with_extension("");
        let source = std::fs::read_to_string(path).unwrap();
        found.extend(texts_of(&module.to_string_lossy(), &source));
    }
    assert!(found.len() > 1000, "the sources were not found");
    found
}

fn visit(at: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        // What is fuzzed is tested: no user meets that.
        let for_tests = |name: &std::ffi::OsStr| name == "tests" || name == "fuzzing";
        if path.file_stem().is_some_and(for_tests) {
            continue;
        }
        match path.is_dir() {
            true => visit(&path, files),
            false => files.push(path),
        }
    }
}

/// Words, marks, and whole literals. Comments are left out.
fn tokens(source: &str) -> Vec<&str> {
    let token = concat!(
        r#"(?s)//[^\n]*|/\*.*?\*/"#,
        r####"|b?r"[^"]*"|b?r#".*?"#|b?r##".*?"##"####,
        r#"|b?"(?:\\.|[^"\\])*""#,
        r"|b?'(?:\\.[^']*|[^\\'])'|'\w+",
        r"|\w+|::|\s+|.",
    );
    let token = Regex::new(token).unwrap();
    let all = token.find_iter(source).map(|found| found.as_str());
    let is_nothing =
        |token: &str| token.trim().is_empty() || token.starts_with("//") || token.starts_with("/*");
    all.filter(|token| !is_nothing(token)).collect()
}

fn texts_of(module: &str, source: &str) -> Vec<Literal> {
    let tokens = tokens(source);
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let mut found = Vec::new();
    let mut given_to: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens[at];
        match token {
            "#" if matches!(tokens.get(at + 1), Some(&("[" | "!"))) => {
                at = after_attribute(&tokens, at);
                continue;
            }
            "(" => given_to.push(Some(name_before(&tokens, at))),
            "[" | "{" => given_to.push(None),
            ")" | "]" | "}" => drop(given_to.pop()),
            _ if is_string(token) => {
                let given_to: Vec<String> = given_to.iter().flatten().cloned().collect();
                let text = continued.replace_all(inside(token), "").replace('\n', "⏎");
                if is_message(&text) && !is_traced(&given_to) {
                    let module = module.to_string();
                    found.push(Literal {
                        module,
                        text,
                        given_to,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The name of what an opening bracket calls: `new` with its type, a macro with its mark.
fn name_before(tokens: &[&str], bracket: usize) -> String {
    let before = |n: usize| bracket.checked_sub(n).map_or("", |at| tokens[at]);
    match (before(3), before(2), before(1)) {
        (_, name, "!") => format!("{name}!"),
        (of, "::", name) => format!("{of}::{name}"),
        (_, _, name) => name.to_string(),
    }
}

/// Where the source goes on behind an attribute, or behind what is for tests only.
fn after_attribute(tokens: &[&str], at: usize) -> usize {
    let open = at + 1 + usize::from(tokens[at + 1] == "!");
    let end = closed(tokens, open);
    match tokens[open..end].concat().starts_with("[cfg(test)") {
        true => after_item(tokens, end),
        false => end,
    }
}

/// Behind the bracket that closes the one here.
fn closed(tokens: &[&str], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Behind the item that begins here: it ends with its braces or with a semicolon.
fn after_item(tokens: &[&str], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at] {
            ";" => return at + 1,
            "{" => return closed(tokens, at),
            "(" | "[" => at = closed(tokens, at),
            _ => at += 1,
        }
    }
    at
}

fn is_string(token: &str) -> bool {
    let literal = token.trim_start_matches(['b', 'r', '#']);
    literal.starts_with('"')
}

fn inside(literal: &str) -> &str {
    let start = literal.find('"').unwrap() + 1;
    let end = literal.rfind('"').unwrap();
    &literal[start..end]
}

/// More than one word. A list of separators is none, nor is a pattern of placeholders alone.
fn is_message(text: &str) -> bool {
    let placeholders = Regex::new(r"\{[^}]*\}").unwrap();
    let words = placeholders.replace_all(text, "");
    text.trim().contains(' ') && words.contains(|c: char| c.is_alphabetic())
}

fn is_traced(given_to: &[String]) -> bool {
    let traced = |name: &String| ["debug!", "trace!"].contains(&name.as_str());
    given_to.iter().any(traced)
}

#[test]
fn texts_are_found_and_what_is_for_programmers_is_not() {
    let source = r##"
        //! "not a text"
        /* "not a text" */
        #[doc = "not a text"]
        fn f<'a>(c: &'a str) -> Result<()> {
            debug!(c, "not a text");
            let mark = '"';
            let _ = r#"a "raw" text"#;
            Err(Error::new(Kind, format!("{c} is no \"name\": \
                write another")))
        }
        #[cfg(test)]
        const T: &[&str] = &["not a text"];
        #[cfg(test)]
        mod tests { fn t() { assert!("not a text"); } }
        const LAST: &str = "the last text";
        const WORD: &str = "word";
        const SHAPE: &str = "{a} {b}";
    "##;
    let found = texts_of("m", source);
    let told: Vec<&str> = found.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(
        told,
        [
            "a \"raw\" text",
            r#"{c} is no \"name\": write another"#,
            "the last text"
        ]
    );
    assert_eq!(found[1].given_to, ["Err", "Error::new", "format!"]);
}
