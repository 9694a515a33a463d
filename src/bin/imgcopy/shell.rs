//! What shells and manuals know of the command, made from what can be typed.

use std::process::ExitCode;

use clap::CommandFactory as _;

use imgcopy::error::Attempt as _;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::commands::Ended;
use crate::render;

pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "imgcopy", &mut script);
    render::bytes(&script)
}

pub(crate) fn man(args: &ManArgs) -> Ended {
    let directory = &args.directory;
    clap_mangen::generate_to(Cli::command(), directory)
        .attempting(|| format!("cannot write the manual into {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
