//! Docker's credential helpers: programs that keep credentials in a keychain.
//!
//! The protocol is that of docker-credential-helpers: a verb as the only argument, text on stdin, an
//! answer on stdout. Secrets travel by stdin only, so `ps` shows none (S-41). What goes to a helper
//! was parsed before, so no line break or option can hide in it (S-38).

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::credential::{Credential, Secret, TOKEN_USER};
use super::scope::Scope;
use super::shown;
use crate::error::{Attempt as _, Error, ErrorKind, Result};
use crate::image::Repository;

/// What Docker calls its Hub when it talks to helpers.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// What a helper says when it has nothing. It is part of the protocol.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

/// The longest complaint that is shown, in characters.
const COMPLAINT_LIMIT: usize = 512;

/// The name of a helper. Its `Display` is the program: `docker-credential-NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HelperName(String);

impl FromStr for HelperName {
    type Err = Error;

    /// Letters, digits, `.`, `_` and `-`: no name leads out of `PATH` (S-38).
    fn from_str(name: &str) -> Result<Self> {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        match !name.is_empty() && name.bytes().all(is_plain) {
            true => Ok(Self(name.to_string())),
            false => {
                let what = format!("\"{}\" is no name of a credential helper", shown(name));
                Err(Error::new(ErrorKind::Invalid, what))
            }
        }
    }
}

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker-credential-{}", self.0)
    }
}

/// A helper that was found, and how long it may take for an answer.
pub(super) struct Helper {
    name: HelperName,
    program: PathBuf,
    patience: Duration,
}

/// What came of running a helper.
struct Outcome {
    status: ExitStatus,
    answer: Vec<u8>,
    complaint: Vec<u8>,
}

impl Helper {
    /// Looks a helper up in `path`. Relative parts of it are passed over: what is in the working
    /// directory is no program of the user. `None` if there is none.
    pub(super) fn find(
        name: &HelperName,
        path: Option<&OsStr>,
        patience: Duration,
    ) -> Option<Self> {
        let file = name.to_string();
        let program = std::env::split_paths(path?)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(&file))
            .find(|program| {
                let is_program = |it: std::fs::Metadata| it.permissions().mode() & 0o111 != 0;
                program.is_file() && program.metadata().is_ok_and(is_program)
            })?;
        Some(Self {
            name: name.clone(),
            program,
            patience,
        })
    }

    /// The error of a helper that is nowhere.
    pub(super) fn missing(name: &HelperName) -> Error {
        let what = format!("{name} is not in PATH: install it, or take it out of the file");
        Error::new(ErrorKind::Unsupported, what)
    }

    /// The credential for a registry; `None` if the helper has none.
    ///
    /// # Errors
    /// `Io` if the helper fails, does not answer in time, or answers what is no credential.
    pub(super) async fn get(&self, scope: &Scope) -> Result<Option<Credential>> {
        let what = || format!("cannot get credentials for {scope} from {}", self.name);
        let outcome = self.run("get", server(scope)).await.attempting(what)?;
        if outcome.says_not_found() {
            return Ok(None);
        }
        outcome.check(None).attempting(what)?;
        parse(&outcome.answer).attempting(what)
    }

    /// Gives the helper a credential to keep.
    ///
    /// # Errors
    /// `Unsupported` for a registry token, which helpers cannot hold; `Io` as in [`Self::get`].
    pub(super) async fn store(&self, scope: &Scope, credential: &Credential) -> Result<()> {
        let what = || format!("cannot keep credentials for {scope} in {}", self.name);
        if matches!(credential, Credential::RegistryToken(_)) {
            let why = "credential helpers cannot hold a registry token";
            return Err(Error::new(ErrorKind::Unsupported, why)).attempting(what);
        }
        let secret = credential.secret();
        let message = json!({
            "ServerURL": server(scope),
            "Username": credential.user(),
            "Secret": secret.reveal(),
        });
        let run = self.run("store", &message.to_string()).await;
        run.and_then(|outcome| outcome.check(Some(secret)))
            .attempting(what)
    }

    /// Makes the helper forget a credential.
    ///
    /// # Errors
    /// `Io` as in [`Self::get`].
    pub(super) async fn erase(&self, scope: &Scope) -> Result<()> {
        let run = self.run("erase", server(scope)).await;
        run.and_then(|outcome| outcome.check(None))
            .attempting(|| format!("cannot erase credentials for {scope} in {}", self.name))
    }

    async fn run(&self, verb: &'static str, input: &str) -> Result<Outcome> {
        let mut child = Command::new(&self.program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Whoever stops waiting stops the helper.
            .kill_on_drop(true)
            .spawn()
            .attempting(|| format!("cannot start {}", self.program.display()))?;
        match tokio::time::timeout(self.patience, talk(&mut child, input)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let what = format!("it gave no answer in {} s", self.patience.as_secs());
                Err(Error::new(ErrorKind::Io, what))
            }
        }
    }
}

/// Says everything, hears everything, and waits for the end; all at once, so that neither side waits
/// for the other.
async fn talk(child: &mut Child, input: &str) -> Result<Outcome> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(Error::new(ErrorKind::Io, "it has no pipes"));
    };
    let say = async move {
        // A helper that does not want to hear it all may still give an answer.
        let _ = stdin.write_all(input.as_bytes()).await;
        Ok(())
    };
    let ((), answer, complaint) = tokio::try_join!(say, hear_all(stdout), hear_some(stderr))?;
    Ok(Outcome {
        status: child.wait().await?,
        answer,
        complaint,
    })
}

async fn hear_all(pipe: impl AsyncRead + Unpin) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(ANSWER_LIMIT + 1).read_to_end(&mut bytes).await?;
    match bytes.len() as u64 > ANSWER_LIMIT {
        true => Err(Error::new(ErrorKind::Io, "its answer is longer than 1 MiB")),
        false => Ok(bytes),
    }
}

/// Keeps the beginning, and takes the rest off the helper's hands.
async fn hear_some(mut pipe: impl AsyncRead + Unpin) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let start = 8 * COMPLAINT_LIMIT as u64;
    (&mut pipe).take(start).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

impl Outcome {
    fn says_not_found(&self) -> bool {
        let says = |text: &[u8]| text.trim_ascii() == NOT_FOUND.as_bytes();
        !self.status.success() && (says(&self.answer) || says(&self.complaint))
    }

    /// Whether it went well. `secret` is what the helper was told, and might repeat.
    fn check(&self, secret: Option<&Secret>) -> Result<()> {
        if self.status.success() {
            return Ok(());
        }
        let how = match self.status.code() {
            Some(code) => format!("it failed with status {code}"),
            None => "it was killed by a signal".to_string(),
        };
        let complaint = self.complaint(secret);
        let what = match complaint.is_empty() {
            true => how,
            false => format!("{how}: {complaint}"),
        };
        Err(Error::new(ErrorKind::Io, what))
    }

    /// What the helper complains of, on one line. Helpers complain on stdout, some on stderr. What
    /// has the form of a credential is not shown.
    fn complaint(&self, secret: Option<&Secret>) -> String {
        let said = match self.complaint.trim_ascii().is_empty() {
            true => &self.answer,
            false => &self.complaint,
        };
        let mut text = String::from_utf8_lossy(said).into_owned();
        if text.contains('{') {
            return String::new();
        }
        if let Some(secret) = secret.map(Secret::reveal).filter(|it| !it.is_empty()) {
            text = text.replace(secret, "REDACTED");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        line.escape_debug().take(COMPLAINT_LIMIT).collect()
    }
}

/// How helpers know a registry.
fn server(scope: &Scope) -> &str {
    match scope.registry() {
        Repository::HUB => HUB_SERVER,
        host => host,
    }
}

/// The answer to `get`. Messages never tell what is in it.
fn parse(answer: &[u8]) -> Result<Option<Credential>> {
    let invalid = |what| Error::new(ErrorKind::Io, what);
    let Ok(Value::Object(fields)) = serde_json::from_slice(answer) else {
        return Err(invalid("its answer is no JSON object"));
    };
    // Written in Go, most programs would read these in any case.
    let field = |name: &str| {
        let mut all = fields.iter();
        let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    };
    match (field("Username"), field("Secret")) {
        (Some(Value::String(user)), Some(Value::String(secret))) => {
            if secret.is_empty() && (user.is_empty() || user == TOKEN_USER) {
                return Ok(None);
            }
            match user == TOKEN_USER {
                true => Ok(Some(Credential::IdentityToken(Secret::new(secret.clone())))),
                false => Credential::basic(user, secret).map(Some),
            }
        }
        (None, None) => Err(invalid("its answer names no user and no secret")),
        (None, _) => Err(invalid("its answer names no user")),
        _ => Err(invalid("its answer names no secret")),
    }
}
