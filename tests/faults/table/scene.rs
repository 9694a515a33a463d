//! A copy of one image between two scripted registries, or from one into a directory.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;

use tempfile::TempDir;

use super::Left;
use super::program::{Program, Ran, under};
use crate::support::registry::{Fault, Hits, Options as Kind, digest};
use crate::support::{assert_whole, tempdir, tree};
use crate::{FROM, Pair, TO, at};

/// The passwords of the table. Nobody may ever say them.
pub(crate) const SECRETS: [&str; 3] = ["canary-of-src", "canary-of-dest", "canary-of-url"];

/// Our options, unless a scene has its own.
const OURS: [(&str, &str); 5] = [
    ("--referrers", "never"),
    ("--retry-delay", "10ms"),
    ("--timeout", "10s"),
    ("--src-creds", "reader:canary-of-src"),
    ("--dest-creds", "writer:canary-of-dest"),
];

type During = Box<dyn FnOnce(&Pair, &mut Child) + Send>;
type Check = Box<dyn Fn(&Pair) -> Result<(), String> + Send>;

/// Nothing, if it is so; else what is wrong.
pub(crate) fn must(is_so: bool, else_it_is: impl Into<String>) -> Result<(), String> {
    match is_so {
        true => Ok(()),
        false => Err(else_it_is.into()),
    }
}

/// Between whom an image is copied, what goes wrong, and what is looked at afterwards.
pub(crate) struct Scene {
    pub(crate) pair: Pair,
    /// More of our options.
    ours: Vec<String>,
    /// More of skopeo's; none if its command line cannot say it.
    skopeo: Result<Vec<String>, &'static str>,
    environment: Vec<(String, String)>,
    /// What may arrive; if nothing is named, the image.
    wanted: Vec<String>,
    /// Where the image comes from, if not from the registry.
    source: Option<String>,
    /// How skopeo calls the same place, if otherwise.
    skopeos_source: Option<String>,
    /// Where it goes, if not to the registry.
    directory: Option<PathBuf>,
    /// What runs the program: its arguments come last.
    under: Vec<String>,
    /// Whether the image is known by its config: archives of Docker keep no manifest.
    by_config: bool,
    home: TempDir,
    hits: Vec<Hits>,
    during: Mutex<Option<During>>,
    checks: Vec<Check>,
    checks_of_ours: Vec<Check>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl Scene {
    /// From registry to registry; the image has one layer for each size.
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self::of(sizes, Kind::default(), Kind::default())
    }

    /// The same, between registries of these kinds.
    pub(crate) fn of(sizes: &[usize], from: Kind, to: Kind) -> Self {
        Self {
            pair: Pair::of(sizes, from, to),
            ours: Vec::new(),
            skopeo: Ok(Vec::new()),
            environment: Vec::new(),
            wanted: Vec::new(),
            source: None,
            skopeos_source: None,
            directory: None,
            under: Vec::new(),
            by_config: false,
            home: tempdir(),
            hits: Vec::new(),
            during: Mutex::new(None),
            checks: Vec::new(),
            checks_of_ours: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Into an OCI directory instead, which is new.
    #[allow(clippy::wrong_self_convention)]
    pub(crate) fn to_directory(self) -> Self {
        let directory = self.home.path().join("out");
        self.into(directory)
    }

    /// Into this OCI directory.
    pub(crate) fn into(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }

    /// The OCI directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.as_deref().unwrap()
    }

    /// Run by another program, such as a shell, whose last arguments are the command line.
    pub(crate) fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(ToString::to_string).collect();
        self
    }

    /// The image is known by its config.
    pub(crate) fn by_config(mut self) -> Self {
        self.by_config = true;
        self
    }

    /// Skopeo calls the source so.
    pub(crate) fn skopeos_source(mut self, source: &str) -> Self {
        self.skopeos_source = Some(source.to_string());
        self
    }

    /// From elsewhere instead.
    pub(crate) fn from(mut self, source: String) -> Self {
        self.source = Some(source);
        self
    }

    /// The image, or this one.
    pub(crate) fn or_wants(mut self, digest: &str) -> Self {
        self.wanted = vec![self.pair.digest.clone(), digest.to_string()];
        self
    }

    /// Within the destination, from another repository of it.
    pub(crate) fn within(self) -> Self {
        self.pair.to.add("other/app", Some("1"), &self.pair.image);
        let source = at(&self.pair.to, "other/app");
        self.from(source)
    }

    /// This goes wrong at the source.
    pub(crate) fn source_fails(mut self, fault: Fault) -> Self {
        self.hits.push(self.pair.from.fail(fault));
        self
    }

    /// This goes wrong at the destination.
    pub(crate) fn destination_fails(mut self, fault: Fault) -> Self {
        self.hits.push(self.pair.to.fail(fault));
        self
    }

    /// This happened so often as something goes wrong elsewhere.
    pub(crate) fn met(mut self, hits: Hits) -> Self {
        self.hits.push(hits);
        self
    }

    /// With these options of ours, too, or in place of those that all scenes have.
    pub(crate) fn ours(mut self, options: &[&str]) -> Self {
        self.ours.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With these options of skopeo's, too.
    pub(crate) fn skopeos(mut self, options: &[&str]) -> Self {
        if let Ok(skopeo) = &mut self.skopeo {
            skopeo.extend(options.iter().map(ToString::to_string));
        }
        self
    }

    /// Skopeo is not asked, and why.
    pub(crate) fn not_for_skopeo(mut self, why: &'static str) -> Self {
        self.skopeo = Err(why);
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_string(), value.to_string()));
        self
    }

    /// What is done while it runs.
    pub(crate) fn during(self, during: impl FnOnce(&Pair, &mut Child) + Send + 'static) -> Self {
        *self.during.lock().unwrap() = Some(Box::new(during));
        self
    }

    /// What else must be true in the end, of either program; else what is wrong.
    pub(crate) fn check(
        mut self,
        check: impl Fn(&Pair) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// What we promise besides.
    pub(crate) fn check_of_ours(
        mut self,
        check: impl Fn(&Pair) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.checks_of_ours.push(Box::new(check));
        self
    }

    /// Servers and files that must be there until the end.
    pub(crate) fn keep(mut self, what: impl Any + Send) -> Self {
        self.kept.push(Box::new(what));
        self
    }

    /// A directory of this scene alone, for files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Copies, and looks at what there is. May be done again.
    pub(crate) fn run(&self, program: Program) -> Ran {
        let (mut command, temporary) = match self.command(program, "tmp") {
            Ok(found) => found,
            Err(why) => return Ran::cannot(why),
        };
        let during = self.during.lock().unwrap().take();
        let run = program.run(&mut command, |child| {
            if let Some(during) = during {
                during(&self.pair, child);
            }
        });
        let mut ran = Ran::of(run, self.left());
        ran.requests = self.requests();
        ran.met = self.hits.iter().all(|hits| hits.count() > 0);
        let ours = match program {
            Program::Imgcopy => &*self.checks_of_ours,
            Program::Skopeo => &[],
        };
        let checks = self.checks.iter().chain(ours);
        ran.odd
            .extend(checks.filter_map(|check| check(&self.pair).err()));
        let rest = tree(&temporary);
        ran.check(
            rest.is_empty(),
            format!("it left temporary files: {rest:?}"),
        )
    }

    /// The copy as this program is told to make it, with a home of this name; if it can be told.
    pub(crate) fn command(
        &self,
        program: Program,
        home: &str,
    ) -> Result<(Command, PathBuf), &'static str> {
        let arguments = match program {
            Program::Imgcopy => self.arguments_of_imgcopy(),
            Program::Skopeo => self.arguments_of_skopeo(self.skopeo.as_ref().map_err(|why| *why)?),
        };
        let home = self.home.path().join(home);
        std::fs::create_dir_all(&home).unwrap();
        let mut command = program.command(&home);
        command
            .envs(self.environment.iter().cloned())
            .args(arguments);
        if !self.under.is_empty() {
            command = under(&self.under, &command);
        }
        Ok((command, home))
    }

    /// How often the registries were asked.
    pub(crate) fn requests(&self) -> usize {
        self.pair.from.log().len() + self.pair.to.log().len()
    }

    fn arguments_of_imgcopy(&self) -> Vec<String> {
        let mut arguments = vec!["copy".to_string(), "--debug".to_string()];
        for (name, value) in OURS {
            if !self.ours.iter().any(|given| given == name) {
                arguments.extend([name, value].map(str::to_string));
            }
        }
        arguments.extend(self.ours.iter().cloned());
        arguments.extend(self.way(self.source.as_ref()));
        arguments
    }

    fn arguments_of_skopeo(&self, more: &[String]) -> Vec<String> {
        // As a careful user calls it: everything, and again if it fails.
        let always = "--insecure-policy copy --all --retry-times 4 --src-tls-verify=false \
                      --dest-tls-verify=false --src-creds reader:canary-of-src \
                      --dest-creds writer:canary-of-dest";
        let mut arguments: Vec<String> = always.split_whitespace().map(str::to_string).collect();
        arguments.extend(more.iter().cloned());
        let own = self.skopeos_source.as_ref();
        arguments.extend(self.way(own.or(self.source.as_ref())));
        arguments
    }

    fn way(&self, from: Option<&String>) -> [String; 2] {
        let from = from.cloned();
        let to = self.directory.as_ref();
        [
            from.unwrap_or_else(|| at(&self.pair.from, FROM)),
            to.map_or_else(
                || at(&self.pair.to, TO),
                |to| format!("oci:{}:1", to.display()),
            ),
        ]
    }

    /// What the destination has now.
    pub(crate) fn left(&self) -> Left {
        let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.tag()));
        let image = std::slice::from_ref(&self.pair.digest);
        let wanted = match self.wanted.is_empty() {
            true => image,
            false => &*self.wanted,
        };
        match whole {
            Ok(Some(digest)) if wanted.contains(&digest) || self.is_by_config(&digest) => Left::New,
            Ok(Some(digest)) if digest == self.pair.old => Left::Old,
            Ok(Some(digest)) => Left::Wrong(format!("the tag is {digest}")),
            Ok(None) => Left::Nothing,
            Err(_) => Left::Wrong("what is there is not whole, or not what it is called".into()),
        }
    }

    /// The digest under the tag; panics unless all that is there is right.
    fn tag(&self) -> Option<String> {
        let Some(directory) = &self.directory else {
            self.pair.to.assert_whole(TO);
            return self.pair.to.tag_of(TO, "1");
        };
        if assert_whole(directory).is_empty() {
            return None;
        }
        let index = std::fs::read(directory.join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let mut entries = index["manifests"].as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["annotations"][REF_NAME] == "1")?;
        entry["digest"].as_str().map(str::to_string)
    }

    /// Whether this manifest of the destination has the config of the image.
    fn is_by_config(&self, manifest: &str) -> bool {
        let config = digest("sha256", &self.pair.image.blobs[0]);
        let stored = self.pair.to.manifest(TO, manifest);
        self.by_config && stored.is_some_and(|stored| contains(&stored.bytes, config.as_bytes()))
    }
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
