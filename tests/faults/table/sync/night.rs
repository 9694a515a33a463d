//! Many images from registries into one, by either program's `sync`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command};

use tempfile::TempDir;

use crate::FROM;
use crate::support::registry::Registry;
use crate::support::tempdir;
use crate::table::Left;
use crate::table::program::{Program, Ran, under};

/// What is to be copied, and where it goes.
pub(super) struct Night {
    pub(super) from: Registry,
    pub(super) to: Registry,
    home: TempDir,
    /// Other registries, each with the same tags.
    others: Vec<Registry>,
    tags: Vec<String>,
    /// What runs the program.
    pub(super) under: Vec<String>,
    /// More of our options.
    pub(super) ours: Vec<String>,
}

const MIRROR: &str = "mirror";

impl Night {
    /// So many images, each with layers of these sizes.
    pub(super) fn new(images: u64, sizes: &[usize]) -> Self {
        let night = Self {
            from: Registry::start(),
            to: Registry::start(),
            home: tempdir(),
            others: Vec::new(),
            tags: (0..images).map(|tag| tag.to_string()).collect(),
            under: Vec::new(),
            ours: Vec::new(),
        };
        for (seed, tag) in (0..).zip(&night.tags) {
            night.from.add_image(FROM, tag, sizes, seed);
        }
        night
    }

    /// So many tags of one image, which are at the mirror already.
    pub(super) fn of_one_image(tags: u64) -> Self {
        let mut night = Self::new(1, &[3000]);
        let digest = night.from.tag_of(FROM, "0").unwrap();
        night
            .to
            .add_image(&FROM.replace("team", MIRROR), "0", &[3000], 0);
        night.tags = (0..tags).map(|tag| tag.to_string()).collect();
        for tag in &night.tags {
            night.from.set_tag(FROM, tag, &digest);
            night
                .to
                .set_tag(&FROM.replace("team", MIRROR), tag, &digest);
        }
        night
    }

    /// From another registry, too, where the images are called otherwise.
    pub(super) fn and_from_another(mut self) -> Self {
        let other = Registry::start();
        for (seed, tag) in (100..).zip(&self.tags) {
            other.add_image(&Self::name_of_other(self.others.len()), tag, &[300], seed);
        }
        self.others.push(other);
        self
    }

    fn name_of_other(number: usize) -> String {
        format!("team/other{number}")
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Every repository that is wanted, where it is.
    fn wanted(&self) -> Vec<(&Registry, String)> {
        let others = self.others.iter().enumerate();
        let others = others.map(|(number, other)| (other, Self::name_of_other(number)));
        std::iter::once((&self.from, FROM.to_string()))
            .chain(others)
            .collect()
    }

    pub(super) fn command(&self, program: Program) -> Command {
        let temporary = self.home.path().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = program.command(&temporary);
        command.current_dir(self.home.path());
        match program {
            Program::Imgcopy => self.of_imgcopy(&mut command),
            Program::Skopeo => self.of_skopeo(&mut command),
        }
        match &*self.under {
            [] => command,
            outer => {
                let mut all = under(outer, &command);
                all.current_dir(self.home.path());
                all
            }
        }
    }

    fn of_imgcopy(&self, command: &mut Command) {
        let tags = self.tags.join("\", \"");
        let mut text =
            "version: 1\nregistries: {\"127.0.0.1:*\": {tls: off}}\nimages:\n".to_string();
        for (registry, repository) in self.wanted() {
            let (from, to) = (registry.host(), self.to.host());
            let name = repository.replace("team/", "");
            writeln!(
                text,
                "  - {{from: \"{from}/{repository}\", tags: [\"{tags}\"], \
                 to: \"{to}/{MIRROR}/{name}\", referrers: none}}"
            )
            .unwrap();
        }
        std::fs::write(self.home.path().join("sync.yaml"), text).unwrap();
        command
            .args(["sync", "--report", "report.json"])
            .args(&self.ours);
        for (name, value) in [("--retry-delay", "10ms"), ("--timeout", "2s")] {
            if !self.ours.iter().any(|given| given == name) {
                command.args([name, value]);
            }
        }
    }

    fn of_skopeo(&self, command: &mut Command) {
        let tags = self.tags.join("\", \"");
        let mut text = String::new();
        for (registry, repository) in self.wanted() {
            writeln!(
                text,
                "\"{}\": {{tls-verify: false, images: {{\"{repository}\": [\"{tags}\"]}}}}",
                registry.host()
            )
            .unwrap();
        }
        std::fs::write(self.home.path().join("skopeo.yaml"), text).unwrap();
        let always = "--insecure-policy sync --all --keep-going --retry-times 4 --src yaml \
                      --dest docker --dest-tls-verify=false skopeo.yaml";
        command.args(always.split_whitespace());
        command.arg(format!("{}/{MIRROR}", self.to.host()));
    }

    pub(super) fn run(&self, program: Program) -> Ran {
        self.run_while(program, |_| {})
    }

    pub(super) fn run_while(&self, program: Program, during: impl FnOnce(&mut Child)) -> Ran {
        let run = program.run(&mut self.command(program), during);
        let mut ran = Ran::of(run, self.left());
        ran.requests = self.requests();
        ran
    }

    /// How often registries were asked.
    pub(super) fn requests(&self) -> usize {
        let all = self.others.iter().chain([&self.from, &self.to]);
        all.map(|registry| registry.log().len()).sum()
    }

    /// `New`: everything arrived. `Nothing`: not everything, and nothing wrong did.
    pub(super) fn left(&self) -> Left {
        let mut missing = 0;
        for (registry, repository) in self.wanted() {
            let mirrored = repository.replace("team", MIRROR);
            let to = std::panic::AssertUnwindSafe(&self.to);
            if std::panic::catch_unwind(|| to.assert_whole(&mirrored)).is_err() {
                return Left::Wrong(format!("{mirrored} is not whole"));
            }
            for tag in &self.tags {
                match self.to.tag_of(&mirrored, tag) {
                    None => missing += 1,
                    found if found == registry.tag_of(&repository, tag) => {}
                    Some(found) => return Left::Wrong(format!("{mirrored}:{tag} is {found}")),
                }
            }
        }
        match missing {
            0 => Left::New,
            _ => Left::Nothing,
        }
    }

    /// How many images arrived.
    pub(super) fn arrived(&self) -> usize {
        let tags = |(_, repository): (_, String)| self.to.tags(&repository.replace("team", MIRROR));
        self.wanted().into_iter().map(|it| tags(it).len()).sum()
    }

    /// Another thing that is wrong unless so many arrived.
    pub(super) fn expect(&self, ran: &mut Ran, count: usize) {
        let arrived = self.arrived();
        if arrived != count {
            ran.odd
                .push(format!("{arrived} images arrived, not {count}"));
        }
    }
}
