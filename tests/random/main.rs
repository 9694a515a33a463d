//! Random scripts: an image of any shape, from any place to any other, with up to five troubles on the
//! way. Whatever happens: success means the very same image at the destination, byte for byte; a failure
//! leaves each name as it was or where it should be; nothing wrong is ever stored under a digest; the
//! requests are bounded; it ends. When all is well again, a copy succeeds, and one more writes nothing.
//!
//! ```sh
//! cargo test --test random                                  # the same scripts each time
//! RANDOM_SCRIPTS=100000 RANDOM_FROM=5000 cargo test --test random
//! RANDOM_SEED=17 cargo test --test random -- --nocapture    # one script, told in words
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod chance;
mod check;
mod image;
mod report;
mod script;
mod trouble;
mod world;

use std::sync::atomic::AtomicUsize;

use report::Tally;

/// Where the image is, and where it goes.
const FROM: &str = "team/app";
const TO: &str = "mirror/app";

/// How many scripts are run if nobody says.
const SCRIPTS: u64 = 2000;
/// How many run at once: most of them wait.
const AT_ONCE: usize = 8;

fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

#[test]
fn whatever_goes_wrong_the_image_is_whole_or_as_it_was() {
    if let Some(seed) = asked("RANDOM_SEED") {
        let ran = report::one(seed, true);
        return ran.map_or_else(|problem| panic!("{problem}"), |_| ());
    }
    let first = asked("RANDOM_FROM").unwrap_or(0);
    let count = asked("RANDOM_SCRIPTS").unwrap_or(SCRIPTS);
    let seeds: Vec<u64> = (first..first + count).collect();
    let (next, tally) = (AtomicUsize::new(0), Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| tally.work(&seeds, &next));
        }
        tally.watch(AT_ONCE);
    });
    tally.conclude();
}
