//! What can be done with reports of `sync`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use imgcopy::error::{Attempt as _, Error};
use imgcopy::sync::report::{Form, Report};

use crate::commands::{Ended, Failure};
use crate::render;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    verb: ReportVerb,
}

#[derive(Debug, Subcommand)]
enum ReportVerb {
    /// Make one report of those that several machines, or a run and its repetition, wrote
    #[command(after_help = MERGE_HELP)]
    Merge(MergeArgs),
}

const MERGE_HELP: &str = "\
Of rows about the same image and destination, that of the latest run counts. A shard of which no
report was given is a failure. Without --output, the JSON goes to stdout.

Examples:
  imgcopy report merge shard-*.json -o all.html -o all.xml

Exit codes: those of the merged report: 0 done, 3 something failed, 4 something was put off";

#[derive(Debug, Args)]
struct MergeArgs {
    /// The reports, as JSON
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    reports: Vec<PathBuf>,

    /// Where it goes; the name ends in .json, .xml (for CI systems), .html or .prom; may be given several times
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
}

pub(crate) fn report(args: &ReportArgs) -> Ended {
    let ReportVerb::Merge(args) = &args.verb;
    for path in &args.output {
        Form::of(path).map_err(Failure::Usage)?;
    }
    let reports: Result<Vec<Report>, Error> = args.reports.iter().map(|path| read(path)).collect();
    let merged = Report::merge(reports?)?;
    if args.output.is_empty() {
        render::bytes(merged.to_json().as_bytes());
    }
    for path in &args.output {
        merged.write(path)?;
    }
    for line in merged.lines() {
        render::tell(&line);
    }
    Ok(ExitCode::from(merged.exit_code()))
}

fn read(path: &Path) -> Result<Report, Error> {
    let what = || format!("cannot read the report {}", path.display());
    let bytes = std::fs::read(path).attempting(what)?;
    Report::parse(&bytes).attempting(what)
}
