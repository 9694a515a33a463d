//! nginx before registries: a process of its own, with everything in a directory that goes away.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::registry::soon;
use crate::support::{has_peer, tempdir};

/// A proxy on a port of 127.0.0.1.
pub(crate) struct Nginx {
    process: Child,
    host: String,
    home: TempDir,
}

/// Where Debian has it, which is not in everybody's PATH.
const PROGRAM: &str = "/usr/sbin/nginx";

impl Nginx {
    /// Before a server at `HOST:PORT`, with more directives of `location /`. `None`, said on stderr,
    /// where there is no nginx.
    pub(crate) fn before(server: &str, directives: &str) -> Option<Self> {
        if !has_peer(PROGRAM) {
            return None;
        }
        let home = tempdir();
        // It takes no port 0. Nobody else gets this one so soon.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let config = config(&host, server, directives, home.path());
        fs::write(home.path().join("nginx.conf"), config).unwrap();
        let process = spawn(home.path());
        let mut nginx = Self {
            process,
            host,
            home,
        };
        nginx.listens();
        Some(nginx)
    }

    /// `127.0.0.1:41234`
    pub(crate) fn host(&self) -> String {
        self.host.clone()
    }

    /// Ends it at once, with every connection, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.process = spawn(self.home.path());
        self.listens();
    }

    /// A line for each answer: method, status, address.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("access")).unwrap_or_default()
    }

    /// How many answers of this status there were to requests of this method.
    pub(crate) fn answers(&self, method: &str, status: u16) -> usize {
        let begin = format!("{method} {status} ");
        self.log()
            .lines()
            .filter(|line| line.starts_with(&begin))
            .count()
    }

    /// How many answers of this status there were.
    pub(crate) fn all(&self, status: u16) -> usize {
        let part = format!(" {status} ");
        self.log()
            .lines()
            .filter(|line| line.contains(&part))
            .count()
    }

    fn listens(&mut self) {
        let told = || fs::read_to_string(self.home.path().join("error")).unwrap_or_default();
        soon(|| TcpStream::connect(&self.host).is_ok());
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "nginx ended ({ended:?}): {}", told());
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs with the rights of whoever runs the tests: it is one process, which changes its user nowhere.
fn spawn(home: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .arg("-p")
        .arg(home)
        .arg("-c")
        .arg(home.join("nginx.conf"));
    command.arg("-e").arg(home.join("error"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn config(host: &str, server: &str, directives: &str, home: &Path) -> String {
    let home = home.display();
    format!(
        "daemon off; master_process off; pid {home}/pid; error_log {home}/error info;
        events {{ worker_connections 256; }}
        http {{
            log_format short '$request_method $status $request_uri';
            access_log {home}/access short;
            client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
            fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;
            scgi_temp_path {home}/scgi;
            server {{
                listen {host};
                location / {{
                    proxy_pass http://{server};
                    proxy_http_version 1.1;
                    proxy_set_header Host $http_host;
                    {directives}
                }}
            }}
        }}"
    )
}
