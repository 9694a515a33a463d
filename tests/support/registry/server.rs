//! A server on a thread of its own: it accepts, logs, and follows the script. What it answers is a
//! closure's business.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::exchange::{Entry, Logged};
use super::fault::{Fault, Hangup, Hits, is_method, soon};
use super::link::{Link, Stream};
use super::message::{Request, Response};
use super::streams;
use super::tls::Tls;

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

pub(super) struct Shared {
    pub(super) answer: Box<Answer>,
    tls: Option<TlsAcceptor>,
    /// How many streams a connection may have at once, if not any number.
    pub(super) streams: Option<u32>,
    /// How many connections spoke HTTP/2.
    pub(super) multiplexed: AtomicUsize,
    pub(super) log: Mutex<Vec<Logged>>,
    pub(super) faults: Mutex<Vec<Fault>>,
    pub(super) requests: AtomicUsize,
    connections: AtomicUsize,
    to_reset: AtomicUsize,
    plaintext: AtomicUsize,
}

/// A lock that a panic elsewhere does not spoil.
pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Order {
    Down(std::sync::mpsc::Sender<()>),
    Up(std::sync::mpsc::Sender<()>),
    End,
}

/// A server on 127.0.0.1. It ends when dropped, with all connections.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server for plain HTTP. The closure must not block.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::with(None, answer)
    }

    /// A server for HTTPS, if TLS is given.
    pub fn with(
        tls: Option<&Tls>,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            tls: tls.map(Tls::acceptor),
            streams: tls.and_then(|tls| tls.streams),
            multiplexed: AtomicUsize::new(0),
            log: Mutex::default(),
            faults: Mutex::default(),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            to_reset: AtomicUsize::new(0),
            plaintext: AtomicUsize::new(0),
        });
        let (orders, inbox) = unbounded_channel();
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().unwrap();
                runtime.block_on(run(listener, inbox, shared));
            }
        });
        Self {
            address,
            shared,
            orders,
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:41234`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:41234`
    pub fn origin(&self) -> String {
        let scheme = match self.shared.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// A URL here; the path begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Adds to the script. The first fault that is for a request wins.
    pub fn fail(&self, fault: Fault) -> Hits {
        let hits = fault.hits();
        held(&self.shared.faults).push(fault);
        hits
    }

    /// Ends the script: the truth from now on.
    pub fn heal(&self) {
        held(&self.shared.faults).clear();
    }

    /// Resets the next connections as soon as they are made, before TLS.
    pub fn reset_connections(&self, count: usize) {
        self.shared.to_reset.store(count, Ordering::SeqCst);
    }

    /// Refuses connections and breaks off those that there are.
    pub fn down(&self) {
        self.order(Order::Down);
    }

    /// Listens again, on the same port.
    pub fn up(&self) {
        self.order(Order::Up);
    }

    fn order(&self, order: impl Fn(std::sync::mpsc::Sender<()>) -> Order) {
        let (done, wait) = std::sync::mpsc::channel();
        self.orders.send(order(done)).unwrap();
        wait.recv().unwrap();
    }

    /// Every request so far, in order of arrival.
    pub fn log(&self) -> Vec<Logged> {
        held(&self.shared.log).clone()
    }

    /// The requests of this method (`*` for any), in whose path and query this text is found.
    pub fn requests(&self, method: &str, part: &str) -> Vec<Logged> {
        let mut found = self.log();
        found.retain(|entry| is_method(method, &entry.method) && entry.target.contains(part));
        found
    }

    /// How many such requests came.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.requests(method, part).len()
    }

    /// Waits until so many such requests came; panics if that takes longer than half a minute.
    #[track_caller]
    pub fn wait_for(&self, method: &str, part: &str, count: usize) {
        soon(|| self.count(method, part) >= count);
    }

    /// The most such requests that were under way at one moment.
    pub fn most_at_once(&self, method: &str, part: &str) -> usize {
        let all = self.requests(method, part);
        let at = |now: Instant| {
            let open = |entry: &&Logged| entry.at <= now && entry.ended.is_none_or(|end| end > now);
            all.iter().filter(open).count()
        };
        all.iter().map(|entry| at(entry.at)).max().unwrap_or(0)
    }

    /// Empties the log.
    pub fn forget(&self) {
        held(&self.shared.log).clear();
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections spoke HTTP/2.
    pub fn multiplexed(&self) -> usize {
        self.shared.multiplexed.load(Ordering::SeqCst)
    }

    /// How many connections to a TLS server began with something else than TLS.
    pub fn plaintext(&self) -> usize {
        self.shared.plaintext.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.orders.send(Order::End);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

async fn run(
    listener: std::net::TcpListener,
    mut orders: UnboundedReceiver<Order>,
    shared: Arc<Shared>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(TcpListener::from_std(listener).unwrap());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Down(done)) => {
                    listener = None;
                    open.shutdown().await;
                    let _waits = done.send(());
                }
                Some(Order::Up(done)) => {
                    listener = Some(TcpListener::bind(address).await.unwrap());
                    let _waits = done.send(());
                }
                Some(Order::End) | None => return,
            },
            stream = accepted(listener.as_ref()) => {
                while open.try_join_next().is_some() {}
                open.spawn(serve(stream, shared.clone()));
            }
        }
    }
}

async fn accepted(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

async fn serve(tcp: TcpStream, shared: Arc<Shared>) {
    let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
    let less = |left: usize| left.checked_sub(1);
    if shared
        .to_reset
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
    {
        let _gone = tcp.set_zero_linger();
        return;
    }
    let _slower = tcp.set_nodelay(true);
    let stream = match &shared.tls {
        None => Stream::Plain(tcp),
        Some(acceptor) => {
            let mut first = [0];
            // 22 is the type of a handshake's records (RFC 8446, 5.1).
            if matches!(tcp.peek(&mut first).await, Ok(1)) && first != [22] {
                shared.plaintext.fetch_add(1, Ordering::SeqCst);
            }
            let Ok(stream) = acceptor.accept(tcp).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return streams::serve(Box::new(stream), connection, shared).await;
            }
            Stream::Tls(Box::new(stream))
        }
    };
    let mut link = Link::new(stream);
    while let Some(mut request) = link.head().await {
        request.connection = connection;
        request.secure = shared.tls.is_some();
        let entry = Entry::new(&shared, &request);
        link = match entry.exchange(link, request).await {
            Some(link) => link,
            None => return,
        };
    }
    link.hang_up(Hangup::Close).await;
}
