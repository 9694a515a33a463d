//! How a copy is shown while it goes on.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use imgcopy::copy::{Event, Observer, Silent};
use imgcopy::image::{Descriptor, Digest};

use crate::choices::Progress;
use crate::render::{size, tell};
use crate::tables::kind;

/// How long a copy may go on without a word where there are no bars.
const SILENCE: Duration = Duration::from_secs(5);

/// Who shows it.
pub(crate) fn observer(how: Progress, quiet: bool) -> Arc<dyn Observer> {
    let is_terminal = std::io::stderr().is_terminal();
    match how {
        _ if quiet => Silent::new(),
        Progress::None => Silent::new(),
        Progress::Auto if is_terminal => Arc::new(Bars::default()),
        Progress::Bar => Arc::new(Bars::default()),
        Progress::Auto | Progress::Plain => Arc::new(Lines(Mutex::new(Running::new()))),
        Progress::Json => Arc::new(Json),
    }
}

/// A bar for each blob in flight, and one for all.
#[derive(Default)]
struct Bars {
    screen: MultiProgress,
    bars: Mutex<BarState>,
}

#[derive(Default)]
struct BarState {
    total: Option<ProgressBar>,
    blobs: HashMap<Digest, ProgressBar>,
}

impl Observer for Bars {
    fn event(&self, event: &Event<'_>) {
        let mut state = locked(&self.bars);
        match event {
            Event::Planned(plan) => {
                let bytes = plan.totals().bytes;
                if bytes > 0 {
                    let bar = ProgressBar::new(bytes).with_style(style(
                        "total {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
                    ));
                    state.total = Some(self.screen.add(bar));
                }
            }
            Event::Started { blob } => {
                let prefix = format!("{:6} {}", kind(blob), blob.digest.short());
                let bar = ProgressBar::new(blob.size)
                    .with_style(style("{prefix} {bar:22} {bytes}/{total_bytes}"))
                    .with_prefix(prefix);
                let bar = match &state.total {
                    Some(total) => self.screen.insert_before(total, bar),
                    None => self.screen.add(bar),
                };
                state.blobs.insert(blob.digest.clone(), bar);
            }
            Event::Advanced { blob, bytes } => {
                let bars = state.blobs.get(*blob).into_iter().chain(&state.total);
                bars.for_each(|bar| bar.inc(*bytes));
            }
            Event::Arrived { blob, .. } => {
                if let Some(bar) = state.blobs.remove(&blob.digest) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that went away.
        let _ = self.screen.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A line for each blob, and one now and then on long work.
struct Lines(Mutex<Running>);

struct Running {
    total: u64,
    done: u64,
    begun: Instant,
    told: Instant,
}

impl Running {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            total: 0,
            done: 0,
            begun: now,
            told: now,
        }
    }
}

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        let mut running = locked(&self.0);
        match event {
            Event::Planned(plan) => {
                running.total = plan.totals().bytes;
                for step in &plan.blobs {
                    if let imgcopy::copy::BlobAction::Keep { stored } = &step.action {
                        tell(&format!("kept   {}: {}", named(stored), step.because));
                    }
                }
            }
            Event::Advanced { bytes, .. } => {
                running.done += bytes;
                if running.told.elapsed() >= SILENCE {
                    let rate = running.done.checked_div(running.begun.elapsed().as_secs());
                    let rate = size(rate.unwrap_or_default());
                    let (done, total) = (size(running.done), size(running.total));
                    tell(&format!("       {done} of {total}, {rate}/s"));
                    running.told = Instant::now();
                }
            }
            Event::Arrived { blob, stored } if blob.digest == stored.digest => {
                tell(&format!("copied {}", named(blob)));
            }
            Event::Arrived { blob, stored } => {
                tell(&format!("copied {} as {}", named(blob), named(stored)));
            }
            _ => {}
        }
    }
}

fn named(blob: &Descriptor) -> String {
    format!(
        "{} {} ({})",
        kind(blob),
        blob.digest.short(),
        size(blob.size)
    )
}

/// A JSON object for each event.
struct Json;

impl Observer for Json {
    fn event(&self, event: &Event<'_>) {
        use serde_json::json;
        let object = match event {
            Event::Planned(plan) => json!({"event": "planned", "totals": plan.totals()}),
            Event::Started { blob } => {
                json!({"event": "started", "digest": blob.digest, "size": blob.size})
            }
            Event::Advanced { blob, bytes } => {
                json!({"event": "advanced", "digest": blob, "bytes": bytes})
            }
            Event::Arrived { blob, stored } => {
                json!({"event": "arrived", "digest": blob.digest, "stored": stored})
            }
            Event::Done(outcome) => json!({"event": "done", "outcome": outcome}),
            _ => return,
        };
        tell(&object.to_string());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
