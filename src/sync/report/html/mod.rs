//! The report as one page for a person: nothing is loaded, nothing runs.

mod sections;

use std::fmt::Write as _;

use super::text::{count, markup, size, span};
use super::{Report, Status};

/// How the page looks.
const STYLE: &str = include_str!("page.css");

impl Report {
    /// HTML, well-formed as XML, too. Everything that comes from outside is escaped; if something
    /// ever were not, the page forbids scripts and loads nothing (S-46).
    pub fn to_html(&self) -> String {
        let title = match &self.run.file {
            Some(file) => format!("imgcopy: {}", markup(file)),
            None => "imgcopy".to_string(),
        };
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        );
        self.head(&mut page, &title);
        self.failures_section(&mut page);
        self.put_off_section(&mut page);
        self.changes_section(&mut page);
        self.registries_section(&mut page);
        self.longest_section(&mut page);
        self.everything_section(&mut page);
        page.push_str("</body>\n</html>\n");
        page
    }

    fn head(&self, page: &mut String, title: &str) {
        let (look, verdict) = self.verdict();
        let _ = writeln!(
            page,
            "<h1>{title}</h1>\n<p class=\"{look}\"><b>{verdict}</b></p>"
        );
        let shards: Vec<String> = self.run.shards.iter().map(ToString::to_string).collect();
        let shards = match shards.as_slice() {
            [] => String::new(),
            shards => format!(", shard {}", shards.join(", ")),
        };
        let _ = writeln!(
            page,
            "<p class=\"dim\">Began {}, took {}{shards}. imgcopy {}.</p>",
            self.run.started,
            span(self.run.took),
            markup(&self.run.imgcopy)
        );
        page.push_str("<ul class=\"tiles\">\n");
        for status in Status::ALL {
            let count = self.totals.count(status);
            if count > 0 {
                let class = class(status);
                let _ = writeln!(page, "<li class=\"{class}\"><b>{count}</b>{status}</li>");
            }
        }
        let requests = self.requests();
        for (number, what) in [
            (size(self.totals.bytes), "written"),
            (requests.to_string(), "requests"),
            (size(self.saved.bytes), "saved by sharing"),
        ] {
            let _ = writeln!(page, "<li><b>{number}</b>{what}</li>");
        }
        page.push_str("</ul>\n");
        let saved = &self.saved;
        if saved.blobs > 0 {
            let _ = writeln!(
                page,
                "<p class=\"dim\">{} that several images share did not travel again, {} of them \
                 mounted from another repository.</p>",
                count(saved.blobs, "blob"),
                saved.mounted
            );
        }
    }

    /// How it went, in a sentence, and how that looks.
    fn verdict(&self) -> (&'static str, String) {
        let failed = self.totals.count(Status::Failed);
        let problems = self.all_problems().len() as u64;
        let stopped = self
            .run
            .stopped
            .as_deref()
            .map(|why| format!(" Stopped early: {}.", markup(why)));
        let stopped = stopped.unwrap_or_default();
        match self.exit_code() {
            3 if problems == 0 => (
                "bad",
                format!("{failed} of {} failed.{stopped}", self.totals.rows()),
            ),
            3 => {
                let problems = count(problems, "problem");
                (
                    "bad",
                    format!(
                        "{failed} of {} failed, and {problems}.{stopped}",
                        self.totals.rows()
                    ),
                )
            }
            4 => {
                let deferred = self.totals.count(Status::Deferred);
                (
                    "wait",
                    format!("Nothing failed, {deferred} put off to a later run.{stopped}"),
                )
            }
            _ => match self.totals.changes() {
                0 => (
                    "good",
                    "All is as it should be; nothing changed.".to_string(),
                ),
                changes => ("good", format!("Done: {}.", count(changes, "change"))),
            },
        }
    }
}

/// The class of a status in the style sheet.
fn class(status: Status) -> &'static str {
    match status {
        Status::Failed => "bad",
        Status::Deferred | Status::Skipped | Status::Kept => "wait",
        Status::Same => "dim",
        _ => "good",
    }
}
