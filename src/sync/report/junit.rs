//! `JUnit` XML, which CI systems read: a test case for each row. The form is that of Jenkins' `JUnit`
//! plugin, which GitLab and GitHub's actions take, too.
//!
//! It is written by hand: a handful of elements without names of its own, and text that must be
//! cleaned of what XML cannot hold anyway, which no library does.

use std::fmt::Write as _;
use std::time::Duration;

use super::text::{markup, plain};
use super::{Report, Row, Status};

impl Report {
    /// `JUnit` XML. What failed is a failure; what was put off or left out is skipped; problems that
    /// concern no row and parts without a report are failures of their own.
    pub fn to_junit(&self) -> String {
        let problems = self.all_problems();
        let name = self.run.file.as_deref().unwrap_or("imgcopy");
        let skipped = [Status::Deferred, Status::Skipped, Status::Kept];
        let skipped: u64 = skipped
            .iter()
            .map(|status| self.totals.count(*status))
            .sum();
        let failed = self.totals.count(Status::Failed) + problems.len() as u64;
        let numbers = format!(
            "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{}\"",
            self.totals.rows() + problems.len() as u64,
            time(self.run.took)
        );
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<testsuites name=\"imgcopy\" {numbers}>");
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" timestamp=\"{}\" {numbers}>",
            markup(name),
            // Without fractions and zone, as readers of this form expect it; it is UTC.
            self.run.started.to_string().get(..19).unwrap_or_default()
        );
        for row in &self.rows {
            case(&mut xml, row);
        }
        for problem in &problems {
            let problem = markup(problem);
            let _ = writeln!(
                xml,
                "    <testcase name=\"{problem}\" classname=\"imgcopy\" time=\"0.000\">\n      \
                 <failure message=\"{problem}\" type=\"problem\"/>\n    </testcase>"
            );
        }
        xml.push_str("  </testsuite>\n</testsuites>\n");
        xml
    }

    /// What concerns no row.
    pub(super) fn all_problems(&self) -> Vec<String> {
        let missing = self.missing_shards();
        let missing = missing
            .iter()
            .map(|shard| format!("no report of shard {shard}"));
        self.run.problems.iter().cloned().chain(missing).collect()
    }
}

fn case(xml: &mut String, row: &Row) {
    let _ = write!(
        xml,
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
        markup(&row.destination),
        markup(&row.source),
        time(row.took)
    );
    let reason = row.reason.as_deref().unwrap_or("no reason was told");
    let element = match row.status {
        Status::Failed => failure(row, reason),
        Status::Deferred | Status::Skipped | Status::Kept => {
            format!("<skipped message=\"{}: {}\"/>", row.status, markup(reason))
        }
        _ => {
            xml.push_str("/>\n");
            return;
        }
    };
    let _ = writeln!(xml, ">\n      {element}\n    </testcase>");
}

fn failure(row: &Row, reason: &str) -> String {
    let advice = row
        .advice
        .as_deref()
        .map(|advice| format!("\nhint: {}", markup(advice)));
    let entry = row.entry.as_ref().map(|entry| {
        format!(
            "\nasked for at {}:{}:{}",
            markup(&entry.file),
            entry.line,
            entry.column
        )
    });
    format!(
        "<failure message=\"{}\" type=\"{}\">{}{}{}\nattempts: {}</failure>",
        markup(reason),
        markup(row.kind.as_deref().unwrap_or("failed")),
        markup(&plain(reason)),
        advice.unwrap_or_default(),
        entry.unwrap_or_default(),
        row.attempts
    )
}

fn time(span: Duration) -> String {
    format!("{}.{:03}", span.as_secs(), span.subsec_millis())
}
