//! `imgcopy sync` and `imgcopy lock`: many copies, as a file wants them.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use imgcopy::error::{Attempt as _, Error, ErrorKind};
use imgcopy::sync::config::{self, Config, Problem};
use imgcopy::sync::report::{self, Report, Status};
use imgcopy::sync::select::Pattern;
use imgcopy::sync::{self, Ended as Synced, How, Lock, Only, Places, Shard, Stop, Told};

use crate::commands::{Ended, Failure};
use crate::config::wrong;
use crate::descriptors::Reserve;
use crate::patience::{Patience, duration};
use crate::render;

#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(crate) struct SyncArgs {
    /// What to copy: sync.yaml.example shows everything that it may say
    #[arg(default_value = "sync.yaml")]
    pub(crate) file: PathBuf,

    /// Show what would be done and what it would cost; manifests are read, nothing is copied
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Copy what FILE.lock says instead of what the tags stand for now
    #[arg(long)]
    pub(crate) locked: bool,

    /// Look at tags again that were said never to change
    #[arg(long)]
    pub(crate) deep: bool,

    /// Do one share of the work of several machines: INDEX/COUNT from 0, auto/COUNT or auto
    #[arg(long, value_name = "SHARD")]
    pub(crate) shard: Option<String>,

    /// Only what comes from or goes to places that fit
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Option<String>,

    /// Only what failed or was put off, by an earlier report
    #[arg(long, value_name = "FILE")]
    pub(crate) retry_from: Option<PathBuf>,

    /// Write a report: FILE.json, .xml (for CI systems) or .html; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Vec<PathBuf>,

    /// End after this time, and put off the rest
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,

    /// How the result is shown on stdout
    #[arg(long, value_enum, default_value_t = crate::choices::Format::Table)]
    pub(crate) format: crate::choices::Format,

    /// Tell only what failed
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Threads that compress [default: one for each core]
    #[arg(long, value_name = "N", value_parser = crate::args::count)]
    pub(crate) threads: Option<std::num::NonZeroUsize>,

    #[command(flatten)]
    pub(crate) patience: Patience,
}

const SYNC_EXAMPLES: &str = "\
Examples:
  imgcopy sync sync.yaml --dry-run
  imgcopy sync sync.yaml --report night.json --report night.html
  imgcopy sync sync.yaml --retry-from night.json
  imgcopy sync sync.yaml --shard 0/4

Exit codes: 0 done, 3 some images failed, 4 stopped early, 64 the file is wrong and nothing was done";

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// The file
    #[arg(default_value = "sync.yaml")]
    pub(crate) file: PathBuf,

    /// Fail if the lock is not as it would be written
    #[arg(long)]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) patience: Patience,
}

pub(crate) async fn sync(args: Box<SyncArgs>, stop: Stop) -> Ended {
    let begun = Instant::now();
    let config = match load(&args.file) {
        Ok(config) => config,
        Err(problems) => return Ok(wrong(&problems)),
    };
    let mut how = how(&args, begun).map_err(Failure::Usage)?;
    how.stop = stop;
    // Better now than in the morning.
    for file in &args.report {
        report::Form::of(file).map_err(Failure::Usage)?;
    }
    let places = places(&config, &args.patience, how.shard)?;
    let told = |told: &Told<'_>| {
        // A plan is told as a whole.
        if !args.quiet && !args.dry_run {
            told_of(told);
        }
    };
    let reserve = Reserve::new();
    let report = match sync::sync(&config, &places, &how, &told).await? {
        Synced::Problems(problems) => return Ok(wrong(&problems)),
        Synced::Run(report) => report,
    };
    drop(reserve);
    for file in &args.report {
        report
            .write(file)
            .attempting(|| format!("cannot write the report {}", file.display()))?;
    }
    render::warnings(&places.registries().warnings());
    if !args.dry_run {
        render::warnings(&sync::announce(&config, &report, &how.stop).await);
    }
    match (args.format, args.dry_run) {
        (crate::choices::Format::Json, _) => {
            render::json(&report);
        }
        (crate::choices::Format::Table, true) => {
            render::text(&report.plan_text());
        }
        (crate::choices::Format::Table, false) => {}
    }
    if !args.dry_run {
        for line in report.rest() {
            render::tell(&line);
        }
    }
    Ok(ExitCode::from(report.exit_code()))
}

pub(crate) async fn lock(args: LockArgs) -> Ended {
    let config = match load(&args.file) {
        Ok(config) => config,
        Err(problems) => return Ok(wrong(&problems)),
    };
    let places = places(&config, &args.patience, None)?;
    let lock = match sync::lock(&config, &places).await? {
        Ok(lock) => lock,
        Err(problems) => return Ok(wrong(&problems)),
    };
    let (path, text) = (lock_of(&args.file), lock.to_string());
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let what = || format!("cannot write {}", path.display());
    match (args.check, old == text) {
        (_, true) => Ok(ExitCode::SUCCESS),
        (true, false) => {
            let told = format!(
                "{} is not up to date: `imgcopy lock` writes it",
                path.display()
            );
            Err(Error::new(ErrorKind::Changed, told).into())
        }
        (false, false) => {
            // Beside it first, so that a full disk leaves the old one.
            let beside = path.with_extension("lock.new");
            std::fs::write(&beside, &text).attempting(what)?;
            std::fs::rename(&beside, &path).attempting(what)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn places(config: &Config, patience: &Patience, shard: Option<Shard>) -> Result<Places, Failure> {
    let machines = shard.and_then(|shard| NonZeroU32::new(shard.count()));
    let machines = machines.unwrap_or(NonZeroU32::MIN);
    let options = patience.options().map_err(Failure::Usage)?;
    Places::new(config, options, machines).map_err(Failure::Usage)
}

fn load(file: &Path) -> Result<Config, Vec<Problem>> {
    config::load(file, &config::Process)
}

/// `sync.lock` for `sync.yaml`.
fn lock_of(file: &Path) -> PathBuf {
    file.with_extension("lock")
}

fn how(args: &SyncArgs, begun: Instant) -> imgcopy::error::Result<How> {
    let variable = |name: &str| std::env::var(name).ok();
    let shard = args.shard.as_deref();
    let invalid = |why: String| Error::new(ErrorKind::Invalid, why);
    let pattern = args.only.as_deref().map(Pattern::of_references).transpose();
    let again = args.retry_from.as_deref().map(again).transpose()?;
    Ok(How {
        file: Some(args.file.display().to_string()),
        dry_run: args.dry_run,
        deep: args.deep,
        shard: shard.map(|text| Shard::parse(text, variable)).transpose()?,
        lock: args.locked.then(|| read_lock(&args.file)).transpose()?,
        only: Only {
            pattern: pattern.map_err(invalid)?,
            ..again.unwrap_or_default()
        },
        deadline: args.deadline.and_then(|after| begun.checked_add(after)),
        threads: args.threads,
        ..How::default()
    })
}

/// What an earlier run left to be done.
fn again(file: &Path) -> imgcopy::error::Result<Only> {
    let what = || format!("cannot read the report {}", file.display());
    let json = std::fs::read(file).attempting(what)?;
    let report = Report::parse(&json).attempting(what)?;
    let is_left = |row: &&report::Row| matches!(row.status, Status::Failed | Status::Deferred);
    let name = |row: &report::Row| row.destination.clone();
    let (left, done): (Vec<_>, Vec<_>) = report.rows.iter().partition(is_left);
    // What could not be listed has no rows: then everything is left but what was done.
    let has_ended_early = report.run.stopped.is_some() && report.rows.is_empty();
    Ok(match report.run.problems.is_empty() && !has_ended_early {
        true => Only {
            targets: Some(left.into_iter().map(name).collect()),
            ..Only::default()
        },
        false => Only {
            but: done.into_iter().map(name).collect(),
            ..Only::default()
        },
    })
}

fn read_lock(file: &Path) -> imgcopy::error::Result<Lock> {
    let beside = lock_of(file);
    let what = || format!("cannot read {}", beside.display());
    let text = std::fs::read_to_string(&beside).attempting(what)?;
    text.parse::<Lock>().attempting(what)
}

/// A line for each image that is done, as soon as it is; what failed is told again at the end.
pub(crate) fn told_of(told: &Told<'_>) {
    match told {
        Told::Begins { images, targets } => {
            render::tell(&format!("{images} images for {targets} names"));
        }
        Told::Ended { row } if row.status.is_change() => render::tell(&row.line()),
        // What pruning leaves as it is, as a whole.
        Told::Ended { row } if row.source.is_empty() && row.status == Status::Skipped => {
            render::tell(&row.reasoned_line());
        }
        Told::Again { targets } => render::tell(&format!("trying {targets} once more")),
        _ => {}
    }
}

/// Whether an argument is a file of copies, by its ending.
pub(crate) fn is_file(arg: &std::ffi::OsStr) -> bool {
    let is_option = arg.to_string_lossy().starts_with('-');
    let ending = Path::new(arg).extension().unwrap_or_default();
    !is_option && (ending == "yaml" || ending == "yml")
}
