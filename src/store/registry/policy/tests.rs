#![allow(clippy::too_many_lines, reason = "tables are long")]

use std::net::IpAddr;

use reqwest::Url;

use super::*;
use crate::error::{ErrorKind, Result};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn origin(text: &str) -> Origin {
    Origin::of(&url(text)).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (text, shown) in [
        ("https://Example.COM:443/v2/?q", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://example.com:443/", "http://example.com:443"),
        ("http://example.com:80", "http://example.com"),
        ("https://[::0001]:5000/", "https://[::1]:5000"),
        ("https://0x7f.1/", "https://127.0.0.1"),
    ] {
        assert_eq!(origin(text).to_string(), shown, "{text}");
    }
    assert_eq!(origin("https://e.example/").port(), 443);
    for none in [
        "ftp://e.example/",
        "data:,x",
        "https://u@e.example/",
        "https://:p@e.example/",
    ] {
        assert_eq!(Origin::of(&url(none)), None, "{none}");
    }
}

#[test]
fn s31_another_scheme_host_or_port_is_another_origin() {
    let registry = origin("https://r.example/v2/");
    for other in [
        "http://r.example:443/",
        "http://r.example/",
        "https://r.example:444/",
        "https://r.example./",
        "https://a.r.example/",
        "https://r.example.evil/",
    ] {
        assert_ne!(registry, origin(other), "{other}");
    }
    assert_eq!(registry, origin("https://R.example:443/elsewhere"));
}

#[test]
fn s32_addresses_that_mean_something_only_near_us_are_not_public() {
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:200::1",
        "2a00::1",
        "3ffe::1",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::1",
    ];
    let near = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "168.63.129.16",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::101:101",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::101:101",
        "2002:a00:1::1",
        "2002:7f00:1::",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "5f00::1",
    ];
    for (addresses, expected) in [(&public[..], true), (&near[..], false)] {
        for address in addresses {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(is_public(parsed), expected, "{address}");
        }
    }
}

#[test]
fn s31_s32_redirects_lead_only_where_they_may() {
    // From, to, and whether a registry at a public and at a private address may send there.
    for (from, to, public, private) in [
        (
            "https://r.example",
            "https://cdn.example/x?sig=1",
            true,
            true,
        ),
        ("https://r.example", "https://r.example:8443/", true, true),
        ("https://r.example", "https://1.1.1.1/", true, true),
        ("http://r.example", "http://cdn.example/", true, true),
        ("http://r.example", "https://cdn.example/", true, true),
        // Never from HTTPS to HTTP.
        ("https://r.example", "http://cdn.example/", false, false),
        ("https://r.example", "http://r.example/", false, false),
        ("https://10.0.0.1", "http://10.0.0.1/", false, false),
        // Near us only from near us.
        ("https://r.example", "https://10.1.2.3/", false, true),
        ("https://10.0.0.1", "https://10.1.2.3/", false, true),
        ("https://r.example", "https://[::1]/", false, true),
        (
            "https://r.example",
            "https://[::ffff:10.0.0.1]/",
            false,
            true,
        ),
        ("https://r.example", "https://localhost/", false, true),
        ("https://r.example", "https://LOCALHOST./", false, true),
        ("https://r.example", "https://x.localhost/", false, true),
        // All ways to write 127.0.0.1.
        ("https://r.example", "https://2130706433/", false, true),
        ("https://r.example", "https://0x7f000001/", false, true),
        ("https://r.example", "https://0177.0.0.1/", false, true),
        ("https://r.example", "https://127.1/", false, true),
        ("https://r.example", "https://127.0.0.1./", false, true),
        ("https://r.example", "https://%31%32%37.0.0.1/", false, true),
        ("https://r.example", "https://１２７.0.0.1/", false, true),
        // The same host is where we are already.
        (
            "https://127.0.0.1:5000",
            "https://127.0.0.1:6000/",
            true,
            true,
        ),
        ("https://[::1]:5000", "https://[0::1]/", true, true),
        // Metadata services give out credentials.
        (
            "http://r.example",
            "http://169.254.169.254/latest/",
            false,
            false,
        ),
        (
            "http://127.0.0.1:5000",
            "http://169.254.169.254/",
            false,
            false,
        ),
        ("http://127.0.0.1:5000", "http://2852039166/", false, false),
        (
            "http://10.0.0.1",
            "http://[::ffff:169.254.169.254]/",
            false,
            false,
        ),
        (
            "http://10.0.0.1",
            "http://[::169.254.169.254]/",
            false,
            false,
        ),
        (
            "http://10.0.0.1",
            "http://[64:ff9b::a9fe:a9fe]/",
            false,
            false,
        ),
        ("http://10.0.0.1", "http://[fe80::1]/", false, false),
        ("http://10.0.0.1", "http://[fd00:ec2::254]/", false, false),
        ("http://10.0.0.1", "http://0.0.0.0/", false, false),
        ("http://10.0.0.1", "http://[::]/", false, false),
        ("http://10.0.0.1", "http://168.63.129.16/", false, false),
        ("http://10.0.0.1", "http://100.100.100.200/", false, false),
        // No users, and no other schemes.
        (
            "https://r.example",
            "https://u:p@cdn.example/",
            false,
            false,
        ),
        (
            "https://r.example",
            "https://r.example@cdn.example/",
            false,
            false,
        ),
        ("https://r.example", "ftp://cdn.example/", false, false),
        ("https://r.example", "file:///etc/passwd", false, false),
        ("https://r.example", "javascript:alert(1)", false, false),
        ("https://r.example", "data:,x", false, false),
    ] {
        let (from, to) = (origin(from), url(to));
        for (registry_is_private, allowed) in [(false, public), (true, private)] {
            let result = may_follow(&from, &to, registry_is_private);
            assert_eq!(
                result.is_ok(),
                allowed,
                "{from} to {to}, {registry_is_private}"
            );
            match result {
                Ok(there) => assert_eq!(Some(there), Origin::of(&to)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Denied),
            }
        }
    }
}

#[test]
fn s35_credentials_go_along_with_an_upload_to_the_same_origin_only() {
    let from = origin("https://r.example/v2/a/blobs/uploads/");
    let to = |text: &str| may_upload_to(&from, &url(text), false);
    for same in ["https://r.example/x?_state=y", "https://r.example:443/x"] {
        assert_eq!(to(same).unwrap(), UploadTo::SameOrigin, "{same}");
    }
    for other in [
        "https://s3.example/x",
        "https://r.example:444/x",
        "https://r.example./x",
    ] {
        let there = UploadTo::Elsewhere(origin(other));
        assert_eq!(to(other).unwrap(), there, "{other}");
    }
    for bad in [
        "http://r.example/x",
        "http://other.example/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/",
        "https://u@r.example/x",
        "javascript:alert(1)",
    ] {
        assert_eq!(kind(to(bad)), ErrorKind::Denied, "{bad}");
    }
    // A registry without TLS may go on where it is, and not send elsewhere without TLS.
    let from = origin("http://127.0.0.1:5000");
    let to = |text: &str| may_upload_to(&from, &url(text), true);
    assert_eq!(to("http://127.0.0.1:5000/x").unwrap(), UploadTo::SameOrigin);
    assert_eq!(kind(to("http://127.0.0.1:5001/x")), ErrorKind::Denied);
    assert_eq!(kind(to("http://10.0.0.1/x")), ErrorKind::Denied);
}

#[test]
fn q73_a_location_is_resolved_and_otherwise_stays_byte_for_byte() {
    let base = url("https://r.example:8443/v2/a/blobs/uploads/?was=here");
    let state = "_state=aB%2b%2B%2f-_~.!*();:@,$/?[]|^`{}\\%7e==&b=&a=1&&x";
    for (header, expected) in [
        (
            "/v2/a/blobs/uploads/1",
            "https://r.example:8443/v2/a/blobs/uploads/1",
        ),
        ("1?x=y", "https://r.example:8443/v2/a/blobs/uploads/1?x=y"),
        ("?x=y", "https://r.example:8443/v2/a/blobs/uploads/?x=y"),
        ("//cdn.example/p", "https://cdn.example/p"),
        ("https://cdn.example:443/p", "https://cdn.example/p"),
        ("http://cdn.example/p", "http://cdn.example/p"),
        (
            "/v2//a/%2F%2f/%41|x~+=,;:@!$&'()*",
            "https://r.example:8443/v2//a/%2F%2f/%41|x~+=,;:@!$&'()*",
        ),
        ("/p?a#fragment", "https://r.example:8443/p?a"),
        // What does not stay as it was.
        ("/a/../b/%2e%2E/c", "https://r.example:8443/c"),
        ("/p?it's", "https://r.example:8443/p?it%27s"),
        ("/p q?r s", "https://r.example:8443/p%20q?r%20s"),
        ("/p\\q", "https://r.example:8443/p/q"),
        ("/^`{}", "https://r.example:8443/^%60%7B%7D"),
    ] {
        assert_eq!(
            location(&base, header).unwrap().as_str(),
            expected,
            "{header}"
        );
    }
    let there = location(&base, &format!("/u?{state}")).unwrap();
    assert_eq!(there.query(), Some(state));
}

#[test]
fn s35_a_location_that_is_no_address_of_a_registry_is_refused() {
    let base = url("https://r.example/v2/");
    let long = format!("/{}", "x".repeat(8 << 10));
    for bad in [
        "",
        "/a\r\nX: y",
        "/a\nb",
        "/a\tb",
        "/a\0",
        "/a\u{7f}",
        "https://",
        &long,
    ] {
        assert_eq!(kind(location(&base, bad)), ErrorKind::Io, "{bad:.20}");
    }
    for bad in [
        "javascript:alert(1)",
        "ftp://r.example/",
        "file:///etc/passwd",
        "https://u:p@r.example/",
        "//u@r.example/",
    ] {
        assert_eq!(kind(location(&base, bad)), ErrorKind::Denied, "{bad}");
    }
    let longest = format!("/{}", "x".repeat((8 << 10) - 1));
    assert!(location(&base, &longest).is_ok());
}

#[test]
fn q73_the_digest_is_appended_and_the_rest_stays() {
    let digest = crate::image::Digest::of(b"x");
    for (before, after) in [
        ("https://r.example/u", "https://r.example/u?digest="),
        ("https://r.example/u?", "https://r.example/u?digest="),
        (
            "https://r.example/u?_state=a%2bB%2F|{}==&&b",
            "https://r.example/u?_state=a%2bB%2F|{}==&&b&digest=",
        ),
    ] {
        let url = with_digest(url(before), &digest);
        assert_eq!(url.as_str(), format!("{after}{digest}"));
    }
}

#[test]
fn s33_tokens_are_asked_for_only_where_they_belong() {
    const OK: bool = true;
    const NO: bool = false;
    // Registry, realm, and whether it may be asked with credentials and without.
    for (registry, at, with, without) in [
        // The same host.
        ("https://r.example", "https://r.example/token", OK, OK),
        (
            "https://r.example:5000",
            "https://r.example:5001/token",
            OK,
            OK,
        ),
        (
            "http://r.example:5000",
            "http://r.example:5001/token",
            OK,
            OK,
        ),
        ("http://r.example:5000", "https://r.example/token", OK, OK),
        ("https://10.0.0.1", "https://10.0.0.1:8443/token", OK, OK),
        // The same site.
        (
            "https://registry-1.docker.io",
            "https://auth.docker.io/token",
            OK,
            OK,
        ),
        ("https://docker.io", "https://auth.docker.io/token", OK, OK),
        (
            "https://registry.gitlab.com",
            "https://gitlab.com/jwt/auth",
            OK,
            OK,
        ),
        (
            "https://registry.example.com",
            "https://gitlab.example.com/jwt/auth",
            OK,
            OK,
        ),
        (
            "https://docker.elastic.co",
            "https://docker-auth.elastic.co/auth",
            OK,
            OK,
        ),
        (
            "https://registry.example.co.uk",
            "https://auth.example.co.uk/",
            OK,
            OK,
        ),
        (
            "https://registry.digitalocean.com",
            "https://api.digitalocean.com/v2/",
            OK,
            OK,
        ),
        (
            "https://registry.cn-hangzhou.aliyuncs.com",
            "https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
            OK,
            OK,
        ),
        // Known.
        (
            "https://rg.fr-par.scw.cloud",
            "https://api.scaleway.com/x",
            OK,
            OK,
        ),
        (
            "https://evilscw.cloud",
            "https://api.scaleway.com/x",
            NO,
            OK,
        ),
        (
            "https://rg.fr-par.scw.cloud",
            "https://api.scaleway.com.evil/x",
            NO,
            OK,
        ),
        // Somebody else's.
        ("https://r.example", "https://evil.example/token", NO, OK),
        ("https://r.good.example", "https://evil.test/token", NO, OK),
        (
            "https://r.example.com",
            "https://r.example.com.evil.net/",
            NO,
            OK,
        ),
        ("https://r.example.com", "https://evilexample.com/", NO, OK),
        ("https://a.co.uk", "https://b.co.uk/", NO, OK),
        ("https://a.com.au", "https://b.com.au/", NO, OK),
        ("https://a.govt.nz", "https://b.govt.nz/", NO, OK),
        ("https://a.sapporo.jp", "https://b.sapporo.jp/", NO, OK),
        (
            "https://victim.azurecr.io",
            "https://evil.azurecr.io/",
            NO,
            OK,
        ),
        (
            "https://a.eu-west-1.elb.amazonaws.com",
            "https://b.eu-west-1.elb.amazonaws.com/",
            NO,
            OK,
        ),
        (
            "https://r.ns.svc.cluster.local",
            "https://x.evil.svc.cluster.local/",
            NO,
            OK,
        ),
        ("https://registry", "https://auth/token", NO, OK),
        ("https://1.2.3.4", "https://9.9.3.4/token", NO, OK),
        // Without TLS.
        (
            "https://r.example.com",
            "http://r.example.com/token",
            NO,
            NO,
        ),
        (
            "https://r.example.com",
            "http://auth.example.com/token",
            NO,
            NO,
        ),
        (
            "http://r.example.com",
            "http://auth.example.com/token",
            NO,
            NO,
        ),
        (
            "http://localhost:5000",
            "http://127.0.0.1:5001/token",
            NO,
            NO,
        ),
        // Near us.
        (
            "https://r.example.com",
            "https://169.254.169.254/token",
            NO,
            NO,
        ),
        ("https://r.example.com", "https://10.0.0.1/token", NO, NO),
        ("https://10.0.0.1", "https://10.0.0.2/token", NO, NO),
        ("https://r.example.com", "https://[::1]/token", NO, NO),
        ("https://r.example.com", "https://2130706433/token", NO, NO),
        ("https://r.example.com", "https://localhost/token", NO, NO),
        // Not at all.
        (
            "https://r.example.com",
            "https://u:p@r.example.com/token",
            NO,
            NO,
        ),
        (
            "https://r.example.com",
            "https://r.example.com@evil.test/",
            NO,
            NO,
        ),
        ("https://r.example.com", "ftp://r.example.com/token", NO, NO),
        (
            "https://r.example.com",
            "null://r.example.com/v2/token",
            NO,
            NO,
        ),
        ("https://r.example.com", "/token", NO, NO),
        (
            "https://r.example.com",
            "https://r.example.com/\r\nX: y",
            NO,
            NO,
        ),
        ("https://r.example.com", "", NO, NO),
    ] {
        let from = origin(registry);
        for (has_credentials, expected) in [(true, with), (false, without)] {
            let got = realm(&from, at, has_credentials, &[]);
            assert_eq!(
                got.is_ok(),
                expected,
                "{registry} names {at}, {has_credentials}"
            );
        }
    }
}

#[test]
fn s33_a_realm_is_trusted_by_its_exact_name() {
    let from = origin("https://r.example.com");
    let trusted = [
        "Auth.test".to_string(),
        "auth.test:8443".to_string(),
        "10.0.0.2".to_string(),
    ];
    for (at, expected) in [
        ("https://auth.test/token", true),
        ("https://auth.test:443/token", true),
        ("https://auth.test:8443/token", true),
        ("https://10.0.0.2/token", true),
        ("https://auth.test:8444/token", false),
        ("http://auth.test/token", false),
        ("https://x.auth.test/token", false),
        ("https://auth.test.evil/token", false),
        ("https://10.0.0.3/token", false),
    ] {
        assert_eq!(realm(&from, at, true, &trusted).is_ok(), expected, "{at}");
    }
}

#[test]
fn s33_messages_say_what_to_do_and_nothing_secret() {
    let from = origin("https://r.example.com");
    let text = |at: &str| realm(&from, at, true, &[]).unwrap_err().to_string();
    assert_eq!(
        text("null://null/repository/x/v2/token"),
        "https://r.example.com names null://null as its token service: set the base URL of the \
         registry (Nexus writes null:// if it has none)"
    );
    assert_eq!(
        text("https://auth.test:1/token?sig=canary"),
        "https://r.example.com names https://auth.test:1 as its token service, which gets no \
         request: it may belong to somebody else; if it is right, name it as a trusted realm"
    );
    for at in [
        "https://canary:canary@auth.test/canary?canary",
        "ftp://canary@auth.test/canary",
    ] {
        assert!(!text(at).contains("canary"), "{at}");
    }
}

#[test]
fn s36_the_next_page_is_at_the_same_host_and_below_v2() {
    let base = url("https://r.example:5000/v2/a/tags/list?n=2");
    for (link, expected) in [
        (
            "/v2/a/tags/list?last=z&n=2",
            "https://r.example:5000/v2/a/tags/list?last=z&n=2",
        ),
        ("?last=z", "https://r.example:5000/v2/a/tags/list?last=z"),
        (
            "list?last=z",
            "https://r.example:5000/v2/a/tags/list?last=z",
        ),
        (
            "https://evil.test/v2/a/tags/list?last=z",
            "https://r.example:5000/v2/a/tags/list?last=z",
        ),
        ("http://u:p@10.0.0.1/v2/x#f", "https://r.example:5000/v2/x"),
        ("//evil.test/v2/x?y", "https://r.example:5000/v2/x?y"),
        (
            "/v2/a/tags/list?last=%2fz%2F",
            "https://r.example:5000/v2/a/tags/list?last=%2fz%2F",
        ),
    ] {
        assert_eq!(next_page(&base, link).unwrap().as_str(), expected, "{link}");
    }
    for bad in [
        "/admin",
        "/v2",
        "/v2x/",
        "/v2/../admin",
        "/v2/%2e%2e/admin",
        "/v2/a/..\\..\\../admin",
        "https://r.example:5000/",
        "javascript:/v2/x",
    ] {
        assert_eq!(kind(next_page(&base, bad)), ErrorKind::Denied, "{bad}");
    }
    assert_eq!(kind(next_page(&base, "")), ErrorKind::Io);
    assert_eq!(kind(next_page(&base, "/v2/x\r\ny")), ErrorKind::Io);
}

#[test]
fn s42_http_is_for_this_machine_or_by_request() {
    use Transport::*;
    for here in [
        "localhost",
        "localhost:5000",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]",
        "[::1]:5000",
    ] {
        let by_default = scheme_for(here, None, false, false);
        assert_eq!(by_default, Http, "{here}");
        let asked = [
            (Some(true), false, false, Https),
            (Some(true), true, false, Https),
            (None, false, true, Https),
            (Some(false), false, false, HttpsUnverifiedThenHttp),
            (None, true, false, HttpsUnverifiedThenHttp),
        ];
        for (verify, insecure, certs, expected) in asked {
            assert_eq!(
                scheme_for(here, verify, insecure, certs),
                expected,
                "{here}"
            );
        }
    }
    for elsewhere in [
        "r.example",
        "10.0.0.1:5000",
        "192.168.0.1",
        "127.0.0.1.evil.com",
        "127.0.0.1.evil.com:5000",
        "localhost.evil",
        "localhost.",
        "xlocalhost",
        "foo.local",
        "x.localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "[::]",
        "[::2]:5000",
        "[::ffff:127.0.0.1]",
        "",
        "[",
    ] {
        assert_eq!(
            scheme_for(elsewhere, None, false, false),
            Https,
            "{elsewhere}"
        );
        let insecure = scheme_for(elsewhere, None, true, false);
        assert_eq!(insecure, HttpsUnverifiedThenHttp, "{elsewhere}");
        let unverified = scheme_for(elsewhere, Some(false), false, true);
        assert_eq!(unverified, HttpsUnverifiedThenHttp, "{elsewhere}");
        assert_eq!(
            scheme_for(elsewhere, Some(true), true, false),
            Https,
            "{elsewhere}"
        );
    }
}
