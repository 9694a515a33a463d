//! `skopeo sync`: many images, one after the other.
//!
//! What is copied, and under which names, is that of skopeo. What fails is told, and with `--keep-going`
//! the rest is copied. Different on purpose:
//!
//! - What a YAML file names and what cannot be read (a repository that does not answer, a regular
//!   expression that is none) is told and passed over, as in skopeo, but then the run fails.
//! - A key in the file that nobody knows is an error: most of them are typing errors.
//! - Two images that would get one name at the destination are an error before anything is copied.
//! - A directory that holds an image already is brought up to date; skopeo refuses to touch it.
//! - `--dry-run` makes no directories.

mod config;
mod file;
mod found;
mod names;
mod options;
mod versions;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use imgcopy::image::Reference;

use super::copy::{platform, system};
use super::image::{Copying, Way};
use super::lines::Told;
use super::options::{Global, MakingArgs};
use super::policy::{self, Policy};
use super::told::{self, Ended, Fatal};
use super::{made, place, usage};
use crate::places::{End, warnings};
use found::{Finding, Found, Kind};
use names::Target;

pub(in crate::skopeo) use options::SyncArgs;

pub(super) async fn sync(global: &Global, mut args: SyncArgs) -> Ended {
    let places = std::mem::take(&mut args.places);
    let [source, target] = usage::exactly(places, "Exactly two arguments expected")?;
    args.source.registry_only()?;
    args.destination.registry_only()?;
    args.secrets.check()?;
    let policy = policy::load(global)?;
    let kind = Kind::typed(&args.src)?;
    let target = Target {
        kind: names::Kind::typed(&args.dest)?,
        place: target,
        scoped: args.scoped,
        suffix: std::mem::take(&mut args.append_suffix),
    };
    if kind == Kind::Dir && target.kind == names::Kind::Dir {
        let what = "sync from 'dir' to 'dir' not implemented, consider using rsync instead";
        return Err(Fatal::new(what));
    }
    made::format(args.format.as_deref())?;
    let making = MakingArgs {
        format: args.format.clone(),
        preserve_digests: args.preserve_digests,
        ..MakingArgs::default()
    };
    let run = Run {
        copying: Copying {
            making: &making,
            all: args.all,
            platform: platform(global)?,
            with_signatures: !args.remove_signatures,
            told: Told::CopiedOrSkipped,
        },
        policy,
        keep_going: args.keep_going,
        only_tells: args.dry_run,
    };
    let (from, to) = (args.source.checked()?, args.destination.checked()?);
    let finding = Finding::new(from, &to, &target, args.authfile.as_ref(), args.retry_times)?;
    let found = finding.find(kind, &source).await?;
    let steps = names::steps(&found, &target)?;
    run.all(&found, &steps, &finding.end, args.digestfile).await
}

/// One image, and where it goes.
struct Step {
    source: Reference,
    destination: Reference,
}

/// How a run is done.
struct Run<'a> {
    copying: Copying<'a>,
    policy: Policy,
    keep_going: bool,
    only_tells: bool,
}

impl Run<'_> {
    /// Copies what was found: `steps` for each group of it.
    async fn all(
        &self,
        found: &Found,
        steps: &[Vec<Step>],
        to: &End,
        digestfile: Option<PathBuf>,
    ) -> Ended {
        if self.only_tells {
            told::warn("Running in dry-run mode");
        }
        let mut digests = match digestfile.filter(|_| !self.only_tells) {
            Some(file) => Some(Digests::new(file)?),
            None => None,
        };
        let (mut copied, mut failed) = (0, found.failed);
        for (group, steps) in found.groups.iter().zip(steps) {
            for (position, step) in steps.iter().enumerate() {
                let number = format!("{}/{}", position + 1, steps.len());
                match self.step(&group.end, step, to, &number).await {
                    Ok(line) => {
                        copied += 1;
                        digests.iter_mut().try_for_each(|file| file.add(&line))?;
                    }
                    Err(fatal) => {
                        self.failed(&step.source, &fatal)?;
                        failed += 1;
                    }
                }
            }
        }
        let ends = found.groups.iter().map(|group| &group.end);
        for warning in warnings(ends.chain([to])) {
            told::warn(&warning);
        }
        let did = if self.only_tells {
            "Would have synced"
        } else {
            "Synced"
        };
        let sources = found.groups.len();
        told::info(
            &format!("{did} {copied} images from {sources} sources"),
            &[],
        );
        match failed {
            0 => Ok(ExitCode::SUCCESS),
            _ => Err(Fatal::new(
                "Sync failed due to previous reported error(s) for one or more images",
            )),
        }
    }

    /// Tells that an image was not copied, or ends the run.
    fn failed(&self, source: &Reference, fatal: &Fatal) -> Result<(), Fatal> {
        let what = format!("Error copying ref \"{}\"", place::shown(source));
        if !self.keep_going {
            return Err(Fatal::new(format!("{what}: {}", fatal.text())));
        }
        told::error(&what, &[("error", fatal.text())]);
        Ok(())
    }

    /// Copies an image, and gives the line for the file of digests.
    async fn step(&self, from: &End, step: &Step, to: &End, number: &str) -> Result<String, Fatal> {
        let Step {
            source,
            destination,
        } = step;
        let (shown, target) = (place::shown(source), place::shown(destination));
        let fields = [("from", shown.as_str()), ("to", target.as_str())];
        if self.only_tells {
            told::info(&format!("Would have copied image ref {number}"), &fields);
            return Ok(String::new());
        }
        told::info(&format!("Copying image ref {number}"), &fields);
        self.policy.check(source)?;
        let way = Way {
            source,
            from,
            destination,
            to,
        };
        let outcome = self.copying.image(&way, &[]).await?;
        Ok(format!("{} {target}\n", outcome.digest))
    }
}

/// The file of `--digestfile`: a line for each image, as soon as it is there.
struct Digests {
    path: PathBuf,
    file: File,
}

impl Digests {
    fn new(path: PathBuf) -> Result<Self, Fatal> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => {
                let (path, why) = (path.display(), system(&error));
                Err(Fatal::new(format!(
                    "Error creating digest file: open {path}: {why}"
                )))
            }
        }
    }

    fn add(&mut self, line: &str) -> Result<(), Fatal> {
        self.file.write_all(line.as_bytes()).map_err(|error| {
            let (path, why) = (self.path.display(), system(&error));
            Fatal::new(format!("Failed to write digest to file \"{path}\": {why}"))
        })
    }
}
