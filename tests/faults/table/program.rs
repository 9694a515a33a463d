//! The two programs that are put through the table, and what a run of one gives.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use imgcopy::error::{ErrorKind, Result};

use super::Left;
use super::scene::must;
use crate::support::{NO_CACHE, Run, told};

/// Who copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Imgcopy,
    Skopeo,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; none if it had to be killed for never ending.
    pub(crate) code: Option<i32>,
    /// All that was said.
    pub(crate) output: String,
    /// How often the registries were asked.
    pub(crate) requests: usize,
    pub(crate) left: Left,
    /// What else was not as it must be.
    pub(crate) odd: Vec<String>,
    /// Why this program cannot be asked for it.
    pub(crate) cannot: Option<&'static str>,
    /// Whether what goes wrong was met at all.
    pub(crate) met: bool,
}

impl Ran {
    /// A run of nothing: this program's command line has no words for the case.
    pub(crate) fn cannot(why: &'static str) -> Self {
        Self {
            code: None,
            output: String::new(),
            requests: 0,
            left: Left::Nothing,
            odd: Vec::new(),
            cannot: Some(why),
            met: false,
        }
    }

    /// What a copy by the library gave, with the exit code that the command has for it.
    pub(crate) fn of_library(result: &Result<String>, left: Left) -> Self {
        let (code, output) = match result {
            Ok(digest) => (0, digest.clone()),
            Err(error) if error.kind() == ErrorKind::NotFound => (2, told(error)),
            Err(error) if error.kind() == ErrorKind::RateLimited => (4, told(error)),
            Err(error) => (1, told(error)),
        };
        let (stdout, stderr) = (output, String::new());
        Self::of(
            Run {
                code: Some(code),
                stdout,
                stderr,
            },
            left,
        )
    }

    /// Notes what is not as it must be.
    pub(crate) fn check(mut self, is_so: bool, else_it_is: impl Into<String>) -> Self {
        self.odd.extend(must(is_so, else_it_is).err());
        self
    }

    /// What a run gave; where, how often and what else is for the caller to say.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn of(run: Run, left: Left) -> Self {
        Self {
            code: run.code,
            output: format!("{}{}", run.stdout, run.stderr),
            requests: 0,
            left,
            odd: Vec::new(),
            cannot: None,
            met: true,
        }
    }
}

impl Program {
    /// The program with a home of its own, in which it may leave nothing behind.
    pub(crate) fn command(self, home: &Path) -> Command {
        let mut command = match self {
            Self::Imgcopy => Command::new(env!("CARGO_BIN_EXE_imgcopy")),
            Self::Skopeo => Command::new("skopeo"),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", home);
        command.env("TMPDIR", home).env(NO_CACHE.0, NO_CACHE.1);
        command
    }

    /// How long a copy may take that should be done in seconds.
    fn limit(self) -> Duration {
        match self {
            Self::Imgcopy => Duration::from_mins(1),
            Self::Skopeo => Duration::from_secs(40),
        }
    }

    /// Runs it to its end; whoever needs longer than it should is killed, and has no exit code.
    pub(crate) fn run(self, command: &mut Command, during: impl FnOnce(&mut Child)) -> Run {
        let home = command.get_envs().find(|(name, _)| *name == "HOME");
        let home = Path::new(home.unwrap().1.unwrap()).to_path_buf();
        let [out, err] = ["stdout", "stderr"].map(|name| home.join(name));
        let file = |path| Stdio::from(std::fs::File::create(path).unwrap());
        command.stdin(Stdio::null());
        let mut child = command
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .unwrap();
        during(&mut child);
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                // As a shell tells it.
                let by_signal = || status.signal().map(|signal| 128 + signal);
                break status.code().or_else(by_signal);
            }
            if begun.elapsed() > self.limit() {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let run = Run {
            code,
            stdout: text(&out),
            stderr: text(&err),
        };
        for path in [out, err] {
            std::fs::remove_file(path).unwrap();
        }
        run
    }
}

/// A command that is run by another one, whose last arguments it becomes.
pub(crate) fn under(outer: &[String], command: &Command) -> Command {
    let mut all = Command::new(&outer[0]);
    all.args(&outer[1..]).arg(command.get_program());
    all.args(command.get_args()).env_clear();
    all.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    all
}
