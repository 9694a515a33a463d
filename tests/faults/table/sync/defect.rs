//! A panic in the midst of a copy, by the library: no input is known that makes the command panic.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use imgcopy::copy::{Job, Silent, When, copy_all};
use imgcopy::error::Result;
use imgcopy::image::{Descriptor, Manifest, Name, Reference};
use imgcopy::store::blob::Blob;
use imgcopy::store::registry::{Options, Registries, Rules};
use imgcopy::store::{Source, Store, open_destination, open_source};
use imgcopy::sync::config::{Process, load};
use imgcopy::sync::{Ended, How, Places, sync};

use super::night::Night;
use crate::support::registry::Registry;
use crate::support::{assert_whole, nobody, oci_at, tempdir};
use crate::table::Left;
use crate::table::local::{of_runs, untidy};
use crate::table::program::{Program, Ran};
use crate::{FROM, block, options};

/// Nobody can ask this registry without a panic.
struct Unspeakable(String);

impl Rules for Unspeakable {
    fn options(&self, registry: &str) -> Result<Option<Options>> {
        assert_ne!(registry, self.0, "a defect on purpose");
        Ok(None)
    }
}

/// Three images of a registry that is all right, and three of the other.
pub(super) fn in_a_night() -> Ran {
    let night = Night::new(3, &[3000]).and_from_another();
    // For its file.
    drop(night.command(Program::Imgcopy));
    let config = load(&night.home().join("sync.yaml"), &Process).unwrap();
    let rules = Arc::new(Unspeakable(night.from.host()));
    let places = Places::of(Arc::new(Registries::by_rules(options(), rules)));
    let ended = block(sync(&config, &places, &How::default(), &|_| {}));
    let report = match ended.unwrap() {
        Ended::Run(report) => report,
        Ended::Problems(problems) => panic!("{problems:?}"),
    };
    let said = report.rest().join("\n") + &report.to_json();
    let mut ran = of_runs(Some(report.exit_code().into()), said, Vec::new());
    ran.left = night.left();
    ran.requests = night.requests();
    night.expect(&mut ran, 3);
    ran
}

/// A place whose blobs cannot be read without a panic.
struct Breaks(Box<dyn Source>);

impl fmt::Display for Breaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Store for Breaks {
    async fn resolve(&self, name: &Name) -> Result<Option<Descriptor>> {
        self.0.resolve(name).await
    }

    async fn names(&self) -> Result<Vec<Name>> {
        self.0.names().await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.0.manifest(descriptor).await
    }
}

#[async_trait]
impl Source for Breaks {
    async fn blob(&self, blob: &Descriptor) -> Result<Blob> {
        assert!(blob.size < 1000, "a defect on purpose");
        self.0.blob(blob).await
    }
}

/// A copy that panics and one that does not, at once; and one more afterwards.
pub(super) fn in_a_directory() -> Ran {
    let from = Registry::start();
    from.add_image(FROM, "1", &[3000], 1);
    let home = tempdir();
    let directory = home.path().join("out");
    let source = format!("docker://{}/{FROM}:1", from.host());
    let copy = |tag: &'static str| copied(source.clone(), directory.clone(), tag);
    let wrong = block(async {
        let (bad, good) = (tokio::spawn(copy("bad")), tokio::spawn(copy("good")));
        let (bad, good) = (bad.await, good.await);
        let mut wrong = Vec::new();
        if !bad.is_err_and(|error| error.is_panic()) {
            wrong.push("nothing panicked".to_string());
        }
        for copied in [good.unwrap(), copy("later").await] {
            wrong.extend(copied.err().map(|error| error.in_one_line()));
        }
        wrong
    });
    let mut ran = of_runs(Some(0), String::new(), wrong);
    if assert_whole(&directory) != ["good", "later"] {
        ran.left = Left::Wrong(format!("the tags are {:?}", assert_whole(&directory)));
    }
    ran.odd.extend(untidy(&directory));
    ran.requests = from.log().len();
    ran
}

async fn copied(source: String, directory: PathBuf, tag: &'static str) -> Result<()> {
    let registries = nobody();
    let from: Reference = source.parse()?;
    let to: Reference = oci_at(&directory, tag).parse()?;
    let opened = open_source(&from, &registries)?;
    let opened: Box<dyn Source> = match tag {
        "bad" => Box::new(Breaks(opened)),
        _ => opened,
    };
    let destination = open_destination(&to, &registries, false)?;
    let mut job = Job::new(&*opened, &*destination);
    job.name = from.name().clone();
    job.tags = to.name().tag().cloned().into_iter().collect();
    job.companions.when = When::Never;
    copy_all(&[job], &Silent::new()).await.map(drop)
}
