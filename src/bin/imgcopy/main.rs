//! The command: parse, run, report, exit.

mod args;
mod commands;
mod progress;
mod render;

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use args::{Cli, Verb};
use commands::Failure;
use imgcopy::error::Result;

/// How long threads get to put things away after an interrupt.
const GRACE: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    let cli = match Cli::parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return render::usage_error(&error),
    };
    if cli.debug {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::stderr)
            .init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return render::failure(&error.into()),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = run(cli.verb) => Ended::Itself(ended),
            stopped = stop() => Ended::Stopped(stopped),
        }
    });
    runtime.shutdown_timeout(GRACE);
    match ended {
        Ended::Itself(Ok(code)) => code,
        Ended::Itself(Err(Failure::Usage(error))) => render::usage_failure(&error),
        Ended::Itself(Err(Failure::Failed(error))) | Ended::Stopped(Err(error)) => {
            render::failure(&error)
        }
        Ended::Stopped(Ok(code)) => render::interrupted(code),
    }
}

enum Ended {
    Itself(Result<ExitCode, Failure>),
    Stopped(Result<u8>),
}

async fn run(verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Copy(args) => commands::copy(args).await,
        Verb::Plan(args) => commands::plan(args).await,
        Verb::Inspect(args) => commands::inspect(args).await,
        Verb::Tags(args) => commands::tags(args).await,
        Verb::Digest(args) => commands::digest(args).await,
        Verb::Verify(args) => commands::verify(args).await,
    }
}

/// Waits for an interrupt and gives the exit code that belongs to it: 128 and the signal's number.
async fn stop() -> Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    })
}
