//! A proxy for whatever is behind `CONNECT`.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that knows `CONNECT` and one way. Its threads end with their connections, or the process.
pub struct Proxy {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Leads everything to this port, after these answers.
    pub fn start(to: u16, first: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = heads.clone();
        std::thread::spawn(move || {
            for (at, stream) in listener.incoming().flatten().enumerate() {
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, to, first.get(at).copied(), &seen));
            }
        });
        Self { port, heads }
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, to: u16, refusal: Option<&str>, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
        if head.len() - before <= 2 {
            break;
        }
    }
    seen.lock().unwrap().push(head);
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _gone = client.write_all(answer.as_bytes());
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let _gone = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
    let mut back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut back.0, &mut back.1);
        let _gone = back.1.shutdown(std::net::Shutdown::Write);
    });
    let _ended = std::io::copy(&mut reader as &mut dyn Read, &mut server);
    let _gone = server.shutdown(std::net::Shutdown::Write);
}
