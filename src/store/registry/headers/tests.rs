use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;

use super::challenge::{Challenge, choose};
use super::content::{ETag, digest, media_type};
use super::errors::{Code, RegistryError};
use super::limits::{RateLimit, chunk_min_length, rate_limit, retry_after};
use super::range::{ContentRange, Resumed, Wanted, content_range, resumed};
use super::summary::summary;
use super::*;

fn basic(realm: &str) -> Challenge {
    Challenge::Basic {
        realm: realm.to_string(),
    }
}

fn bearer(realm: &str, service: Option<&str>, scope: &[&str], error: Option<&str>) -> Challenge {
    Challenge::Bearer {
        realm: realm.to_string(),
        service: service.map(String::from),
        scope: scope.iter().map(ToString::to_string).collect(),
        error: error.map(String::from),
    }
}

fn other(scheme: &str) -> Challenge {
    Challenge::Other(scheme.to_string())
}

#[test]
fn q89_challenges_are_read_however_they_are_written() {
    let hub = bearer(
        "https://auth.docker.io/token",
        Some("registry.docker.io"),
        &["repository:library/alpine:pull,push"],
        None,
    );
    let x = || bearer("https://x/t", Some("s"), &[], None);
    let table: Vec<(&[&str], Vec<Challenge>)> = vec![
        (&[], vec![]),
        (&[""], vec![]),
        (&[" , ,"], vec![]),
        (
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push""#,
            ],
            vec![hub],
        ),
        (
            &[r#"Basic realm="a \"b\" \\ c, d=e""#],
            vec![basic(r#"a "b" \ c, d=e"#)],
        ),
        (&["basic"], vec![basic("")]),
        (&["BASIC Realm=simple"], vec![basic("simple")]),
        (&["Basic realm="], vec![basic("")]),
        (
            &[r#"Basic realm="never closed"#],
            vec![basic("never closed")],
        ),
        (&[r#"Basic realm="ends with \"#], vec![basic("ends with ")]),
        // Without quotes, with white space around the marks, in any case.
        (&["bearer realm=https://x/t,service=s"], vec![x()]),
        (
            &["bEaReR  REALM = \"https://x/t\" ,\t service\t=s"],
            vec![x()],
        ),
        (&["Bearer realm=https://x/t service=s"], vec![x()]),
    ];
    for (given, expected) in table {
        assert_eq!(challenge::parse(given), expected, "{given:?}");
    }
}

#[test]
fn q89_several_challenges_may_share_a_value() {
    let x = || bearer("https://x/t", Some("s"), &[], None);
    let table: Vec<(&[&str], Vec<Challenge>)> = vec![
        (
            &["Basic realm=b, Bearer realm=\"https://x/t\",service=s"],
            vec![basic("b"), x()],
        ),
        (
            &["Bearer realm=\"https://x/t\",service=s, Basic realm=b"],
            vec![x(), basic("b")],
        ),
        (
            &["Basic realm=b", "Bearer realm=\"https://x/t\",service=s"],
            vec![basic("b"), x()],
        ),
        (
            &["Negotiate, NTLM TlRMTVNTUAAB==, Basic realm=b"],
            vec![other("Negotiate"), other("NTLM"), basic("b")],
        ),
        (
            &["Negotiate Basic realm=b"],
            vec![other("Negotiate"), basic("b")],
        ),
        (
            &["Digest realm=\"d, Basic realm=evil\", nonce=1, Basic realm=b"],
            vec![other("Digest"), basic("b")],
        ),
    ];
    for (given, expected) in table {
        assert_eq!(challenge::parse(given), expected, "{given:?}");
    }
}

#[test]
fn q89_parameters_belong_to_the_challenge_before_them() {
    let table: Vec<(&[&str], Vec<Challenge>)> = vec![
        // The scope: several in one, and several parameters; the first of any other counts.
        (
            &[
                "Bearer realm=r,scope=\"repository:a:pull  repository:b:pull,push\",scope=registry:catalog:*,realm=evil",
            ],
            vec![bearer(
                "r",
                None,
                &[
                    "repository:a:pull",
                    "repository:b:pull,push",
                    "registry:catalog:*",
                ],
                None,
            )],
        ),
        (
            &["Bearer realm=r,error=\"insufficient_scope\""],
            vec![bearer("r", None, &[], Some("insufficient_scope"))],
        ),
        (&["Bearer"], vec![bearer("", None, &[], None)]),
        // Parameters that belong to nothing, and marks that mean nothing.
        (&["realm=lost, Basic realm=b"], vec![basic("b")]),
        (
            &["\"Basic realm=evil\", @@@ Basic realm=b"],
            vec![basic("b")],
        ),
        (&["é, Basic realm=ü"], vec![basic("ü")]),
    ];
    for (given, expected) in table {
        assert_eq!(challenge::parse(given), expected, "{given:?}");
    }
}

#[test]
fn q89_bearer_comes_before_basic() {
    let token = bearer("https://x/t", None, &[], None);
    let table = [
        (vec![basic("b"), token.clone()], Some(token.clone())),
        (vec![token.clone(), basic("b")], Some(token)),
        (
            vec![other("Negotiate"), basic("b"), basic("c")],
            Some(basic("b")),
        ),
        // Nobody says where the token is to be had.
        (
            vec![bearer("", None, &[], None), basic("b")],
            Some(basic("b")),
        ),
        (vec![bearer("", None, &[], None)], None),
        (vec![other("Negotiate")], None),
        (vec![], None),
    ];
    for (given, expected) in table {
        assert_eq!(choose(&given), expected.as_ref(), "{given:?}");
    }
}

#[test]
fn s23_a_mebibyte_of_header_is_read_to_its_end() {
    // In quadratic time, none of these would end while anybody waits.
    let table = [
        ("", "a"),
        ("", " "),
        ("", "\""),
        ("", "a a="),
        ("", "@"),
        ("Bearer ", "a=\"b\","),
        ("Bearer ", "a=b "),
        ("Bearer ", "= "),
        ("Bearer scope=\"", "\\"),
        ("NTLM ", "a= "),
        ("", "<"),
        ("", "<a>,"),
        ("<a>", ";"),
        ("<a>", ";a=\""),
        ("299 - ", "\"\""),
        ("", "1 - \"a\","),
    ];
    for (begin, pattern) in table {
        let long = pattern.repeat((1 << 20) / pattern.len());
        let value = [format!("{begin}{long}")];
        assert!(challenge::parse(&value).len() <= 32);
        assert_eq!(link::next(&value), None);
        assert!(warning::texts(&value).is_empty(), "{begin}{pattern}");
    }
    let many = vec!["Basic realm=x"; 10_000];
    assert_eq!(challenge::parse(&many).len(), 32);
}

#[test]
fn s36_the_next_page_is_found_among_other_links() {
    let table: [(&[&str], Option<&str>); 21] = [
        (&[], None),
        (&[""], None),
        (
            &["</v2/a/tags/list?last=b&n=1>; rel=\"next\""],
            Some("/v2/a/tags/list?last=b&n=1"),
        ),
        (&["</v2/x>;rel=next"], Some("/v2/x")),
        (&["</v2/x> ; REL = NeXt"], Some("/v2/x")),
        (&["</v2/x>; rel=\"prev next\""], Some("/v2/x")),
        (
            &["</v2/x>; title=\"a, b; rel=no\"; rel=\"next\""],
            Some("/v2/x"),
        ),
        (
            &["</first>; rel=\"first\", </next>; rel=\"next\""],
            Some("/next"),
        ),
        (
            &["</first>; rel=\"first\"", "</next>; rel=\"next\""],
            Some("/next"),
        ),
        (&["</a>; rel=next", "</b>; rel=next"], Some("/a")),
        // The target as it was written: other hosts are somebody else's business.
        (
            &["<https://evil.example/v2/x?last=z>; rel=next"],
            Some("https://evil.example/v2/x?last=z"),
        ),
        // Q-77: not encoded.
        (
            &["</v2/x?last=a,b;c d>; rel=next"],
            Some("/v2/x?last=a,b;c d"),
        ),
        // The first relation counts.
        (&["</v2/x>; rel=prev; rel=next"], None),
        (&["</v2/x>; rel=\"nextish\""], None),
        (&["</v2/x>; next"], None),
        (&["</v2/x>"], None),
        (&["</v2/x; rel=next"], None),
        (&["; rel=next"], None),
        // Without brackets.
        (&["/v2/x?n=1; rel=next"], Some("/v2/x?n=1")),
        (&["<>; rel=next"], Some("")),
        (&[", ,</v2/x>;;;rel=next"], Some("/v2/x")),
    ];
    for (given, expected) in table {
        assert_eq!(link::next(given), expected, "{given:?}");
    }
}

#[test]
fn r05_content_ranges_are_read_strictly() {
    let bytes = |first, last, total| Some(ContentRange::Bytes { first, last, total });
    let table = [
        ("bytes 0-0/1", bytes(0, 0, Some(1))),
        ("bytes 5-9/10", bytes(5, 9, Some(10))),
        (" Bytes 5-9/* ", bytes(5, 9, None)),
        ("bytes */10", Some(ContentRange::Unsatisfied { total: 10 })),
        ("bytes */*", None),
        ("bytes 5-10/10", None),
        ("bytes 9-5/10", None),
        ("bytes 5-/10", None),
        ("bytes -5/10", None),
        ("bytes +5-9/10", None),
        ("bytes 5-9", None),
        ("bytes=5-9/10", None),
        ("items 5-9/10", None),
        ("bytes 0-99999999999999999999/*", None),
        ("", None),
    ];
    for (given, expected) in table {
        assert_eq!(content_range(given), expected, "{given}");
    }
}

fn answer(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

/// The answer to a request for what follows the first five of ten bytes.
fn after_five(status: u16, lines: &[(&'static str, &'static str)]) -> Resumed {
    let wanted = Wanted {
        from: 5,
        size: 10,
        etag: None,
    };
    resumed(status, &answer(lines), &wanted)
}

#[test]
fn f48_the_bytes_that_were_asked_for_go_on() {
    for value in ["bytes 5-9/10", "bytes 5-9/*", "bytes 5-7/10"] {
        let answer = after_five(206, &[("content-range", value)]);
        assert_eq!(answer, Resumed::GoesOn, "{value}");
    }
    assert_eq!(after_five(200, &[]), Resumed::FromStart);
    let ignored = after_five(200, &[("content-range", "bytes 5-9/10")]);
    assert_eq!(ignored, Resumed::FromStart);
}

#[test]
fn f48_no_other_bytes_go_on() {
    let refused = |status, lines: &[_], why: &str| {
        let expected = Resumed::Unusable(why.to_string());
        assert_eq!(after_five(status, lines), expected, "{status} {lines:?}");
    };
    let unclear = "it does not say plainly which bytes it sent";
    for (range, why) in [
        ("bytes 4-9/10", "it sent the bytes from 4 and not from 5"),
        ("bytes 0-9/10", "it sent the bytes from 0 and not from 5"),
        ("bytes 5-9/11", "it has 11 bytes and not 10"),
        ("bytes 5-10/*", "it has 11 bytes and not 10"),
        ("bytes */10", unclear),
        ("bytes 5-9", unclear),
    ] {
        refused(206, &[("content-range", range)], why);
    }
    refused(206, &[], unclear);
    let right = ("content-range", "bytes 5-9/10");
    refused(206, &[right, ("content-range", "bytes 0-9/10")], unclear);
    let parts = ("content-type", "Multipart/ByteRanges; boundary=x");
    refused(206, &[right, parts], "it sent its ranges as multipart");
    let none = ("content-range", "bytes */10");
    refused(416, &[none], "it says that there are no such bytes");
    refused(204, &[], "it answered with status 204");
}

#[test]
fn f48_status_416_at_the_very_end_means_done() {
    let at_the_end = |lines: &[_]| {
        let wanted = Wanted {
            from: 10,
            size: 10,
            etag: None,
        };
        resumed(416, &answer(lines), &wanted)
    };
    assert_eq!(at_the_end(&[]), Resumed::Complete);
    let done = at_the_end(&[("content-range", "bytes */10")]);
    assert_eq!(done, Resumed::Complete);
    let other = at_the_end(&[("content-range", "bytes */12")]);
    let why = "it has 12 bytes and not 10".to_string();
    assert_eq!(other, Resumed::Unusable(why));
}

#[test]
fn f49_another_version_does_not_go_on() {
    let changed = Resumed::Unusable("it has another version meanwhile".to_string());
    let table = [
        (Some("\"a\""), "\"a\"", Resumed::GoesOn),
        (Some("\"a\""), "\"b\"", changed),
        (Some("\"a\""), "W/\"b\"", Resumed::GoesOn),
        (Some("W/\"a\""), "\"b\"", Resumed::GoesOn),
        (None, "\"b\"", Resumed::GoesOn),
    ];
    for (before, now, expected) in table {
        let wanted = Wanted {
            from: 5,
            size: 10,
            etag: before.and_then(ETag::parse),
        };
        let headers = answer(&[("content-range", "bytes 5-9/10"), ("etag", now)]);
        assert_eq!(
            resumed(206, &headers, &wanted),
            expected,
            "{before:?} {now}"
        );
    }
}

#[test]
fn only_strong_tags_serve_for_ranges() {
    let table = [
        ("\"abc\"", Some(ETag::Strong("\"abc\"")), Some("\"abc\"")),
        (" \"\" ", Some(ETag::Strong("\"\"")), Some("\"\"")),
        ("W/\"abc\"", Some(ETag::Weak("W/\"abc\"")), None),
        ("abc", None, None),
        ("\"abc", None, None),
        ("\"", None, None),
        ("\"a\"b\"", None, None),
        ("\"a b\"", None, None),
        ("\"a\r\nx: y\"", None, None),
        ("w/\"abc\"", None, None),
        ("", None, None),
    ];
    for (given, expected, strong) in table {
        let tag = ETag::parse(given);
        assert_eq!(tag, expected, "{given}");
        assert_eq!(tag.and_then(ETag::strong), strong, "{given}");
    }
}

#[test]
fn q87_a_media_type_is_told_without_its_parameters() {
    let table = [
        ("application/json", Some("application/json")),
        (
            " application/json ; charset=utf-8",
            Some("application/json"),
        ),
        ("application/json;a=b;c=d", Some("application/json")),
        ("; charset=utf-8", None),
        ("", None),
    ];
    for (given, expected) in table {
        assert_eq!(media_type(given), expected, "{given}");
    }
}

#[test]
fn q70_an_empty_or_malformed_digest_is_none() {
    let right = format!("sha256:{}", "a".repeat(64));
    let found = digest(&format!(" {right} ")).unwrap();
    assert_eq!(found.to_string(), right);
    for none in ["", " ", "sha256:abc", "latest", "sha256:../../x"] {
        assert_eq!(digest(none), None, "{none}");
    }
}

#[test]
fn q72_the_least_size_of_a_chunk_is_read() {
    let table = [
        ("10485760", Some(10_485_760)),
        (" 0 ", Some(0)),
        ("+1", None),
        ("-1", None),
        ("5 MB", None),
        ("99999999999999999999", None),
        ("", None),
    ];
    for (given, expected) in table {
        assert_eq!(chunk_min_length(given), expected, "{given}");
    }
}

#[test]
fn r03_retry_after_is_relative_to_the_servers_own_clock() {
    let sent = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    let later = "Sun, 06 Nov 1994 08:51:07 GMT";
    let table = [
        ("120", None, Some(120)),
        (" 0 ", None, Some(0)),
        ("-5", None, Some(0)),
        ("99999999999999999999999", None, Some(u64::MAX)),
        (later, sent, Some(90)),
        ("Sunday, 06-Nov-94 08:51:07 GMT", sent, Some(90)),
        ("Sun Nov  6 08:51:07 1994", sent, Some(90)),
        // Before it was sent.
        ("Sun, 06 Nov 1994 08:00:00 GMT", sent, Some(0)),
        // Our clock, as the answer has none: it says 08:50:37.
        (later, None, Some(30)),
        (later, Some("yesterday"), Some(30)),
        ("soon", sent, None),
        ("1.5", sent, None),
        ("+5", sent, None),
        ("-", sent, None),
        ("--5", sent, None),
        ("12 minutes", sent, None),
        ("", sent, None),
    ];
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_837);
    for (given, date, expected) in table {
        let wait = retry_after(given, date, received);
        assert_eq!(wait, expected.map(Duration::from_secs), "{given} {date:?}");
    }
}

#[test]
fn q03_docker_hubs_limit_is_read() {
    let limit = |limit, remaining, window: Option<u64>| {
        Some(RateLimit {
            limit,
            remaining,
            window: window.map(Duration::from_secs),
        })
    };
    let table = [
        (
            Some("100;w=21600"),
            Some("76;w=21600"),
            limit(Some(100), Some(76), Some(21600)),
        ),
        (
            Some(" 100 ; x=1 ; w=60"),
            None,
            limit(Some(100), None, Some(60)),
        ),
        (None, Some("0;w=60"), limit(None, Some(0), Some(60))),
        (Some("100"), Some("7"), limit(Some(100), Some(7), None)),
        (Some("100;w=soon"), None, limit(Some(100), None, None)),
        (Some("many"), Some("7"), limit(None, Some(7), None)),
        (Some("-1"), Some(""), None),
        (None, None, None),
    ];
    for (max, left, expected) in table {
        assert_eq!(rate_limit(max, left), expected, "{max:?} {left:?}");
    }
}

#[test]
fn q99_warnings_are_told_fit_to_be_shown() {
    let table: [(&[&str], &[&str]); 10] = [
        (&["299 - \"Use v2\""], &["Use v2"]),
        (
            &["299 - \"say \\\"hi\\\"\" \"Sun, 06 Nov 1994 08:49:37 GMT\""],
            &["say \"hi\""],
        ),
        (
            &["299 - \"a\", 299 example.com \"b, c\"", "299 - \"d\""],
            &["a", "b, c", "d"],
        ),
        (&["299 - \"\x1b[31m\u{202e}\""], &["\\u{1b}[31m\\u{202e}"]),
        (&["199 - \"cache\"", "110 - \"stale\", 299 - \"a\""], &["a"]),
        (&["299 - unquoted"], &[]),
        (&["299 - \"\""], &[]),
        (&["299 -"], &[]),
        (&["text"], &[]),
        (&["", ",,"], &[]),
    ];
    for (given, expected) in table {
        assert_eq!(warning::texts(given), expected, "{given:?}");
    }
    assert_eq!(warning::texts(&["299 - \"a\""; 100]).len(), 8);
}

#[test]
fn q92_errors_are_read_from_whatever_registries_send() {
    let error = |code, message: &str| RegistryError {
        code,
        message: message.to_string(),
    };
    let unnamed = || Code::Other(String::new());
    let table = [
        (
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
            vec![error(Code::ManifestUnknown, "manifest unknown")],
        ),
        (
            r#"{"errors":[{"code":"blob_upload_unknown"},{"code":"TOO_MANY_REQUESTS","message":null}]}"#,
            vec![
                error(Code::BlobUploadUnknown, ""),
                error(Code::TooManyRequests, ""),
            ],
        ),
        (
            r#"{"errors":[{"status":404,"message":"no such\u001b[31m"},null,7,{}]}"#,
            vec![error(unnamed(), "no such\\u{1b}[31m")],
        ),
        (
            r#"{"errors":[{"code":"HOUSE\nRULE","message":"no"}]}"#,
            vec![error(Code::Other("HOUSE\\nRULE".to_string()), "no")],
        ),
        (
            r#"{"errors":{"code":"DENIED","message":"no"}}"#,
            vec![error(Code::Denied, "no")],
        ),
        (r#"{"errors":null}"#, vec![]),
        (r#"{"errors":[]}"#, vec![]),
        (r#"{"errors":"DENIED"}"#, vec![]),
        ("{}", vec![]),
        ("[]", vec![]),
        ("<html></html>", vec![]),
        (r#"{"errors":[{"code":"DENI"#, vec![]),
        ("", vec![]),
    ];
    for (given, expected) in table {
        assert_eq!(errors::parse(given.as_bytes()), expected, "{given}");
    }
    let deep = "[".repeat(1 << 20);
    assert_eq!(errors::parse(deep.as_bytes()), []);
    let many = format!(
        "{{\"errors\":[{}{{}}]}}",
        r#"{"code":"DENIED"},"#.repeat(1000)
    );
    assert_eq!(errors::parse(many.as_bytes()).len(), 16);
}

#[test]
fn every_code_reads_as_it_is_written() {
    let codes = [
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
        "TAG_IMMUTABLE",
        "TAG_ALREADY_EXISTS",
        "TAG_INVALID",
        "PRECONDITION",
        "UNKNOWN",
    ];
    for code in codes {
        let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        let found = errors::parse(body.as_bytes());
        assert!(!matches!(found[0].code, Code::Other(_)), "{code}");
        assert_eq!(found[0].to_string(), code);
    }
}

/// Status, body, `Content-Type`, and what is told of them.
type Refusal = (u16, &'static str, Option<&'static str>, &'static str);

const JSON: Option<&str> = Some("application/json; charset=utf-8");
const HTML: Option<&str> = Some("text/html");
const TEXT: Option<&str> = Some("text/plain");

fn told(table: &[Refusal]) {
    for (status, body, kind, expected) in table {
        let line = summary(*status, body.as_bytes(), *kind);
        assert_eq!(line, *expected, "{body}");
    }
}

#[test]
fn q92_a_refusal_in_json_is_told_in_one_line() {
    told(&[
        (
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"},{"code":"DENIED","message":"DENIED"},{"message":"why"}]}"#,
            JSON,
            "404 Not Found: MANIFEST_UNKNOWN: manifest unknown; DENIED; why",
        ),
        // The type is wrong or missing; the body counts.
        (
            403,
            r#"{"errors":[{"code":"DENIED"}]}"#,
            HTML,
            "403 Forbidden: DENIED",
        ),
        (
            403,
            r#"{"errors":[{"code":"DENIED"}]}"#,
            None,
            "403 Forbidden: DENIED",
        ),
        (500, "", JSON, "500 Internal Server Error"),
        (500, r#"{"errors":null}"#, JSON, "500 Internal Server Error"),
        (
            500,
            r#"{"message":"a\nb"}"#,
            JSON,
            "500 Internal Server Error: a\\nb",
        ),
        (
            500,
            r#"{"error":"quay says so"}"#,
            JSON,
            "500 Internal Server Error: quay says so",
        ),
        // Fields that may be anything are not shown.
        (
            500,
            r#"{"token":"CANARY","message":7}"#,
            JSON,
            "500 Internal Server Error",
        ),
        (
            500,
            r#"{"errors":[{"detail":"CANARY"}]}"#,
            JSON,
            "500 Internal Server Error",
        ),
        (
            500,
            "{\"token\":\"CANARY",
            JSON,
            "500 Internal Server Error: its answer is no JSON",
        ),
        (
            500,
            "\"a string\"",
            JSON,
            "500 Internal Server Error: a string",
        ),
    ]);
}

#[test]
fn q92_a_refusal_in_plain_text_is_told_in_one_line() {
    told(&[
        // Q-04
        (
            429,
            "Too Many Requests (HAP429)\n",
            TEXT,
            "429 Too Many Requests: Too Many Requests (HAP429)",
        ),
        (429, "too many requests\n", TEXT, "429 Too Many Requests"),
        (404, "404", TEXT, "404 Not Found: 404"),
        (
            400,
            "bin\0ary",
            TEXT,
            "400 Bad Request: 7 bytes of text/plain",
        ),
        (
            400,
            "PK..",
            Some("application/zip"),
            "400 Bad Request: 4 bytes of application/zip",
        ),
        (
            400,
            "\x1b]0;x\x07::error::",
            TEXT,
            "400 Bad Request: \\u{1b}]0;x\\u{7}::error::",
        ),
        (799, "?", None, "799: ?"),
        (799, "", None, "799"),
    ]);
}

#[test]
fn q92_of_a_page_the_title_is_told() {
    told(&[
        (
            413,
            "<html>\r\n<head><TITLE lang=en> 413 Request Entity Too Large </TITLE></head>",
            HTML,
            "413 Payload Too Large: 413 Request Entity Too Large",
        ),
        (
            502,
            "<!DOCTYPE html><p>CANARY",
            HTML,
            "502 Bad Gateway: a page without a title",
        ),
        (
            502,
            "<title",
            HTML,
            "502 Bad Gateway: a page without a title",
        ),
        // F-53
        (
            403,
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message><Sig>CANARY</Sig></Error>",
            Some("application/xml"),
            "403 Forbidden: AccessDenied: Request has expired",
        ),
    ]);
}

#[test]
fn f30_a_summary_is_short_whatever_the_body_is() {
    let bodies = [
        "x".repeat(1 << 20),
        "\x1b".repeat(1 << 20),
        "é".repeat(1 << 20),
        "<".repeat(1 << 20),
        format!("<title>{}</title>", "x".repeat(2000)),
        format!(
            r#"{{"errors":[{{"code":"{0}","message":"{0}"}},{{"message":"{0}"}}]}}"#,
            "\\n".repeat(1000)
        ),
    ];
    for body in bodies {
        for kind in [None, Some("text/html"), Some("x".repeat(1000).as_str())] {
            let line = summary(429, body.as_bytes(), kind);
            assert!(line.chars().count() <= 512, "{line}");
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
    // A character that the cut goes through does not make it binary.
    let cut = format!("a{}", "é".repeat(1 << 15));
    assert!(summary(500, cut.as_bytes(), None).contains("aééé"));
}

#[test]
fn headers_are_found_by_name() {
    let mut headers = answer(&[
        ("link", "</a>; rel=first"),
        ("Link", "</b>; rel=next"),
        ("etag", " \"a\" "),
        ("x-twice", "1"),
        ("x-twice", "1"),
        ("x-differs", "1"),
        ("x-differs", "2"),
    ]);
    let bytes = HeaderValue::from_bytes(b"</caf\xe9>; rel=next").unwrap();
    headers.insert("x-bytes", bytes);
    assert_eq!(link::next(&all(&headers, "link")), Some("/b"));
    assert_eq!(only(&headers, "etag"), Some("\"a\""));
    assert_eq!(only(&headers, "x-twice"), Some("1"));
    assert_eq!(only(&headers, "x-differs"), None);
    assert_eq!(only(&headers, "x-bytes"), None);
    assert_eq!(only(&headers, "missing"), None);
    let lossy = all(&headers, "x-bytes");
    assert_eq!(link::next(&lossy), Some("/caf\u{fffd}"));
}
