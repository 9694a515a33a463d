use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::image::{Digest, Name, Tag};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn tags(names: &str) -> Vec<Tag> {
    let tags = names.split_whitespace().map(|name| name.parse().unwrap());
    tags.collect()
}

fn selectors(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn include(texts: &[&str]) -> Tags {
    Tags {
        include: selectors(texts),
        ..Tags::default()
    }
}

fn suffixes(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// The tags at the destination, in order.
#[track_caller]
fn chosen(choice: &Tags, listed: &str) -> String {
    let found = choice.candidates(Some(&tags(listed)));
    let wanted = choice.choose(&found, now()).unwrap();
    let names = wanted.iter().map(|one| one.tag.as_ref().unwrap().as_str());
    names.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn refused(choice: &Tags, listed: &str) -> String {
    let found = choice.candidates(Some(&tags(listed)));
    let nothing = choice.choose(&found, now()).unwrap_err();
    nothing.told("quay.io/a/b")
}

fn matching(selector: &str, listed: &str) -> String {
    let mut choice = include(&[selector]);
    choice.sort = Sort::Name;
    choice.min = 0;
    chosen(&choice, listed)
}

#[test]
fn the_characters_of_a_selector_tell_its_kind() {
    let pinned = format!("1.27@sha256:{HEX}");
    let bare = format!("@sha256:{HEX}");
    let kind = |text: &str| match text.parse().unwrap() {
        Selector::Literal(_) => "literal",
        Selector::Pin(..) => "pin",
        Selector::Glob(_) => "glob",
        Selector::Range(_) => "range",
        Selector::Regex(_) => "regex",
    };
    for (text, expected) in [
        ("1.27", "literal"),
        ("3.10", "literal"),
        ("_x", "literal"),
        (&pinned, "pin"),
        (&bare, "pin"),
        ("*", "glob"),
        ("1.2?", "glob"),
        ("1.[0-9]", "glob"),
        (">=2.45 <3", "range"),
        ("^3", "range"),
        ("~1.4", "range"),
        ("=1.2.x", "range"),
        ("=1.2.*", "range"),
        ("!=1.2", "range"),
        (r"/v\d+/", "regex"),
        ("/a@b|[c]*/", "regex"),
    ] {
        assert_eq!(kind(text), expected, "{text}");
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.to_string(), text);
        assert_eq!(serde_json::to_value(&selector).unwrap(), text);
    }
}

#[test]
fn a_selector_that_means_nothing_is_refused_with_a_reason() {
    let long = "a".repeat(129);
    for (bad, why) in [
        ("", "it is empty"),
        ("-x", "begins with none of"),
        (&long, "1 to 128"),
        ("1.2 - 1.4", "a range begins with"),
        ("a b", "a range begins with"),
        ("a\u{1b}[31m", "cannot be in a tag"),
        ("é", "1 to 128"),
        ("{a,b}", "write a list"),
        ("1.[", "no ] behind it"),
        ("1.[]", "holds something other"),
        ("1.[a--b]", "holds something other"),
        ("1.[z-a]", "invalid character class range"),
        ("a/*", "cannot be in a tag"),
        ("1@", "invalid digest"),
        ("1@sha256:abc", "64 lower-case"),
        (">", "no version follows the >"),
        (">=1 ||", "a comparison is missing"),
        (">=1 2", "\"2\" has no operator"),
        ("=>1", "write >=1 or <=1"),
        ("~>1.2", "write >=1.2 or <=1.2"),
        (">=x", "no version"),
        (">=1.2.3.4.5", "no version"),
        (">=1.27-alpine", "which suffixes are wanted"),
        ("/a", "ends with a slash"),
        ("//", "is empty"),
        ("/", "ends with a slash"),
        ("/a(/", "unclosed group"),
        ("/a)|(b/", "unopened group"),
        (r"/\p{Greek}/", "Unicode"),
        (r"/(a)\1/", "backreferences"),
    ] {
        let told = bad.parse::<Selector>().unwrap_err();
        assert!(told.contains(why), "{bad}: {told}");
        assert!(told.starts_with("invalid selector \""), "{told}");
        assert!(!told.contains(['\u{1b}', '\n']), "{told:?}");
    }
}

#[test]
fn s26_a_pathological_regular_expression_is_refused_or_takes_linear_time() {
    for bad in ["/(a{1000}){1000}/", "/((a{100}){100}){100}/"] {
        let told = bad.parse::<Selector>().unwrap_err();
        assert!(told.contains("too much memory"), "{told}");
    }
    let deep = format!("/{}{}/", "(".repeat(400), ")".repeat(400));
    assert!(deep.parse::<Selector>().is_err());
    let long = format!("/{}/", "a|".repeat(1000));
    assert!(
        long.parse::<Selector>()
            .unwrap_err()
            .contains("longer than")
    );
    // A backtracking engine needs longer than the universe is old for this one.
    let selector: Selector = "/(a*)*(a*)*(a*)*b/".parse().unwrap();
    let tag: Tag = "a".repeat(128).parse().unwrap();
    assert!(!selector.covers(&tag));
}

#[test]
fn globs_and_regular_expressions_fit_the_whole_tag() {
    for (selector, listed, expected) in [
        ("*", "a 1 v1", "v1 a 1"),
        (
            "1.2*-alpine",
            "1.2-alpine 1.27-alpine 1.27 1.27-alpine3",
            "1.27-alpine 1.2-alpine",
        ),
        ("1.2?", "1.2 1.27 1.270 1x27", "1.27"),
        ("1.[0-3]", "1.0 1.3 1.4 1.33", "1.3 1.0"),
        ("1.[!0-3]", "1.0 1.3 1.4", "1.4"),
        ("V*", "v1 V1", "V1"),
        (r"/v\d+/", "v1 v1.2 xv1 v12x", "v1"),
        (
            "/stable(-perl)?/",
            "stable stable-perl unstable stable-perl5",
            "stable-perl stable",
        ),
        // Alternatives stay inside the anchors.
        ("/a|b/", "a b ab xa bx", "b a"),
        ("/a|ab/", "a ab abc", "ab a"),
        ("/^a$/", "a aa", "a"),
        ("/(?i)RC.*/", "rc1 RC2 xrc", "rc1 RC2"),
    ] {
        assert_eq!(matching(selector, listed), expected, "{selector}");
    }
}

#[test]
fn ranges_choose_versions() {
    for (range, yes, no) in [
        (">=2.45", "2.45.0 2.45 v2.46 3.0 10.0.0", "2.44.9 2.5 1.0"),
        (">=2.45 <3", "2.99.1", "3.0 3.0.1"),
        (">=2.45, <3", "2.99.1", "3.0"),
        (">= 2.45 < 3", "2.99.1", "3.0"),
        (">1.2", "1.3 2.0", "1.2.9 1.2"),
        (">1.2.3", "1.2.4", "1.2.3 1.2.3.9"),
        ("<=1.2", "1.2.9 1.2 0.9", "1.3.0"),
        ("<1.2", "1.1.9", "1.2.0 1.2"),
        ("=1.2", "1.2 1.2.0 v1.2.7", "1.3 1.20"),
        ("=1.2.x", "1.2.0 1.2.7", "1.3.0"),
        ("=1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2"),
        (">=1.0 !=1.5.0", "1.4.9 1.5.1", "1.5.0"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"),
        ("^3", "3.0 3.1.4", "4.0 2.9"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.1 0.0.9", "0.1.0"),
        ("^0", "0.1 0.9.1", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("~1", "1.0 1.9", "2.0 0.9"),
        ("^1 || ^3", "1.5 3.5", "2.5 4.0"),
        // Four numbers, and numbers that no machine's integer holds.
        (">=1.2.3.4", "1.2.3.4 1.2.3.10 1.2.4", "1.2.3.3 1.2.3"),
        ("^1.2.3.4", "1.2.3.5 1.3.0.0", "2.0.0.0"),
        (
            ">=1.99999999999999999999999",
            "1.100000000000000000000000",
            "1.9999999999999999999999",
        ),
        (">=1.02", "1.2 1.02 1.10", "1.01"),
        // A number alone is more often a date; what is no version is in no range.
        (
            ">=0",
            "0.1",
            "7 20240101 latest v1x a1.2 1.2.3.4.5 1. 1.2- 2024-01-05",
        ),
        // A suffix is a variant.
        (
            ">=1.0",
            "1.27",
            "1.27-alpine 1.27.1-debian-12-r5 1.1.1k 1.2-1",
        ),
    ] {
        let listed = format!("{yes} {no}");
        let mut found: Vec<String> = matching(range, &listed)
            .split(' ')
            .map(Into::into)
            .collect();
        let mut expected: Vec<String> = yes.split(' ').map(Into::into).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{range}");
    }
}

#[test]
fn pre_releases_come_only_if_the_range_names_one() {
    let all = "1.9.0 2.0.0-alpha.1 2.0.0-rc.1 2.0.0-rc1 2.0.0-rc.10 2.0.0rc2 2.0-SNAPSHOT \
               2.0.0-dev.5 2.0.0 2.1.0-beta1 2.1.0 3.0.0-rc.1";
    for (range, expected) in [
        (">=1.0", "2.1.0 2.0.0 1.9.0"),
        ("^2", "2.1.0 2.0.0"),
        ("=2.0.0", "2.0.0"),
        (
            ">=2.0.0-rc.1 <3",
            "2.1.0 2.1.0-beta1 2.0.0 2.0.0-rc.10 2.0.0rc2 2.0.0-rc.1 2.0.0-rc1",
        ),
        ("=2.0.0-rc.1", "2.0.0-rc.1 2.0.0-rc1"),
        (">2.0.0-rc.2 <2.1.0-0", "2.0.0 2.0.0-rc.10"),
        ("~2.0.0-rc.2", "2.0.0 2.0.0-rc.10 2.0.0rc2"),
        (
            ">=2.0.0-0 <2.0.0-rc.1",
            "2.0.0-alpha.1 2.0-SNAPSHOT 2.0.0-dev.5",
        ),
        // Each alternative for itself.
        ("=1.9 || >=3.0.0-0", "3.0.0-rc.1 1.9.0"),
        // Its release is later than it, so it is not at least that.
        (">=3.0.0 <4.0.0-rc.1 || =1.9.0", "1.9.0"),
    ] {
        let mut found = chosen(&include(&[range]), all);
        let mut expected = expected.to_string();
        // Equal versions and words without a common order are compared as sets.
        if range.contains("-0 <") {
            let sorted = |text: &str| {
                let mut words: Vec<&str> = text.split(' ').collect();
                words.sort_unstable();
                words.join(" ")
            };
            (found, expected) = (sorted(&found), sorted(&expected));
        }
        assert_eq!(found, expected, "{range}");
    }
}

#[test]
fn words_of_pre_releases_are_told_from_variants() {
    for (tag, pre, suffix) in [
        ("1.27", false, ""),
        ("1.27-alpine", false, "alpine"),
        ("1.27-alpine3.20", false, "alpine3.20"),
        ("1.27_alpine", false, "alpine"),
        ("v2.0.0-rc.1", true, ""),
        ("2.0.0-rc1", true, ""),
        ("2.0.0-RC-1", true, ""),
        ("2.0.0-rc.1-alpine", true, "alpine"),
        ("3.14.0rc1-slim", true, "slim"),
        ("3.14.0a1", true, ""),
        ("3.14-rc-slim", true, "slim"),
        ("3.0-a", false, "a"),
        ("6.0.0-M1", true, ""),
        ("6.0-m", false, "m"),
        ("1.0-beta", true, ""),
        ("1.0-betamax", false, "betamax"),
        ("1.0-rc-3d", true, "3d"),
        ("1.0.0-snapshot.20240101.abc", true, ""),
        ("17.0.1-12", false, "12"),
        ("1.2.3-debian-12-r5", false, "debian-12-r5"),
        ("1.1.1k", false, "k"),
    ] {
        let version = Version::of(tag).unwrap();
        assert_eq!(
            (version.is_pre_release(), version.suffix()),
            (pre, suffix),
            "{tag}"
        );
    }
}

#[test]
fn a_suffix_is_a_variant_and_comes_only_if_it_is_listed() {
    let listed = "1.26 1.26-alpine 1.27 1.27-alpine 1.27-alpine3.20 1.27-slim stable stable-alpine";
    for (selector, suffix, expected) in [
        (">=1.0", vec![], "1.27 1.26"),
        (
            ">=1.0",
            vec!["", "alpine"],
            "1.27 1.27-alpine 1.26 1.26-alpine",
        ),
        (">=1.0", vec!["alpine"], "1.27-alpine 1.26-alpine"),
        (">=1.27", vec!["alpine*"], "1.27-alpine 1.27-alpine3.20"),
        ("1.2[6]*", vec![], "1.26 1.26-alpine"),
        ("*", vec!["alpine"], "1.27-alpine 1.26-alpine stable-alpine"),
        ("stable", vec!["alpine"], "stable"),
    ] {
        let mut choice = include(&[selector]);
        choice.suffix = suffixes(&suffix);
        assert_eq!(chosen(&choice, listed), expected, "{selector} {suffix:?}");
    }
}

#[test]
fn what_is_excluded_is_so_with_every_suffix_and_pre_release() {
    let listed = "1.0 1.0-alpine 2.0-rc1 2.0 2.0-alpine 3.0-rc1 latest";
    let mut choice = include(&["*"]);
    choice.exclude = selectors(&[">=2", "late*"]);
    assert_eq!(chosen(&choice, listed), "1.0 1.0-alpine");
    choice.exclude = selectors(&[r"/.*-.*/", "latest"]);
    assert_eq!(chosen(&choice, listed), "2.0 1.0");
    choice.exclude = selectors(&[">=2.0.0-rc1 <=2.0"]);
    assert_eq!(chosen(&choice, listed), "3.0-rc1 1.0 1.0-alpine latest");
}

#[test]
fn the_newest_of_each_line_and_variant_stay() {
    let listed = "1.1.0 1.1.1 1.1.2 1.2.0 1.2.10 1.2.9 2.0.0 2.0.0-alpine 1.2.10-alpine 1.2 latest";
    let mut choice = include(&[">=1.0"]);
    choice.latest = NonZeroUsize::new(2);
    assert_eq!(chosen(&choice, listed), "2.0.0 1.2.10");
    choice.per = Some(Per::Minor);
    assert_eq!(chosen(&choice, listed), "2.0.0 1.2.10 1.2.9 1.1.2 1.1.1");
    choice.per = Some(Per::Major);
    assert_eq!(chosen(&choice, listed), "2.0.0 1.2.10 1.2.9");
    choice.latest = NonZeroUsize::new(1);
    choice.suffix = suffixes(&["", "alpine"]);
    let expected = "2.0.0 2.0.0-alpine 1.2.10 1.2.10-alpine";
    assert_eq!(chosen(&choice, listed), expected);
    choice.also = selectors(&["latest", "=1.1.0", "1.2.10"]);
    assert_eq!(chosen(&choice, listed), format!("{expected} 1.1.0 latest"));
    // What has no version is never the newest one.
    choice = include(&["*"]);
    choice.latest = NonZeroUsize::new(1);
    assert_eq!(chosen(&choice, "main 1.0 edge"), "1.0");
    choice.sort = Sort::Name;
    assert_eq!(
        chosen(&choice, "2026-01-02 2026-01-10 2025-12-31"),
        "2026-01-10"
    );
}

#[test]
fn what_is_old_is_left_out_and_what_tells_no_age_is_not() {
    const DAY: u64 = 86_400;
    let mut choice = include(&["*"]);
    choice.newer = Some(Duration::from_secs(7 * DAY));
    assert!(choice.needs_times());
    let mut found = choice.candidates(Some(&tags("fresh old edge unknown epoch future")));
    let ago = |days: u64| now() - Duration::from_secs(days * DAY);
    for candidate in &mut found.candidates {
        candidate.created = match candidate.tag.as_ref().unwrap().as_str() {
            "fresh" => Some(ago(1)),
            "old" => Some(ago(8)),
            "edge" => Some(ago(7)),
            "epoch" => Some(SystemTime::UNIX_EPOCH),
            "future" => Some(now() + Duration::from_secs(DAY)),
            _ => None,
        };
    }
    let names = |choice: &Tags| {
        let wanted = choice.choose(&found, now()).unwrap();
        let names = wanted
            .iter()
            .map(|one| one.tag.as_ref().unwrap().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&choice), "edge epoch fresh future unknown");
    choice.sort = Sort::Time;
    choice.latest = NonZeroUsize::new(3);
    assert_eq!(names(&choice), "future fresh edge");
    choice.newer = None;
    assert!(choice.needs_times());
}

#[test]
fn literals_and_pins_need_no_list() {
    let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
    let mut choice = include(&["1.27", &format!("1.28@{digest}"), &format!("@{digest}")]);
    assert!(!choice.needs_list() && !choice.needs_times());
    let found = choice.candidates(None);
    let wanted = choice.choose(&found, now()).unwrap();
    let shown = wanted
        .iter()
        .map(|one| (one.tag.as_ref().map(Tag::as_str), one.name.clone()));
    let by_digest = Name::Digest(digest.clone());
    let expected = [
        (Some("1.28"), by_digest.clone()),
        (Some("1.27"), Name::Tag("1.27".parse().unwrap())),
        (None, by_digest.clone()),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    // A list that lacks them is no error here, and one that has them makes no second ones.
    assert_eq!(
        choice
            .choose(&choice.candidates(Some(&tags("1.27"))), now())
            .unwrap(),
        wanted
    );
    // A pin is more than a selector that fits its tag, too.
    choice.include.push("1.*".parse().unwrap());
    assert!(choice.needs_list());
    let wanted = choice
        .choose(&choice.candidates(Some(&tags("1.28 1.29"))), now())
        .unwrap();
    let pinned = wanted
        .iter()
        .find(|one| one.tag == Some("1.28".parse().unwrap()))
        .unwrap();
    assert_eq!(pinned.name, by_digest);
    assert!(matches!(pinned.because, Selector::Pin(..)));
    choice = include(&["1.27"]);
    choice.also = selectors(&["^2"]);
    assert!(choice.needs_list());
}

#[test]
fn tags_that_belong_to_images_are_chosen_by_name_only() {
    let stem = format!("sha256-{HEX}");
    let listed = format!("1.0 {stem} {stem}.sig {stem}.att {stem}.sbom");
    for all in ["*", "/.*/", "sha256-*"] {
        assert!(!matching(all, &listed).contains("sha256-"), "{all}");
    }
    assert_eq!(
        chosen(&include(&[&format!("{stem}.sig")]), &listed),
        format!("{stem}.sig")
    );
    // They are no tags that a person knows of, either.
    let told = refused(&include(&[">=9"]), &listed);
    assert_eq!(told, "no tag of quay.io/a/b matches \">=9\" (1 tag, 1.0)");
}

#[test]
fn too_little_is_an_error_that_says_why() {
    let listed = "v3.4.1 v3.4.0 v3.5.0-rc1 v3.4.2-alpine latest";
    let mut choice = include(&[">=9"]);
    let told = refused(&choice, listed);
    assert_eq!(
        told,
        "no tag of quay.io/a/b matches \">=9\" (5 tags, newest v3.4.1)"
    );
    assert_eq!(refused(&choice, ""), "quay.io/a/b has no tags");
    // What is named besides does not hide it; who expects nothing says so.
    choice.also = selectors(&["latest"]);
    assert!(refused(&choice, listed).starts_with("no tag of quay.io/a/b matches"));
    choice.min = 0;
    assert_eq!(chosen(&choice, listed), "latest");
    assert_eq!(
        refused(&include(&["^3.5"]), listed),
        "no tag of quay.io/a/b matches \"^3.5\" (5 tags, newest v3.4.1); \"v3.5.0-rc1\" is a \
         pre-release, which a range chooses only if it names one, as \">=1.2.0-0\" does"
    );
    assert_eq!(
        refused(&include(&[">=3.4.2 <3.5"]), listed),
        "no tag of quay.io/a/b matches \">=3.4.2 <3.5\" (5 tags, newest v3.4.1); \"v3.4.2-alpine\" \
         has a suffix, which a range chooses only if `suffix` lists it"
    );
    choice = include(&["9*", "8*"]);
    choice.suffix = suffixes(&["slim"]);
    assert_eq!(
        refused(&choice, listed),
        "no tag of quay.io/a/b matches \"9*\" or \"8*\" with suffix \"slim\" (5 tags, newest v3.4.1)"
    );
    choice = include(&[">=3"]);
    choice.exclude = selectors(&["*"]);
    assert_eq!(
        refused(&choice, listed),
        "`exclude` leaves out all 2 tags of quay.io/a/b that match \">=3\" (5 tags, newest v3.4.1)"
    );
    choice = include(&["late*"]);
    choice.latest = NonZeroUsize::new(1);
    assert_eq!(
        refused(&choice, listed),
        "none of the 1 tags of quay.io/a/b that match \"late*\" has a version for `latest` to count \
         (5 tags, newest v3.4.1)"
    );
    choice = include(&[">=3"]);
    choice.min = 3;
    assert_eq!(
        refused(&choice, listed),
        "2 tags of quay.io/a/b are selected, fewer than the 3 of `min` (5 tags, newest v3.4.1)"
    );
    choice = include(&["*"]);
    choice.newer = Some(Duration::from_hours(7 * 24));
    let mut found = choice.candidates(Some(&tags("1.0 1.1")));
    for candidate in &mut found.candidates {
        candidate.created = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    }
    let nothing = choice.choose(&found, now()).unwrap_err();
    assert_eq!(
        nothing.told("x\u{202e}y"),
        "none of the 2 tags of x\\u{202e}y that match \"*\" is newer than 7 days (2 tags, newest 1.1)"
    );
}

#[test]
fn contradictions_are_found_without_a_list() {
    let other = Digest::of(b"other");
    let latest = NonZeroUsize::new(1);
    let mut two_pins = include(&[&format!("1@sha256:{HEX}")]);
    two_pins.also = selectors(&[&format!("1@{other}")]);
    for (choice, why) in [
        (Tags::default(), "no tags are selected"),
        (
            Tags {
                suffix: suffixes(&["["]),
                ..include(&["*"])
            },
            "invalid suffix \"[\"",
        ),
        (
            Tags {
                per: Some(Per::Major),
                ..include(&["*"])
            },
            "`latest` is missing",
        ),
        (
            Tags {
                latest,
                ..include(&["latest", "^2"])
            },
            "move it to `also`",
        ),
        (two_pins, "pinned to two digests"),
    ] {
        let told = choice.check().unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    for fine in [
        include(&["latest"]),
        Tags {
            latest,
            sort: Sort::Name,
            ..include(&["latest", "^2"])
        },
        Tags {
            latest,
            also: selectors(&["latest"]),
            ..include(&["^2"])
        },
        include(&[&format!("1@sha256:{HEX}"), &format!("1@sha256:{HEX}")]),
    ] {
        assert_eq!(fine.check(), Ok(()));
    }
}

#[test]
fn selectors_that_choose_nothing_are_named() {
    let choice = Tags {
        also: selectors(&["latest", &format!("@sha256:{HEX}")]),
        ..include(&["^1", "^2", "3", "/x.*/"])
    };
    let idle = choice.idle(&tags("1.0 latest"));
    let shown: Vec<String> = idle.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["^2", "3", "/x.*/"]);
}

mod model;
