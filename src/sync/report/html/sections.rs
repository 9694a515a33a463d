//! The parts of the page below its head.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::super::text::{count, markup, size, span};
use super::super::{HostLine, Report, Row, Status};
use super::class;
use crate::image::Digest;

/// How many of the longest copies are shown.
const LONGEST: usize = 10;

/// Up to how many rows everything is listed. Browsers become slow after some ten thousand.
const ROWS: usize = 20_000;

impl Report {
    pub(super) fn failures_section(&self, page: &mut String) {
        let problems = self.all_problems();
        if self.failed().next().is_none() && problems.is_empty() {
            return;
        }
        page.push_str("<h2>What failed, and why</h2>\n");
        for problem in problems {
            let _ = writeln!(page, "<div class=\"card\">{}</div>", markup(&problem));
        }
        for row in self.failed() {
            card(page, row);
        }
    }

    pub(super) fn put_off_section(&self, page: &mut String) {
        let left = [Status::Deferred, Status::Skipped, Status::Kept];
        let mut rows = left
            .into_iter()
            .flat_map(|status| self.rows_with(status))
            .peekable();
        if rows.peek().is_none() {
            return;
        }
        page.push_str("<h2>What was put off, skipped or kept</h2>\n");
        begin_table(page, &["Status", "Destination", "Source", "Why"]);
        for row in rows {
            let reason = row.reason.as_deref().unwrap_or_default();
            let _ = writeln!(
                page,
                "<tr><td class=\"wait\">{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>",
                row.status,
                markup(&row.destination),
                markup(&row.source),
                markup(reason)
            );
        }
        end_table(page);
    }

    pub(super) fn changes_section(&self, page: &mut String) {
        let mut rows = self
            .rows
            .iter()
            .filter(|row| row.status.is_change())
            .peekable();
        if rows.peek().is_none() {
            return;
        }
        page.push_str("<h2>What changed</h2>\n");
        begin_table(
            page,
            &["Status", "Destination", "Source", "Before", "Now", "#Bytes"],
        );
        for row in rows {
            let after = row.after.as_ref().or(row.source_digest.as_ref());
            let _ = writeln!(
                page,
                "<tr><td class=\"good\">{}</td><td><code>{}</code></td><td><code>{}</code></td>\
                 <td>{}</td><td>{}</td><td class=\"number\">{}</td></tr>",
                row.status,
                markup(&row.destination),
                markup(&row.source),
                digest(row.before.as_ref()),
                digest(after),
                size(row.bytes)
            );
        }
        end_table(page);
    }

    pub(super) fn registries_section(&self, page: &mut String) {
        if self.hosts.is_empty() {
            return;
        }
        page.push_str("<h2>Registries</h2>\n");
        begin_table(
            page,
            &[
                "Registry",
                "#Read",
                "#Written",
                "#Requests",
                "#Pulls counted",
                "#Pulls left",
                "Share",
            ],
        );
        let moved = |host: &HostLine| host.bytes_read.saturating_add(host.bytes_written);
        let most = self
            .hosts
            .iter()
            .map(moved)
            .max()
            .unwrap_or_default()
            .max(1);
        let mut hosts: Vec<&HostLine> = self.hosts.iter().collect();
        hosts.sort_by_key(|host| Reverse(moved(host)));
        for host in hosts {
            let left = match (host.pulls_left, host.pulls_limit) {
                (Some(left), Some(limit)) => format!("{left} of {limit}"),
                (Some(left), None) => left.to_string(),
                _ => String::new(),
            };
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
                 <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{left}</td>\
                 <td><meter min=\"0\" max=\"{most}\" value=\"{}\"></meter></td></tr>",
                markup(&host.host),
                size(host.bytes_read),
                size(host.bytes_written),
                host.requests,
                host.pulls,
                moved(host)
            );
        }
        end_table(page);
    }

    pub(super) fn longest_section(&self, page: &mut String) {
        let mut rows: Vec<&Row> = (self.rows.iter())
            .filter(|row| row.bytes > 0 && !row.took.is_zero())
            .collect();
        if rows.is_empty() {
            return;
        }
        rows.sort_by_key(|row| Reverse(row.took));
        page.push_str("<h2>The longest copies</h2>\n");
        begin_table(page, &["Destination", "#Time", "#Bytes", "#Tries"]);
        for row in rows.into_iter().take(LONGEST) {
            let _ = writeln!(
                page,
                "<tr><td><code>{}</code></td><td class=\"number\">{}</td>\
                 <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                markup(&row.destination),
                span(row.took),
                size(row.bytes),
                row.attempts
            );
        }
        end_table(page);
    }

    pub(super) fn everything_section(&self, page: &mut String) {
        let all = self.rows.len();
        let _ = writeln!(page, "<details>\n<summary>Everything ({all})</summary>");
        if all > ROWS {
            let _ = writeln!(
                page,
                "<p class=\"dim\">The first {ROWS}; the JSON report has all.</p>"
            );
        }
        begin_table(
            page,
            &[
                "Status",
                "Destination",
                "Source",
                "Digest",
                "#Bytes",
                "#Requests",
                "#Time",
            ],
        );
        for row in self.rows.iter().take(ROWS) {
            let after = row.after.as_ref().or(row.source_digest.as_ref());
            let _ = writeln!(
                page,
                "<tr><td class=\"{}\">{}</td><td><code>{}</code></td><td><code>{}</code></td><td>{}</td>\
                 <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                class(row.status),
                row.status,
                markup(&row.destination),
                markup(&row.source),
                digest(after),
                size(row.bytes),
                row.requests,
                span(row.took)
            );
        }
        end_table(page);
        page.push_str("</details>\n");
    }
}

/// Begins a table; the columns that a `#` stands before hold numbers.
fn begin_table(page: &mut String, columns: &[&str]) {
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for column in columns {
        let _ = match column.strip_prefix('#') {
            Some(name) => write!(page, "<th class=\"number\">{name}</th>"),
            None => write!(page, "<th>{column}</th>"),
        };
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

fn end_table(page: &mut String) {
    page.push_str("</tbody>\n</table></div>\n");
}

fn card(page: &mut String, row: &Row) {
    let _ = writeln!(
        page,
        "<div class=\"card\">\n<p><code>{}</code> <span class=\"dim\">from</span> <code>{}</code></p>\n\
         <p class=\"bad\">{}</p>",
        markup(&row.destination),
        markup(&row.source),
        markup(row.reason.as_deref().unwrap_or("no reason was told"))
    );
    if let Some(advice) = &row.advice {
        let _ = writeln!(page, "<p>Advice: {}</p>", markup(advice));
    }
    let entry = row.entry.as_ref().map(|entry| {
        format!(
            ", asked for at {}:{}:{}",
            markup(&entry.file),
            entry.line,
            entry.column
        )
    });
    let attempts = count(u64::from(row.attempts), "attempt");
    let entry = entry.unwrap_or_default();
    let _ = writeln!(page, "<p class=\"dim\">{attempts}{entry}</p>\n</div>");
}

/// A digest, short, and whole for whoever points at it.
fn digest(digest: Option<&Digest>) -> String {
    match digest {
        Some(digest) => format!("<code title=\"{digest}\">{}</code>", digest.short()),
        None => String::new(),
    }
}
