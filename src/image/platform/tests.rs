use super::*;

fn of(text: &str) -> Platform {
    text.parse().unwrap()
}

#[test]
fn what_users_write_is_put_into_gos_words() {
    for (typed, shown) in [
        ("linux/amd64", "linux/amd64"),
        ("Linux/X86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        (
            "windows/amd64:10.0.17763.1234",
            "windows/amd64:10.0.17763.1234",
        ),
        ("windows(10.0.17763)/amd64", "windows/amd64:10.0.17763"),
    ] {
        assert_eq!(of(typed).to_string(), shown, "{typed}");
        assert_eq!(of(shown), of(typed), "{shown} does not come back");
    }
}

#[test]
fn what_is_no_platform_is_refused_and_told_how_to_write_one() {
    for bad in [
        "",
        "amd64",
        "linux",
        "linux/",
        "/amd64",
        "linux/amd64/",
        "linux/arm/v7/x",
        "linux/amd 64",
        "linux/amd64:",
        "linux/\u{1b}",
        "windows(1)/amd64:1",
        "windows(1/amd64",
        "windows1)/amd64",
        &format!("linux/{}", "a".repeat(65)),
    ] {
        let told = bad.parse::<Platform>().unwrap_err().to_string();
        assert!(
            told.contains("linux/amd64") && told.len() < 300,
            "{bad}: {told}"
        );
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

/// Which of the entries is chosen.
fn chosen(wanted: &str, entries: &[&str]) -> Option<usize> {
    let entries: Vec<Platform> = entries.iter().copied().map(of).collect();
    let numbered = entries.iter().enumerate();
    of(wanted).best(numbered.map(|(position, entry)| (entry, position)))
}

#[test]
fn the_best_variant_is_chosen_and_none_that_cannot_run() {
    let arms = ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6", "linux/arm"];
    for (wanted, entries, expected) in [
        ("linux/arm/v7", &arms[..], Some(1)),
        ("linux/arm/v6", &arms, Some(2)),
        ("linux/arm/v8", &arms, Some(1)),
        ("linux/arm/v6", &["linux/arm/v7"], None),
        ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some(1)),
        ("linux/arm/v7", &["linux/arm"], Some(0)),
        ("linux/arm", &arms, Some(3)),
        ("linux/arm", &["linux/arm/v6", "linux/arm/v7"], Some(1)),
        ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1)),
        ("linux/arm64/v8", &["linux/arm64"], Some(0)),
        ("linux/arm64", &["linux/arm64/v9"], None),
        ("linux/arm64/v9", &["linux/arm64/v8"], Some(0)),
        ("linux/amd64", &["linux/amd64/v2"], None),
        (
            "linux/amd64/v3",
            &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"],
            Some(1),
        ),
        ("linux/ppc64le/power10", &["linux/ppc64le"], Some(0)),
        ("linux/ppc64le", &["linux/ppc64le/power10"], None),
        ("linux/amd64", &["windows/amd64", "linux/386"], None),
        ("linux/amd64", &["linux/amd64", "linux/amd64"], Some(0)),
        ("linux/amd64", &[], None),
    ] {
        assert_eq!(
            chosen(wanted, entries),
            expected,
            "{wanted} among {entries:?}"
        );
    }
}

#[test]
fn a_version_of_windows_may_be_given_in_part() {
    let windows = [
        "windows/amd64:10.0.17763.1",
        "windows/amd64:10.0.17763.20",
        "windows/amd64:10.0.177630.2",
        "windows/amd64",
    ];
    for (wanted, expected) in [
        ("windows/amd64", Some(0)),
        ("windows/amd64:10.0.17763", Some(0)),
        ("windows/amd64:10.0.17763.2", None),
        ("windows/amd64:10.0.17763.20", Some(1)),
        ("windows/amd64:10.0.177630", Some(2)),
        ("windows/amd64:10.0.1", None),
    ] {
        assert_eq!(chosen(wanted, &windows), expected, "{wanted}");
    }
}

#[test]
fn windows_versions_are_read() {
    let platform: Platform =
        serde_json::from_str(r#"{"architecture":"amd64","os":"windows","os.version":"10.0.1"}"#)
            .unwrap();
    assert_eq!(platform, of("windows/amd64:10.0.1"));
}

#[test]
fn q80_nobody_who_asks_for_a_machine_gets_an_attestation() {
    let unknown = of("unknown/unknown");
    assert!(unknown.is_unknown());
    assert!(!Platform::of_this_machine().is_served_by(&unknown));
}

#[test]
fn the_list_of_what_there_is_is_short_and_harmless() {
    let evil = Platform {
        os: "\u{1b}[2J".to_string(),
        architecture: "x".repeat(1 << 20),
        ..Platform::default()
    };
    let many: Vec<_> = (0..100).map(|n| of(&format!("linux/cpu{n}"))).collect();
    let offered = [&evil, &evil].into_iter().chain(&many);
    let told = of("linux/s390x").not_among(offered).to_string();
    assert!(told.contains("linux/s390x") && told.contains("linux/cpu1,"));
    assert!(told.ends_with("and 85 more"), "{told}");
    assert!(told.len() < 1000 && !told.contains('\u{1b}'), "{told}");
}
