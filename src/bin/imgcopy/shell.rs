//! What shells and manuals know of the command, made from what can be typed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use imgcopy::error::Attempt as _;

use crate::args::Cli;
use crate::commands::Ended;
use crate::render;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  imgcopy completions bash > /etc/bash_completion.d/imgcopy
  imgcopy completions zsh > ~/.zfunc/_imgcopy
  imgcopy completions fish > ~/.config/fish/completions/imgcopy.fish";

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Where the pages go
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// The command with those verbs as well that have no place on one screen.
fn all_verbs() -> clap::Command {
    Cli::command().mut_subcommands(|verb| verb.hide(false))
}

pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut all_verbs(), "imgcopy", &mut script);
    render::bytes(&script)
}

pub(crate) fn man(args: &ManArgs) -> Ended {
    let directory = &args.directory;
    clap_mangen::generate_to(all_verbs(), directory)
        .attempting(|| format!("cannot write the manual into {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
