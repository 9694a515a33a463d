//! The command: parse, run, report, exit.

mod args;
mod cache;
mod choices;
mod commands;
mod config;
mod descriptors;
mod failures;
mod jobs;
mod listen;
mod login;
mod patience;
mod places;
mod platforms;
mod progress;
mod reach;
mod referrers;
mod render;
mod report;
mod shell;
mod skopeo;
mod sync;
mod tables;
mod upkeep;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Cli, Verb};
use commands::Failure;
use imgcopy::error::Result;
use imgcopy::sync::Stop;

/// How long tasks and threads get to put things away after an interrupt.
const GRACE: Duration = Duration::from_millis(1500);

/// How often is looked whether they have.
const LOOK: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    descriptors::allow_all();
    if let Some(args) = skopeo::asked(std::env::args_os()) {
        return match skopeo::Cli::parse_from(args) {
            Ok(cli) => {
                log(cli.debug());
                in_task(skopeo::run(cli), None)
            }
            Err(code) => code,
        };
    }
    let cli = match Cli::parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return render::usage_error(&error),
    };
    log(cli.debug);
    // Those that have something to tell when they are interrupted.
    let ends_itself = matches!(cli.verb, Verb::Sync(_) | Verb::Watch(_));
    let stop = Stop::default();
    let asked = ends_itself.then(|| stop.clone());
    in_task(async { finished(run(cli.verb, stop).await) }, asked)
}

fn log(debug: bool) {
    if debug {
        // Only what we say ourselves: nobody knows which secrets the layers below would tell (S-40).
        let ours = Targets::new().with_target("imgcopy", tracing::Level::TRACE);
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        tracing_subscriber::registry()
            .with(log.with_filter(ours))
            .init();
    }
}

/// Does the work until it ends or a signal ends it: by `stop`, where the work puts things away itself.
fn in_task(work: impl Future<Output = ExitCode> + Send + 'static, stop: Option<Stop>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return render::failure(&error.into()),
    };
    let (code, grace) = runtime.block_on(async {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return (render::failure(&error), GRACE),
        };
        // In a task of its own: whatever it does, an interrupt is heard.
        let mut task = tokio::spawn(work);
        tokio::select! {
            ended = &mut task => (ended.unwrap_or_else(|died| render::died(&died)), GRACE),
            code = signals.next() => {
                let code = render::interrupted(code);
                if let Some(stop) = stop {
                    stop.now("it was interrupted");
                    tokio::select! {
                        _ = &mut task => {}
                        _ = signals.next() => {}
                    }
                }
                task.abort();
                (code, signals.settled().await)
            }
        }
    });
    // Drops what is still going on; threads see that and put things away.
    runtime.shutdown_timeout(grace);
    code
}

fn finished(ended: Result<ExitCode, Failure>) -> ExitCode {
    match ended {
        Ok(code) => code,
        Err(Failure::Usage(error)) => render::usage_failure(&error),
        Err(Failure::Failed(error)) => render::failure(&error),
    }
}

async fn run(verb: Verb, stop: Stop) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Copy(args) => commands::copy(args).await,
        Verb::Plan(args) => commands::plan(args).await,
        Verb::Inspect(args) => commands::inspect(args).await,
        Verb::Tags(args) => commands::tags(args).await,
        Verb::ListTags(args) => commands::list_tags(args).await,
        Verb::Digest(args) => commands::digest(args).await,
        Verb::Verify(args) => commands::verify(args).await,
        Verb::Delete(args) => upkeep::delete(args).await,
        Verb::Tag(args) => upkeep::tag(args).await,
        Verb::Sync(args) => sync::sync(args, stop).await,
        Verb::Watch(args) => watch::watch(args, stop).await,
        Verb::Lock(args) => sync::lock(args).await,
        Verb::Gc(args) => upkeep::gc(args).await,
        Verb::Cache(args) => cache::cache(&args),
        Verb::Config(args) => Ok(config::config(&args)),
        Verb::Schema => Ok(config::print_schema()),
        Verb::Completions(args) => Ok(shell::completions(&args)),
        Verb::Man(args) => shell::man(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Login(args) => login::login(args).await,
        Verb::Logout(args) => login::logout(args).await,
    }
}

/// What may end a run early.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one, and gives the exit code that belongs to it: 128 and the signal's number.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }

    /// Waits until all tasks have ended: those that were begun meanwhile tell registries that their
    /// uploads are given up. Gives how long threads still get; after a second signal no time at
    /// all.
    async fn settled(&mut self) -> Duration {
        let end = Instant::now() + GRACE;
        let tasks = Handle::current().metrics();
        let ended = async {
            while tasks.num_alive_tasks() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout_at(end, ended) => end.saturating_duration_since(Instant::now()),
            _ = self.next() => Duration::ZERO,
        }
    }
}
