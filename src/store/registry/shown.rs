//! What may be shown of what came from outside or holds secrets: in errors, reports and logs.
//!
//! Everything here allows what is known to be harmless and hides the rest (S-40), so a new kind of
//! secret is hidden before anybody knows of it.

use reqwest::Url;
use reqwest::header::HeaderMap;

/// What stands in the place of something that may be a secret.
const REDACTED: &str = "REDACTED";

/// How long a text from outside may be, in characters.
const LENGTH: usize = 512;

/// Parameters of a query that hold no secrets: those of the distribution specification and of
/// the request for a token. Signed URLs and upload states have others.
const PARAMETERS: [&str; 8] = [
    "scope",
    "service",
    "mount",
    "from",
    "digest",
    "n",
    "last",
    "artifactType",
];

/// Headers that hold no secrets. Not among them: `location` and `link` (signed URLs), cookies, and
/// whatever has to do with authentication.
const HEADERS: [&str; 38] = [
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "docker-content-digest",
    "docker-distribution-api-version",
    "docker-upload-uuid",
    "etag",
    "if-match",
    "if-none-match",
    "if-range",
    "last-modified",
    "oci-chunk-min-length",
    "oci-filters-applied",
    "oci-namespace",
    "oci-subject",
    "oci-tag",
    "range",
    "ratelimit-limit",
    "ratelimit-remaining",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "warning",
    "x-amz-request-id",
    "x-ms-request-id",
    "x-request-id",
];

/// More headers than this are not shown one by one.
const MOST_HEADERS: usize = 100;

/// A URL without what may be a secret: no user, no password, no fragment, and of the query only what is
/// known to be harmless. Names of parameters are kept, since they tell whose URL it is.
pub(crate) fn url(url: &Url) -> String {
    let scheme = url.scheme();
    let Some(host) = url.host_str() else {
        // "data:..." and the like are content and no address.
        return text(&format!("{scheme}:{REDACTED}"));
    };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let query = url.query().map_or(String::new(), |query| {
        let pairs: Vec<String> = query.split('&').map(pair).collect();
        format!("?{}", pairs.join("&"))
    });
    text(&format!("{scheme}://{host}{port}{}{query}", url.path()))
}

/// A name must be spelt just so: one that is spelt in another way is another name.
fn pair(pair: &str) -> String {
    match pair.split_once('=') {
        _ if pair.is_empty() => String::new(),
        Some((name, _)) if PARAMETERS.contains(&name) => pair.to_string(),
        // Without a value, or with padding alone, what looks like a name may be the secret itself.
        Some((name, value)) if !value.trim_matches('=').is_empty() => format!("{name}={REDACTED}"),
        _ => REDACTED.to_string(),
    }
}

/// Text from outside in one line of at most 512 characters, in which nothing can move the cursor,
/// end the line, or turn the direction of writing: such characters are escaped, as `\n` and
/// `\u{202e}` (S-46, S-47). Quotes and backslashes stay, so doing it twice does no harm.
pub(crate) fn text(text: &str) -> String {
    cut(text, LENGTH)
}

/// As [`text`], with at most `length` characters. An ellipsis stands for what is cut off.
pub(crate) fn cut(text: &str, length: usize) -> String {
    let mut shown = String::new();
    let (mut used, mut whole) = (0, 0);
    for c in text.chars() {
        let escaped = escaped(c);
        used += escaped.chars().count();
        if used > length {
            shown.truncate(whole);
            shown.push('…');
            break;
        }
        shown.push_str(&escaped);
        if used < length {
            // The ellipsis has room after this.
            whole = shown.len();
        }
    }
    shown
}

fn escaped(c: char) -> String {
    match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}

/// Headers in one line, for logs. Names are all shown, values only where they are known to hold
/// no secret.
pub(crate) fn headers(headers: &HeaderMap) -> String {
    let each = headers.iter().take(MOST_HEADERS).map(|(name, value)| {
        let harmless = HEADERS.contains(&name.as_str()) && !value.is_sensitive();
        let value = match harmless {
            true => text(&String::from_utf8_lossy(value.as_bytes())),
            false => REDACTED.to_string(),
        };
        format!("{}: {value}", text(name.as_str()))
    });
    let mut shown: Vec<String> = each.collect();
    if let Some(more) = headers.len().checked_sub(MOST_HEADERS + 1) {
        shown.push(format!("and {} more", more + 1));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn s40_a_url_shows_no_secret() {
        let table = [
            ("https://user:CANARY@ghcr.io/v2/", "https://ghcr.io/v2/"),
            (
                "https://CANARY@ghcr.io:8443/v2/?scope=repository:a:pull&account=CANARY&service=x",
                "https://ghcr.io:8443/v2/?scope=repository:a:pull&account=REDACTED&service=x",
            ),
            (
                "https://cdn.example/b?X-Amz-Signature=CANARY&X-Amz-Date=CANARY",
                "https://cdn.example/b?X-Amz-Signature=REDACTED&X-Amz-Date=REDACTED",
            ),
            // No name, padding alone, and a name that is only spelt alike.
            ("https://a/b?CANARY", "https://a/b?REDACTED"),
            ("https://a/b?CANARY==", "https://a/b?REDACTED"),
            ("https://a/b?Scope=CANARY", "https://a/b?Scope=REDACTED"),
            (
                "https://a/b?_state=CANARY&digest=sha256:1",
                "https://a/b?_state=REDACTED&digest=sha256:1",
            ),
            ("https://a/b?x=1?scope=CANARY", "https://a/b?x=REDACTED"),
            (
                "https://a/b?n=5&last=v1&artifactType=z#CANARY",
                "https://a/b?n=5&last=v1&artifactType=z",
            ),
            ("https://[::1]:5000/v2/", "https://[::1]:5000/v2/"),
            ("data:text/plain,CANARY", "data:REDACTED"),
            ("http://a/?", "http://a/?"),
        ];
        for (given, expected) in table {
            let shown = url(&given.parse().unwrap());
            assert_eq!(shown, expected);
            assert!(!shown.contains("CANARY"));
        }
    }

    #[test]
    fn s40_headers_show_what_is_known_to_be_harmless() {
        let mut given = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("authorization", "Bearer CANARY"),
            ("proxy-authorization", "Basic CANARY"),
            ("set-cookie", "session=CANARY"),
            ("location", "https://cdn/?sig=CANARY"),
            ("link", "</v2/?token=CANARY>; rel=next"),
            ("x-invented-tomorrow", "CANARY"),
        ] {
            given.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let mut sensitive = HeaderValue::from_static("CANARY");
        sensitive.set_sensitive(true);
        given.insert("etag", sensitive);
        let shown = headers(&given);
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(shown.contains("content-type: application/json"), "{shown}");
        assert!(shown.contains("authorization: REDACTED"), "{shown}");
        assert!(shown.contains("x-invented-tomorrow: REDACTED"), "{shown}");
    }

    #[test]
    fn headers_without_end_are_counted_only() {
        let mut given = HeaderMap::new();
        for at in 0..1000 {
            let name: HeaderName = format!("x-{at}").parse().unwrap();
            given.insert(name, HeaderValue::from_static("1"));
        }
        assert!(headers(&given).ends_with(", and 900 more"));
    }

    #[test]
    fn s46_no_control_character_reaches_a_terminal() {
        let table = [
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{7f}\0", "\\u{7f}\\0"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("it's \"fine\" \\ Füße 日本", "it's \"fine\" \\ Füße 日本"),
        ];
        for (given, expected) in table {
            assert_eq!(text(given), expected);
            assert_eq!(text(expected), expected, "doing it twice changes nothing");
        }
        let bidi = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{feff}'].into_iter();
        let bidi = bidi
            .chain('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}');
        for c in ('\0'..=' ').chain('\x7f'..='\u{9f}').chain(bidi) {
            let shown = text(&c.to_string());
            assert_eq!(shown.contains(c), c == ' ', "{shown}");
        }
    }

    #[test]
    fn s47_a_line_of_a_log_cannot_be_forged() {
        let shown = text("v1\n::set-output name=x::y\r\n##vso[task]");
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.starts_with("v1\\n::set-output"));
    }

    #[test]
    fn text_is_cut_between_whole_characters_and_escapes() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        assert_eq!(cut("日本語日本", 4), "日本語…");
        // The escape would need eight characters.
        assert_eq!(cut("ab\u{202e}", 5), "ab…");
        assert_eq!(cut("ab\u{202e}", 10), "ab\\u{202e}");
        assert_eq!(cut("\n\n\n", 5), "\\n\\n…");
        let long = text(&"\x1b".repeat(1 << 20));
        assert!(long.chars().count() <= 512 && long.ends_with("\\u{1b}…"));
    }
}
