use std::time::Duration;

use super::*;

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

fn run(started: &str, seconds: u64) -> Run {
    Run {
        imgcopy: "0.1.0".into(),
        started: started.parse().unwrap(),
        took: Duration::from_secs(seconds),
        file: Some("sync.yaml".into()),
        shards: Vec::new(),
        stopped: None,
        problems: Vec::new(),
        is_merged: false,
    }
}

const NIGHT: &str = "2026-11-21T02:00:00.000Z";

/// One row of each status, and registries.
fn night() -> Report {
    let row = |tag: &str, status| {
        let mut row = Row::new(
            format!("docker://docker.io/library/nginx:{tag}"),
            format!("docker://registry.corp/web/nginx:{tag}"),
            status,
        );
        row.source_digest = Some(digest(tag));
        row.attempts = 1;
        row.requests = 2;
        row.took = Duration::from_millis(40);
        row
    };
    let mut new = row("1.28", Status::New);
    (new.bytes, new.after, new.took) = (31_200_000, Some(digest("1.28")), Duration::from_secs(75));
    let mut updated = row("1.27", Status::Updated);
    (updated.bytes, updated.before, updated.after) =
        (4_100, Some(digest("old")), Some(digest("1.27")));
    let mut same = row("1.26", Status::Same);
    same.before = same.source_digest.clone();
    same.after = same.source_digest.clone();
    let mut kept = row("1.25", Status::Kept);
    kept.reason = Some("the destination has another image, and `change` is keep".into());
    let mut deferred = row("1.24", Status::Deferred);
    deferred.reason = Some("docker.io: 12 of 40 pulls left".into());
    let mut skipped = row("1.23", Status::Skipped);
    skipped.reason = Some("it is younger than 48 h".into());
    let cause = Error::new(ErrorKind::Unauthorized, "401 Unauthorized: \"denied\"");
    let mut failed = row("1.22", Status::Failed).failed(&cause.attempting("cannot read layer x"));
    (failed.attempts, failed.advice) = (5, Some("log in with `imgcopy login docker.io`".into()));
    failed.entry = Some(Entry {
        file: "sync.yaml".into(),
        line: 14,
        column: 5,
    });
    let hosts = vec![
        HostLine {
            host: "registry.corp".into(),
            requests: 14,
            bytes_written: 31_204_100,
            ..HostLine::default()
        },
        HostLine {
            host: "docker.io".into(),
            requests: 11,
            bytes_read: 31_204_100,
            pulls: 2,
            pulls_limit: Some(40),
            pulls_left: Some(12),
            ..HostLine::default()
        },
    ];
    let saved = Saved {
        blobs: 7,
        bytes: 210_000_000,
        mounted: 3,
    };
    let rows = vec![failed, new, skipped, same, kept, updated, deferred];
    Report::new(run(NIGHT, 123), saved, hosts, rows)
}

/// Texts as an enemy would choose them.
const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "]]></failure><failure>",
    "</title></style><b>",
    "&lt;&amp;&#60;",
    "a\n::set-output name=x::y\r\nb",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "\u{202e}gpj.exe\u{0}\u{ffff}\u{fffe}\u{1fffe}",
    "' onmouseover='x' \\\" {label=\"x\"} 1\n# TYPE y",
];

fn hostile() -> Report {
    let rows = HOSTILE.iter().map(|text| {
        let mut row = Row::new(*text, *text, Status::Failed);
        row.reason = Some((*text).to_string());
        row.advice = Some((*text).to_string());
        row.kind = Some((*text).to_string());
        row.entry = Some(Entry {
            file: (*text).to_string(),
            line: 1,
            column: 1,
        });
        row
    });
    let mut rows: Vec<Row> = rows.collect();
    for status in [Status::New, Status::Deferred, Status::Same] {
        let mut row = Row::new(HOSTILE.concat(), HOSTILE.concat(), status);
        row.reason = Some(HOSTILE.concat());
        (row.bytes, row.took) = (1, Duration::from_secs(1));
        rows.push(row);
    }
    let host = |text: &&str| HostLine {
        host: (*text).to_string(),
        pulls_left: Some(1),
        ..HostLine::default()
    };
    let mut run = run(NIGHT, 1);
    run.file = Some(HOSTILE.concat());
    run.stopped = Some(HOSTILE.concat());
    run.problems = HOSTILE.map(String::from).to_vec();
    run.imgcopy = HOSTILE.concat();
    Report::new(
        run,
        Saved::default(),
        HOSTILE.iter().map(host).collect(),
        rows,
    )
}

/// Reads a document as strictly as XML is: elements that close in order, quoted attributes, known
/// references only. Gives the names of the elements in order, and the text between them.
fn elements(document: &str) -> (Vec<String>, Vec<String>) {
    let (mut open, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = document;
    while let Some((text, after)) = rest.split_once('<') {
        assert!(
            !text.contains('>') || open.last() == Some(&"style"),
            "{text}"
        );
        check_references(text);
        texts.push(text.to_string());
        let (tag, more) = after.split_once('>').unwrap();
        rest = more;
        if tag.starts_with(['!', '?']) {
            assert!(open.is_empty());
        } else if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            let inner = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
            assert!(name.bytes().all(|c| c.is_ascii_alphanumeric()), "{name}");
            check_attributes(attributes);
            names.push(name.to_string());
            if inner == tag {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    assert!(!document.chars().any(|c| c.is_control() && c != '\n'));
    (names, texts)
}

fn check_attributes(mut rest: &str) {
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{rest}"));
        let fits = |c: u8| c.is_ascii_lowercase() || c == b'-';
        assert!(name.bytes().all(fits), "{name}");
        let (value, more) = after.split_once('"').unwrap();
        assert!(!value.contains('\n'), "{value}");
        check_references(value);
        rest = more.trim_start();
    }
}

fn check_references(text: &str) {
    for after in text.split('&').skip(1) {
        let (name, _) = after.split_once(';').unwrap();
        assert!(
            ["amp", "lt", "gt", "quot", "#39"].contains(&name),
            "&{name};"
        );
    }
}

#[test]
fn a_report_is_read_as_it_was_written() {
    for report in [night(), hostile()] {
        let json = report.to_json();
        assert_eq!(Report::parse(json.as_bytes()).unwrap(), report);
    }
    insta::assert_snapshot!("json", night().to_json());
}

#[test]
fn what_is_no_report_of_this_version_is_refused() {
    let json = night().to_json();
    for (from, to, why) in [
        ("\"version\": 1", "\"version\": 2", "version 2"),
        ("\"version\": 1,", "", "no report of imgcopy"),
        ("\"requests\": 2", "\"requets\": 2", "unknown field"),
        (
            "\"status\": \"same\"",
            "\"status\": \"like\"",
            "unknown variant",
        ),
        ("\"seconds\": 75.0", "\"seconds\": -1.0", "negative"),
        (NIGHT, "2026-02-30T02:00:00Z", "a time is written like"),
        ("sha256:", "sha256:x", "invalid digest"),
    ] {
        assert!(json.contains(from), "{from}");
        let error = Report::parse(json.replacen(from, to, 1).as_bytes()).unwrap_err();
        let told = Row::new("", "", Status::Same)
            .failed(&error)
            .reason
            .unwrap();
        assert!(told.contains(why), "{told}");
    }
    for bytes in [
        &b""[..],
        b"[]",
        b"\xff",
        b"{\"version\": 1}",
        b"{\"version\": -1}",
    ] {
        assert!(Report::parse(bytes).is_err());
    }
}

#[test]
fn every_form_is_written_as_it_was() {
    insta::assert_snapshot!("junit", night().to_junit());
    insta::assert_snapshot!("html", night().to_html());
    insta::assert_snapshot!("metrics", night().metrics());
    insta::assert_snapshot!("lines", night().lines().join("\n"));
    for document in [night().to_junit(), night().to_html()] {
        elements(&document);
    }
}

#[test]
fn s46_s47_text_from_outside_stays_text_in_every_form() {
    let harmless = Report::new(
        run(NIGHT, 1),
        Saved::default(),
        hostile()
            .hosts
            .iter()
            .map(|_| HostLine::default())
            .collect(),
        hostile()
            .rows
            .iter()
            .map(|row| {
                let mut plain = row.clone();
                let text = || Some("x".to_string());
                (plain.source, plain.destination) = ("x".into(), "x".into());
                (plain.reason, plain.kind) = (text(), text());
                plain.advice = row.advice.as_ref().and_then(|_| text());
                plain
            })
            .collect(),
    );
    let mut harmless = harmless;
    harmless.run.stopped = Some("x".into());
    harmless.run.problems = vec!["x".into(); HOSTILE.len()];
    let sorted = |document: &str| {
        let (mut names, _) = elements(document);
        names.sort();
        names
    };
    // The same elements, whatever the text is; and the text is there to be read.
    assert_eq!(sorted(&hostile().to_html()), sorted(&harmless.to_html()));
    assert_eq!(sorted(&hostile().to_junit()), sorted(&harmless.to_junit()));
    assert!(
        hostile()
            .to_html()
            .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    // A line of a terminal, a log or a metric stays one.
    let is_plain = |line: &str| !line.chars().any(|c| c.is_control() || c == '\u{202e}');
    assert!(hostile().lines().iter().all(|line| is_plain(line)));
    let families = |report: &Report| {
        let text = report.metrics();
        text.lines().filter(|line| line.starts_with('#')).count()
    };
    assert_eq!(families(&hostile()), families(&harmless));
    for line in hostile().metrics().lines() {
        assert!(
            is_plain(line) && (line.starts_with("# ") || line.starts_with("imgcopy_")),
            "{line}"
        );
    }
    assert!(hostile().to_html().contains("default-src 'none'"));
    // An endless answer of a registry does not make the page endless.
    let mut long = Row::new("a", "b", Status::Failed);
    long.reason = Some("<".repeat(1_000_000));
    let page = Report::new(run(NIGHT, 1), Saved::default(), vec![], vec![long]).to_html();
    assert!(page.len() < 40_000, "{}", page.len());
}

#[test]
fn the_exit_code_says_whether_somebody_is_needed() {
    use Status::{Deferred, Failed, Kept, New, Same, Skipped, Updated, WouldCreate, WouldUpdate};
    let with = |statuses: &[Status]| {
        let rows = statuses
            .iter()
            .map(|status| Row::new("a", status.as_str(), *status));
        Report::new(run(NIGHT, 1), Saved::default(), vec![], rows.collect())
    };
    assert_eq!(with(&[]).exit_code(), 0);
    let fine = [New, Updated, Same, Kept, Skipped, WouldCreate, WouldUpdate];
    assert_eq!(with(&fine).exit_code(), 0);
    assert_eq!(with(&[Same, Deferred]).exit_code(), 4);
    assert_eq!(with(&[Same, Failed]).exit_code(), 3);
    assert_eq!(with(&[Failed, Deferred]).exit_code(), 3);
    let mut stopped = with(&[Same]);
    stopped.run.stopped = Some("the deadline was reached".into());
    assert_eq!(stopped.exit_code(), 4);
    stopped.run.problems = vec!["cannot list the tags of x".into()];
    assert_eq!(stopped.exit_code(), 3);
}

#[test]
fn the_order_of_rows_does_not_depend_on_who_was_first() {
    let report = night();
    let mut rows = report.rows.clone();
    rows.reverse();
    let again = Report::new(report.run.clone(), report.saved, report.hosts.clone(), rows);
    assert_eq!(again.to_json(), report.to_json());
}

fn part(index: u32, started: &str, rows: Vec<Row>) -> Report {
    let mut run = run(started, 60);
    run.shards = vec![Shard { of: 3, index }];
    let host = HostLine {
        host: "r".into(),
        requests: 10,
        pulls_left: Some(30 - u64::from(index)),
        ..HostLine::default()
    };
    Report::new(
        run,
        Saved {
            blobs: 1,
            bytes: 2,
            mounted: 1,
        },
        vec![host],
        rows,
    )
}

#[test]
fn parts_become_one_report_in_any_order() {
    let row = |name: &str, status| Row::new("s", name, status);
    let parts = [
        part(0, "2026-11-21T02:00:00Z", vec![row("a", Status::New)]),
        part(
            1,
            "2026-11-21T02:00:30Z",
            vec![row("b", Status::Failed), row("c", Status::Same)],
        ),
        part(2, "2026-11-21T02:00:10Z", vec![]),
    ];
    let merged = Report::merge(parts.to_vec()).unwrap();
    assert_eq!(merged.totals.rows(), 3);
    assert_eq!(merged.run.took, Duration::from_secs(90));
    assert_eq!(merged.run.started.to_string(), NIGHT);
    assert_eq!(merged.run.file.as_deref(), Some("sync.yaml"));
    assert_eq!(
        merged.saved,
        Saved {
            blobs: 3,
            bytes: 6,
            mounted: 3
        }
    );
    assert_eq!(
        (merged.hosts[0].requests, merged.hosts[0].pulls_left),
        (30, Some(28))
    );
    assert!(merged.missing_shards().is_empty());
    assert_eq!(merged.exit_code(), 3);
    let mut other = parts.to_vec();
    other.rotate_left(1);
    assert_eq!(Report::merge(other).unwrap(), merged);
    // Merged once more with the repetition of what failed, which was done then.
    let mut again = part(1, "2026-11-21T03:00:00Z", vec![row("b", Status::New)]);
    again.run.shards.clear();
    let done = Report::merge(vec![again, merged]).unwrap();
    assert_eq!((done.totals.rows(), done.exit_code()), (3, 0));
    assert!(Report::merge(vec![]).is_err());
}

#[test]
fn a_part_without_a_report_is_a_failure() {
    let row = || vec![Row::new("s", "d", Status::Same)];
    let alone = part(0, NIGHT, row());
    assert_eq!(alone.exit_code(), 0);
    let merged = Report::merge(vec![alone, part(2, NIGHT, row())]).unwrap();
    assert_eq!(merged.missing_shards(), [Shard { of: 3, index: 1 }]);
    assert_eq!(merged.exit_code(), 3);
    for text in [
        merged.lines().join("\n"),
        merged.to_html(),
        merged.to_junit(),
    ] {
        assert!(text.contains("no report of shard 1/3"), "{text}");
    }
    assert!(!merged.metrics().contains("last_success"));
}

#[test]
fn times_are_written_and_read_in_utc() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2000-02-29T12:00:00.000Z", 951_825_600),
        ("2026-11-21T02:00:00.000Z", 1_795_226_400),
        ("2100-03-01T00:00:00.000Z", 4_107_542_400),
        ("9999-12-31T23:59:59.000Z", 253_402_300_799),
    ] {
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Moment::from(time).to_string(), text);
        assert_eq!(text.parse::<Moment>().unwrap(), Moment::from(time));
    }
    for bad in [
        "",
        "2026-11-21",
        "2026-11-21T02:00:00+01:00",
        "2026-11-21 02:00:00.000Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-11-21T02:00:0éZ",
        "0000-01-01T00:00:00Z",
    ] {
        assert!(bad.parse::<Moment>().is_err(), "{bad}");
    }
}

#[test]
fn the_ending_of_the_file_is_the_form() {
    let folder = tempfile::tempdir().unwrap();
    for (name, beginning) in [
        ("a.json", "{"),
        ("a.xml", "<?xml"),
        ("a.HTML", "<!DOCTYPE html>"),
        ("a.prom", "# HELP"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, "older").unwrap();
        night().write(&path).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with(beginning),
            "{name}"
        );
    }
    for bad in ["a.pdf", "a", ".json.", "-"] {
        let error = night().write(&folder.path().join(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    // Where it cannot be written, what was there stays, and nothing is left over.
    let error = night()
        .write(&folder.path().join("none/a.json"))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("cannot write the report"),
        "{error}"
    );
    std::fs::create_dir(folder.path().join("b.json")).unwrap();
    assert!(night().write(&folder.path().join("b.json")).is_err());
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 5);
}

#[test]
fn a_report_can_be_read_by_others_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("a.prom"), folder.path().join("b"));
    night().write(&ours).unwrap();
    std::fs::write(&plain, "").unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn numbers_are_told_in_units_of_their_size() {
    for (bytes, shown) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (31_204_100, "31.2 MB"),
        (999_999_999, "999.9 MB"),
        (u64::MAX, "18.4 EB"),
    ] {
        assert_eq!(text::size(bytes), shown);
    }
    for (millis, shown) in [
        (40, "40 ms"),
        (59_999, "59.9 s"),
        (75_000, "1 min 15 s"),
        (7_500_000, "2 h 5 min"),
    ] {
        assert_eq!(text::span(Duration::from_millis(millis)), shown);
    }
}
