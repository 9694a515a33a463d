//! A scripted engine on a socket in a directory: it says what the test tells it to, and keeps what it
//! was asked and sent.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Run, command, tempdir};

/// How a request is answered.
#[derive(Clone)]
pub enum Reply {
    /// A status and a text.
    Text(u16, String),
    /// An archive, in chunks.
    Archive(Vec<u8>),
    /// The same, but the connection closes before the end is told.
    Torn(Vec<u8>),
    /// Takes all that is sent, and says this.
    Takes(String),
    /// Takes so many bytes and closes.
    HangsUp(usize),
    /// Says this without reading what is sent.
    Hurries(u16, String),
}

pub type Script = Box<dyn Fn(&str) -> Option<Reply> + Send + Sync>;

/// What was sent with a request.
#[derive(Clone)]
pub struct Sent {
    pub bytes: Vec<u8>,
    /// Whether its end was told.
    pub is_whole: bool,
}

pub struct Fake {
    home: TempDir,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<String>>>,
    sent: Receiver<Sent>,
}

/// What each connection has of it.
#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<String>>>,
    sent: Sender<Sent>,
}

impl Fake {
    /// Starts one. What the script does not know is not found.
    pub fn start(script: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let home = tempdir();
        let listener = UnixListener::bind(home.path().join("socket")).unwrap();
        let boxed: Script = Box::new(script);
        let (sender, sent) = channel();
        let shared = Shared {
            script: Arc::new(Mutex::new(boxed)),
            asked: Arc::default(),
            sent: sender,
        };
        let (script, asked) = (Arc::clone(&shared.script), Arc::clone(&shared.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Self {
            home,
            script,
            asked,
            sent,
        }
    }

    /// From now on it says something else.
    pub fn says(&self, script: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.home.path().join("socket").display())
    }

    /// Runs the command with this engine in its environment.
    pub fn imgcopy(&self, args: &[&str]) -> Run {
        Run::of(command().env("DOCKER_HOST", self.host()).args(args))
    }

    /// The same where no temporary file can be made.
    pub fn imgcopy_without_room(&self, args: &[&str]) -> Run {
        let nowhere = self.home.path().join("nowhere");
        let mut command = command();
        Run::of(
            command
                .env("DOCKER_HOST", self.host())
                .env("TMPDIR", nowhere)
                .args(args),
        )
    }

    /// What it was asked since the last time, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort();
        asked
    }

    /// What it was sent next, which a request has promised.
    pub fn sent(&self) -> Sent {
        self.sent.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

impl Shared {
    fn serve(&self, stream: &UnixStream) {
        let mut from = BufReader::new(stream);
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        let asked = line.trim_end().trim_end_matches(" HTTP/1.1").to_string();
        loop {
            line.clear();
            if from.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
        }
        if asked.is_empty() {
            return;
        }
        self.asked.lock().unwrap().push(asked.clone());
        let reply = (self.script.lock().unwrap())(&asked);
        let reply = reply.unwrap_or(Reply::Text(404, r#"{"message":"No such image"}"#.into()));
        let is_load = asked.starts_with("POST /images/load");
        let limit = match &reply {
            Reply::HangsUp(limit) => *limit,
            Reply::Hurries(..) => 0,
            _ => usize::MAX,
        };
        if is_load && limit > 0 {
            let sent = chunks(&mut from, limit);
            let is_whole = sent.is_whole;
            let _ = self.sent.send(sent);
            if !is_whole {
                return;
            }
        }
        // Who asked may have gone.
        let _ = answer(stream, reply);
        if is_load && limit == 0 {
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        }
    }
}

fn chunks(from: &mut impl BufRead, limit: usize) -> Sent {
    let mut bytes = Vec::new();
    let mut is_whole = false;
    while bytes.len() < limit {
        let mut line = String::new();
        if from.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        if from.read_exact(&mut chunk).is_err() {
            break;
        }
        bytes.extend_from_slice(&chunk[..size]);
        if size == 0 {
            is_whole = true;
            break;
        }
    }
    Sent { bytes, is_whole }
}

fn answer(mut to: &UnixStream, reply: Reply) -> std::io::Result<()> {
    let (status, body, is_torn) = match reply {
        Reply::Text(status, text) | Reply::Hurries(status, text) => {
            (status, text.into_bytes(), false)
        }
        Reply::Takes(text) => (200, text.into_bytes(), false),
        Reply::Archive(bytes) => (200, bytes, false),
        Reply::Torn(bytes) => (200, bytes, true),
        Reply::HangsUp(_) => return Ok(()),
    };
    let head = format!(
        "HTTP/1.1 {status} Said\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    to.write_all(head.as_bytes())?;
    for chunk in body.chunks(10_000) {
        write!(to, "{:x}\r\n", chunk.len())?;
        to.write_all(chunk)?;
        to.write_all(b"\r\n")?;
    }
    match is_torn {
        true => Ok(()),
        false => to.write_all(b"0\r\n\r\n"),
    }
}
