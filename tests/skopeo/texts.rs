//! Command lines that are wrong, and what skopeo says of them: scripts look for these texts.

use crate::pair::Pair;

#[test]
fn wrong_command_lines_are_told_in_the_same_words() {
    let Some(pair) = Pair::new() else { return };
    for line in [
        "nonsense",
        "cpy",
        "--nope",
        "copy --nope",
        "copy -z",
        "copy --authfile",
        "copy --retry-times x dir:gzip dir:out",
        "copy --quiet=x dir:gzip dir:out",
        "--command-timeout 1x copy dir:gzip dir:out",
        "--command-timeout 5 copy dir:gzip dir:out",
        "copy --all --multi-arch all dir:gzip dir:out",
        "copy --multi-arch bla dir:gzip dir:out",
        "copy --format bla dir:gzip oci:out",
        "copy --format v2s1 dir:gzip dir:out",
        "copy --src-creds :x dir:gzip dir:out",
        "copy --src-creds a:x --src-no-creds dir:gzip dir:out",
        "copy --src-creds a:x --src-username x dir:gzip dir:out",
        "copy --dest-username x dir:gzip dir:out",
        "copy --dest-password x dir:gzip dir:out",
        "copy --dest-compress-format bla dir:gzip dir:out2",
        "copy --dest-compress --dest-decompress dir:gzip dir:out3",
        "copy --digestfile no/such/file -q dir:gzip dir:out4",
        "copy dir:gzip",
        "copy --encryption-key jwe:k dir:gzip oci:out:a",
        "inspect",
        "inspect --raw --format {{.Name}} dir:gzip",
        "inspect --format {{.Nope}} dir:gzip",
        "list-tags",
        "delete",
        "manifest-digest",
        "manifest-digest nothing",
        "login",
        "logout",
        "standalone-sign a b c -o d",
        "sync a b",
        "sync --src docker a b",
        "sync --src bla --dest dir a b",
        "sync --src dir --dest bla a b",
        "sync --src dir --dest dir a b",
        "sync --src dir --dest docker nothing a",
        "sync --src docker --dest dir Upper a",
        "sync --src docker --dest dir --format bla a:1 b",
        "sync --src yaml --dest dir nothing b",
        "sync --src docker --dest dir --src-daemon-host x a b",
        "sync --nope",
        "--version",
    ] {
        pair.same(line);
    }
    assert_eq!(pair.ours.run("copy dir:gzip").code, Some(1));
    let told = pair.ours.run("").fatal;
    assert_eq!(told, pair.theirs.run("").fatal);
    assert!(told.contains("Missing command"), "{told}");
}

#[test]
fn places_that_are_none_are_told_in_the_same_words() {
    let Some(pair) = Pair::new() else { return };
    let digest = format!("sha256:{}", "0".repeat(64));
    for line in [
        "copy busybox dir:out",
        "copy foo:bar dir:out",
        "copy dir:gzip foo:bar",
        "copy docker://Foo dir:out",
        &format!("copy docker://a:b@{digest} dir:out"),
        "copy dir:nothing dir:out",
        "copy oci:nothing dir:out",
        "copy docker-archive:nothing dir:out",
        "copy docker-archive:single.tar:nothing dir:out",
        "copy -q dir:gzip docker-archive:single.tar:x",
        "inspect nothing",
        "inspect foo:bar",
        "inspect dir:nothing",
        "list-tags oci:gzip",
        "list-tags dir:gzip",
        "list-tags docker://a:b",
        "list-tags busybox",
        "list-tags docker-archive:nothing",
        "delete nothing",
        "delete dir:gzip",
        "delete docker-archive:single.tar",
    ] {
        pair.same(line);
    }
}
