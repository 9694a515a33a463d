//! `imgcopy watch`: sync by a schedule.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use imgcopy::error::Attempt as _;
use imgcopy::sync::watch::{self, Board, Seen, Watch};
use imgcopy::sync::{How, Shard, Stop};

use crate::commands::{Ended, Failure};
use crate::config::wrong;
use crate::listen::listen;
use crate::patience::{Patience, duration};
use crate::render;
use crate::sync::told_of;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchArgs {
    /// What to copy, and with `schedule` when
    #[arg(default_value = "sync.yaml")]
    file: PathBuf,

    /// Answer /metrics and /healthz there, as in 127.0.0.1:9090
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    /// Run at once, too
    #[arg(long)]
    once_now: bool,

    /// Run at equal distances instead of by `schedule`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    interval: Option<Duration>,

    /// Write the report of the last run: FILE.json, .xml (for CI systems) or .html; may be given several times
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,

    /// Do one share of the work of several machines: INDEX/COUNT from 0, auto/COUNT or auto
    #[arg(long, value_name = "SHARD")]
    shard: Option<String>,

    /// Tell only how runs end
    #[arg(short, long)]
    quiet: bool,

    /// Threads that compress [default: one for each core]
    #[arg(long, value_name = "N", value_parser = crate::args::count)]
    threads: Option<std::num::NonZeroUsize>,

    #[command(flatten)]
    patience: Patience,
}

const EXAMPLES: &str = "\
Examples:
  imgcopy watch sync.yaml
  imgcopy watch sync.yaml --listen 127.0.0.1:9090 --once-now
  imgcopy watch sync.yaml --interval 1h --report last.html

A changed file is read again, at once after SIGHUP; one that is wrong changes nothing. SIGTERM ends it.";

pub(crate) async fn watch(args: Box<WatchArgs>, stop: Stop) -> Ended {
    let board = Arc::new(Board::default());
    let watch = prepared(&args, stop, &board).map_err(Failure::Usage)?;
    // They end with the loop: who is interrupted waits for tasks that still go on.
    let mut tasks = JoinSet::new();
    if let Some(address) = args.listen {
        let what = || format!("cannot listen on {address}");
        let bound = listen(address, board, &mut tasks).await.attempting(what)?;
        render::tell(&format!("listening on {bound}"));
    }
    hear_hangups(&watch.reload, &mut tasks)?;
    let seen = |seen: &Seen<'_>| tell(seen, args.quiet);
    match watch::watch(&watch, &seen).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(problems) => Ok(wrong(&problems)),
    }
}

fn prepared(args: &WatchArgs, stop: Stop, board: &Arc<Board>) -> imgcopy::error::Result<Watch> {
    for report in &args.report {
        imgcopy::sync::report::Form::of(report)?;
    }
    let variable = |name: &str| std::env::var(name).ok();
    let shard = args.shard.as_deref();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(Watch {
        file: args.file.clone(),
        how: How {
            file: Some(args.file.display().to_string()),
            shard: shard.map(|text| Shard::parse(text, variable)).transpose()?,
            threads: args.threads,
            stop,
            ..How::default()
        },
        options: args.patience.options()?,
        interval: args.interval,
        at_once: args.once_now,
        reports: args.report.clone(),
        machine: machine.trim().to_string(),
        reload: Arc::new(Notify::new()),
        board: Arc::clone(board),
    })
}

/// From now on a SIGHUP makes the file be read again.
fn hear_hangups(reload: &Arc<Notify>, tasks: &mut JoinSet<()>) -> imgcopy::error::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let reload = Arc::clone(reload);
    tasks.spawn(async move {
        while hangups.recv().await.is_some() {
            reload.notify_one();
        }
    });
    Ok(())
}

fn tell(seen: &Seen<'_>, quiet: bool) {
    match seen {
        Seen::Waits(next) if !quiet => render::tell(&format!("next run at {next:.0}")),
        Seen::Run(told) if !quiet => told_of(told),
        Seen::Ended(report) => {
            let lines = report.lines();
            // The lines of what changed were told when it did.
            let changes = usize::try_from(report.totals.changes()).unwrap_or(usize::MAX);
            let lines = lines.iter().skip(changes);
            lines.for_each(|line| render::tell(line));
        }
        Seen::Warning(what) => render::tell(&format!("warning: {what}")),
        Seen::Reloaded => render::tell("the file has changed and was read again"),
        Seen::Refused(problems) => {
            render::tell("the file has changed and is wrong; what it said before still counts:");
            problems
                .iter()
                .for_each(|problem| render::tell(&problem.to_string()));
        }
        _ => {}
    }
}
