//! What a file asks for that cannot be meant, found out before anything is written: all of it is told.

use crate::kit::{REPO, writes};
use crate::night::{Night, entry, repo};
use crate::support::registry::Registry;

fn source() -> Registry {
    let here = Registry::start();
    for tag in ["1.0", "1.1", "2.0"] {
        here.add_image(REPO, tag, &[300], 1);
    }
    here.add_image("b/app", "1.0", &[300], 2);
    here
}

#[test]
fn all_that_is_wrong_is_told_and_nothing_is_written() {
    let (here, there) = (source(), Registry::start());
    let from = repo(&here, REPO);
    let night = Night::of(
        &[
            // Line 4: fine.
            entry(&from, "\"1.0\"", &repo(&there, "good"), ""),
            // Line 5: nothing fits.
            entry(&from, "\"v9*\"", &repo(&there, "none"), ""),
            // Line 6: a range that nothing is in.
            entry(&from, "\">=7\"", &repo(&there, "range"), ""),
            // Lines 7 and 8: the same target, after both are expanded.
            entry(&from, "\"1*\"", &repo(&there, "{name}"), ""),
            entry(&repo(&here, "b/app"), "\"*\"", &repo(&there, "{name}"), ""),
        ]
        .concat(),
    );
    let told = night.is_wrong();
    for line in [5, 6, 8] {
        assert!(
            told.contains(&format!("sync.yaml:{line}:")),
            "{line}: {told}"
        );
    }
    assert!(!told.contains("sync.yaml:4:"), "{told}");
    assert!(told.contains("app:1.0"), "{told}");
    assert_eq!(writes(&there), 0);
}

#[test]
fn two_entries_that_write_one_name_are_found_after_their_tags_are_known() {
    let (here, there) = (source(), Registry::start());
    let from = repo(&here, REPO);
    let night = Night::of(
        &[
            entry(&from, "\"1.*\"", &repo(&there, REPO), ""),
            entry(&from, "\">=1.1\"", &repo(&there, REPO), ""),
        ]
        .concat(),
    );
    let told = night.is_wrong();
    assert!(told.contains(&format!("{REPO}:1.1")), "{told}");
    assert!(
        told.contains("sync.yaml:4:") && told.contains("sync.yaml:5:"),
        "{told}"
    );
    assert_eq!(there.log().len(), 0);
}

#[test]
fn a_fixed_name_for_several_tags_is_refused() {
    let (here, there) = (source(), Registry::start());
    let to = format!("{}:stable", repo(&there, REPO));
    let night = Night::of(&entry(&repo(&here, REPO), "\"1*\"", &to, ""));
    let told = night.is_wrong();
    assert!(
        told.contains("sync.yaml:4:") && told.contains("stable"),
        "{told}"
    );
    assert_eq!(there.log().len(), 0);
    night.wants(&entry(&repo(&here, REPO), "\"2*\"", &to, ""));
    night.runs();
    assert_eq!(there.tags(REPO), ["stable"]);
}

#[test]
fn an_unknown_key_a_bad_expression_and_an_unset_variable_copy_nothing() {
    let (here, there) = (source(), Registry::start());
    let night = Night::of(&format!(
        "{}{}{}",
        entry(
            &repo(&here, REPO),
            "\"1.0\"",
            &repo(&there, "a"),
            ", tgas: [x]"
        ),
        entry(&repo(&here, REPO), "\"/1(/\"", &repo(&there, "b"), ""),
        entry(
            &repo(&here, REPO),
            "\"1.0\"",
            &repo(&there, "${NOBODY_SETS_THIS}"),
            ""
        ),
    ));
    let told = night.is_wrong();
    for (line, word) in [(4, "tags"), (5, "1("), (6, "NOBODY_SETS_THIS")] {
        let own = told
            .lines()
            .find(|told| told.contains(&format!(":{line}:")));
        assert!(own.is_some_and(|own| own.contains(word)), "{told}");
    }
    assert_eq!(here.log().len() + there.log().len(), 0);
}

#[test]
fn a_report_that_has_no_form_is_refused_before_the_night_begins() {
    let (here, there) = (source(), Registry::start());
    let night = Night::of(&entry(
        &repo(&here, REPO),
        "\"1.0\"",
        &repo(&there, REPO),
        "",
    ));
    let ran = crate::support::Run::of(night.command("sync").args(["--report", "night.txt"]));
    let ran = ran.fails(64);
    assert!(ran.stderr.contains("night.txt"), "{}", ran.stderr);
    assert_eq!(there.log().len(), 0);
}

/// Each would be written in one piece, and the second would take the place of the first.
#[test]
fn s55_one_file_that_is_called_in_two_ways_is_refused() {
    let here = source();
    let to = |first: &str, second: &str| {
        let entries = [
            entry(&repo(&here, REPO), "\"1.0\"", first, ""),
            entry(&repo(&here, "b/app"), "\"*\"", second, ""),
        ];
        Night::of(&entries.concat())
    };
    for (first, second) in [
        ("oci-archive:out/all.tar:x", "oci-archive:./out/all.tar:y"),
        (
            "oci-archive:out/all.tar:x",
            "oci-archive:out/z/../all.tar:y",
        ),
        ("oci-archive:out/all.tar:x", "docker-archive:out/all.tar:y"),
        ("oci:all:x", "oci-archive:all:y"),
        ("oci:all:x", "oci:./all:x"),
    ] {
        let night = to(first, second);
        let told = night.is_wrong();
        assert!(told.contains("is the same file as"), "{told}");
        assert!(!night.at("out").exists() && !night.at("all").exists());
    }
    let night = to("oci:out/all:x", "oci:out/./z/../all:y");
    night.runs();
    assert_eq!(
        crate::support::assert_whole(&night.at("out/all")),
        ["x", "y"]
    );
}
