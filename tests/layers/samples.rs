//! The rules themselves, on sources that break them.

use super::arrows::*;
use super::rules::*;
use super::words::*;
use super::*;

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
