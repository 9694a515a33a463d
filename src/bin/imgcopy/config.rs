//! What a `sync.yaml` means, and what may stand in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use imgcopy::sync::config::{Problem, Process, Surroundings as _, Tool, convert, load, schema};

use crate::render;

const CONFIG_EXAMPLES: &str = "\
Examples:
  imgcopy config sync.yaml
  imgcopy config sync.yaml --check
  imgcopy config --from regsync regsync.yml > sync.yaml
  imgcopy config sync.yaml --format json | jq -r '.images[].from'";

#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    /// The file; with --from, that of another tool
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Say what is wrong with it, and nothing else
    #[arg(long, conflicts_with = "format")]
    check: bool,

    /// Translate another tool's file; what cannot be said is told, and a comment
    #[arg(long, value_enum, value_name = "TOOL", conflicts_with_all = ["check", "format"])]
    from: Option<Other>,

    /// How it is shown
    #[arg(long, value_enum, default_value_t = Written::Yaml)]
    format: Written,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Other {
    /// regsync.yml of regclient
    Regsync,
    /// The YAML file of `skopeo sync --src yaml`
    Skopeo,
    /// dregsy's
    Dregsy,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Written {
    /// As YAML, which is a file of the same meaning but for its secrets
    Yaml,
    /// As JSON
    Json,
}

pub(crate) fn config(args: &ConfigArgs) -> ExitCode {
    if let Some(other) = args.from {
        return translated(&args.file, other);
    }
    match (load(&args.file, &Process), args.format) {
        (Err(problems), _) => wrong(&problems),
        (Ok(_), _) if args.check => ExitCode::SUCCESS,
        (Ok(config), Written::Yaml) => render::text(&config.to_yaml()),
        (Ok(config), Written::Json) => render::json(&config.document()),
    }
}

/// Prints what another tool's file is here. What could not be translated is told as well: somebody
/// must look at it.
fn translated(file: &Path, other: Other) -> ExitCode {
    let tool = match other {
        Other::Regsync => Tool::Regsync,
        Other::Skopeo => Tool::Skopeo,
        Other::Dregsy => Tool::Dregsy,
    };
    let bytes = match Process.read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            render::tell(&format!("error: cannot read {}: {error}", file.display()));
            return ExitCode::from(render::USAGE);
        }
    };
    match convert(tool, file, &bytes) {
        Ok(converted) => {
            for left in &converted.left {
                render::tell(&format!("warning: not translated: {left}"));
            }
            render::text(&converted.text)
        }
        Err(problems) => wrong(&problems),
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
