//! What must hold, whatever goes wrong.

use std::collections::BTreeSet;

use imgcopy::copy::{Outcome, When};
use imgcopy::error::Result;
use serde_json::Value;

use crate::image::{Content, Image, engine_image};
use crate::script::{Script, Way};
use crate::support::{stamps, told, truth};
use crate::world::{Held, World};

/// Copies while things go wrong, once more when all is well, and then once again. Gives how many
/// requests the first copy made, and whether it came to a good end.
pub(crate) fn run(world: &World<'_>) -> (usize, bool) {
    let script = world.script;
    world.go_wrong();
    let copied = world.copy(&script.options(), script.companions);
    let requests = requests(world);
    said_well(&copied);
    holds(world, &copied);
    let bound = script.bound();
    assert!(
        requests <= bound,
        "{requests} requests, at most {bound} were foreseen"
    );
    heals(world);
    (requests, copied.is_ok())
}

fn requests(world: &World<'_>) -> usize {
    world
        .registries()
        .map(|registry| registry.log().len())
        .sum()
}

/// An error is told in words, and never comes of a panic.
fn said_well(copied: &Result<Outcome>) {
    if let Err(error) = copied {
        let told = told(error);
        let is_bad = ["panicked", "died", "\n", "\0"]
            .iter()
            .any(|bad| told.contains(bad));
        assert!(!is_bad && !told.is_empty(), "{told:?}");
    }
}

/// Success means the very same image. A failure leaves each name as it was, or where it should be.
fn holds(world: &World<'_>, copied: &Result<Outcome>) {
    let script = world.script;
    assert_eq!(world.litter(), [""; 0], "left behind");
    if script.way == Way::ToSaved {
        return saved_holds(world, copied);
    }
    let held = world.held();
    for (digest, bytes) in &held.pool {
        let (algorithm, _) = digest.split_once(':').unwrap();
        assert_eq!(
            truth::digest(algorithm, bytes),
            *digest,
            "a wrong blob is stored"
        );
    }
    let old = |tag: &str| script.taken.contains(&tag).then_some(&script.old);
    for tag in ["1", "b", "other"] {
        let is_wanted = script.tags.contains(&tag);
        let now = held.tags.get(tag);
        match (copied, now) {
            (Ok(outcome), now) if is_wanted => {
                assert_eq!(
                    now,
                    Some(&outcome.digest.to_string()),
                    "{tag} after success"
                );
                is_new(script, &held, now.unwrap());
            }
            (_, None) => assert!(old(tag).is_none(), "{tag} is lost"),
            (_, Some(now)) => match old(tag) {
                Some(old) if old.root == *now => has(&held, &old.content),
                _ => {
                    assert!(is_wanted, "{tag} was moved");
                    is_new(script, &held, now);
                }
            },
        }
    }
    // An archive is whole, or not there.
    if script.way == Way::ToOciArchive {
        assert_eq!(world.output().exists(), copied.is_ok());
    }
}

/// Panics unless a name stands for the image that was to be copied, and all of it is there.
#[track_caller]
fn is_new(script: &Script, held: &Held, root: &str) {
    if script.way == Way::FromSaved {
        assert_eq!(
            engine_image(root, &held.pool),
            script.image.as_engine_sees()
        );
        return;
    }
    let images = [&script.image, &script.moved];
    let found = images.into_iter().find(|image| image.root == root);
    match found {
        Some(image) => has(held, &image.content),
        None => panic!("{root} is neither the old image nor the new one"),
    }
}

/// Panics unless all of it is there, byte for byte.
#[track_caller]
fn has(held: &Held, content: &Content) {
    for (digest, bytes) in content.pool() {
        let there = held.pool.get(&digest);
        assert!(there.is_some(), "{digest} is not there");
        assert!(there == Some(&bytes), "{digest} is something else");
    }
    for (digest, (kind, _)) in &content.manifests {
        assert_eq!(
            held.types.get(digest).unwrap_or(kind),
            kind,
            "type of {digest}"
        );
    }
}

fn saved_holds(world: &World<'_>, copied: &Result<Outcome>) {
    let path = world.output();
    assert_eq!(
        path.exists(),
        copied.is_ok(),
        "an archive is whole, or not there"
    );
    if copied.is_ok() {
        assert_eq!(
            truth::saved(&path).unwrap(),
            [world.script.image.as_engine_sees()]
        );
    }
}

/// When nothing goes wrong any more, a copy succeeds, and one more has nothing to do.
fn heals(world: &World<'_>) {
    let script = world.script;
    for registry in world.registries() {
        registry.heal();
    }
    if matches!(script.way, Way::ToSaved | Way::ToOciArchive) {
        let _not_there = std::fs::remove_file(world.output());
    }
    let options = script.patient_options();
    let when = match script.companions {
        When::Never => When::Never,
        When::Changed | When::Always => When::Always,
    };
    let copied = world.copy(&options, when);
    if let Err(error) = &copied {
        panic!("it does not heal: {}", told(error));
    }
    holds(world, &copied);
    if script.way != Way::FromSaved && script.way != Way::ToSaved {
        assert_eq!(copied.unwrap().digest.to_string(), world.wanted().root);
    }
    if when == When::Always {
        brings_along(world, world.wanted());
    }
    if script.way == Way::ToDirectory || script.way.writes_registry() {
        rests(world, || world.copy(&options, when));
    }
}

/// Panics unless what belongs to the image is at the destination, too, and can be found there.
fn brings_along(world: &World<'_>, image: &Image) {
    let (Some(_), Some(to)) = (world.source(), world.destination()) else {
        return;
    };
    let held = world.held();
    has(&held, &image.companions);
    for (tag, digest) in &image.tags {
        assert_eq!(held.tags.get(tag), Some(digest));
    }
    if world.script.to.referrers_api {
        return;
    }
    for (subject, referrer) in &image.referrers {
        let list = to.manifest(crate::TO, &subject.replace(':', "-"));
        let list = list
            .unwrap_or_else(|| panic!("nobody finds what refers to {subject}"))
            .json();
        let listed = list["manifests"].as_array().unwrap().iter();
        let listed: BTreeSet<&str> = listed.filter_map(|it| it["digest"].as_str()).collect();
        let digest = Value::as_str(&referrer["digest"]).unwrap();
        assert!(
            listed.contains(digest),
            "{digest} is not listed for {subject}"
        );
    }
}

/// Panics if a copy writes anything.
fn rests(world: &World<'_>, copy: impl Fn() -> Result<Outcome>) {
    let output = world.output();
    let before = stamps(&output);
    let log = |method: &str| -> usize {
        let registries = world.registries();
        registries
            .map(|registry| registry.count(method, "/v2/"))
            .sum()
    };
    let writes = || ["POST", "PUT", "PATCH", "DELETE"].map(log);
    let [asked, written] = [requests(world), writes().iter().sum()];
    let copied = copy();
    if let Err(error) = copied {
        panic!("it failed when there was nothing to do: {}", told(&error));
    }
    assert_eq!(
        writes().iter().sum::<usize>(),
        written,
        "a third copy writes"
    );
    let asked = requests(world) - asked;
    let pieces = 10 + 4 * (world.script.bound() / 8);
    assert!(asked <= pieces, "{asked} requests for nothing");
    let mut after = stamps(&output);
    // Locks and what is known of the files are nobody's content.
    after.retain(|name, _| !name.starts_with(".imgcopy"));
    let mut before = before;
    before.retain(|name, _| !name.starts_with(".imgcopy"));
    assert_eq!(after, before, "a third copy writes");
}
