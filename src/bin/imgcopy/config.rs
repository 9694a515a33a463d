//! What a `sync.yaml` means, and what may stand in it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use imgcopy::sync::config::{Problem, Process, load, schema};

use crate::render;

const CONFIG_EXAMPLES: &str = "\
Examples:
  imgcopy config sync.yaml
  imgcopy config sync.yaml --check
  imgcopy config sync.yaml --format json | jq -r '.images[].from'";

#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Say what is wrong with it, and nothing else
    #[arg(long, conflicts_with = "format")]
    check: bool,

    /// How it is shown
    #[arg(long, value_enum, default_value_t = Written::Yaml)]
    format: Written,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Written {
    /// As YAML, which is a file of the same meaning but for its secrets
    Yaml,
    /// As JSON
    Json,
}

pub(crate) fn config(args: &ConfigArgs) -> ExitCode {
    match (load(&args.file, &Process), args.format) {
        (Err(problems), _) => wrong(&problems),
        (Ok(_), _) if args.check => ExitCode::SUCCESS,
        (Ok(config), Written::Yaml) => render::text(&config.to_yaml()),
        (Ok(config), Written::Json) => render::json(&config.document()),
    }
}

/// Tells all that is wrong with a file. Nothing was done.
pub(crate) fn wrong(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        render::tell(&problem.to_string());
    }
    ExitCode::from(render::USAGE)
}

pub(crate) fn print_schema() -> ExitCode {
    render::json(&schema())
}
