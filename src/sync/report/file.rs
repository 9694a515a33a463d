//! Writing a report into a file.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Report;
use crate::error::{Attempt as _, Error, ErrorKind, Result};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For programs.
    Json,
    /// For CI systems.
    Junit,
    /// A page for people.
    Html,
    /// Metrics for Prometheus.
    Metrics,
}

impl Form {
    /// What the ending of a file's name asks for: `.json`, `.xml`, `.html` or `.prom`.
    ///
    /// # Errors
    /// `Invalid` for any other.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("json") => Ok(Form::Json),
            Some("xml") => Ok(Form::Junit),
            Some("html" | "htm") => Ok(Form::Html),
            Some("prom") => Ok(Form::Metrics),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "\"{}\" does not tell the form of the report: it ends in .json, .xml (JUnit), .html or .prom",
                    path.display().to_string().escape_debug()
                ),
            )),
        }
    }
}

impl Report {
    /// The report in one of its forms.
    pub fn written(&self, form: Form) -> String {
        match form {
            Form::Json => self.to_json(),
            Form::Junit => self.to_junit(),
            Form::Html => self.to_html(),
            Form::Metrics => self.metrics(),
        }
    }

    /// The report as JSON, which [`Report::parse`] reads.
    pub fn to_json(&self) -> String {
        // It has text for keys and numbers that JSON knows, so nothing can go wrong.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// Writes it into a file, in the form that the file's name asks for. The file is the old one or
    /// the whole new one at any moment.
    ///
    /// # Errors
    /// `Invalid` if the name asks for no form; otherwise whatever writing gives.
    pub fn write(&self, path: &Path) -> Result<()> {
        let form = Form::of(path)?;
        replace(path, self.written(form).as_bytes())
            .attempting(|| format!("cannot write the report {}", path.display()))
    }
}

/// More than any file of metrics has.
const TEXTFILE_LIMIT: u64 = 4 << 20;

impl Report {
    /// Writes metrics for the textfile collector. If this run was no success, the time of the last one
    /// is taken over from the file that is there. The file is the old one or the whole new one at any
    /// moment.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn write_textfile(&self, path: &Path) -> Result<()> {
        let before = text_of(path);
        replace(path, self.metrics_after(before.as_deref()).as_bytes())
            .attempting(|| format!("cannot write the metrics {}", path.display()))
    }
}

/// A text file of a sane size; what cannot be read says nothing.
fn text_of(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(TEXTFILE_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Collectors and web servers run as somebody else: what the umask leaves.
    let mut new = tempfile::Builder::new()
        .prefix(".imgcopy-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}
