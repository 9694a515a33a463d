//! A TCP proxy that cuts, stalls and slows. It knows nothing of HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;

/// How much is passed at once.
const PIECE: usize = 32 << 10;

/// What the kernel keeps of a connection: little, so that what was sent has nearly arrived.
const BUFFER: u32 = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// How a connection goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upset {
    Close,
    Reset,
    /// Nothing moves any more, but nobody is told.
    Stall,
}

/// What a proxy does to what passes.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Which way things go wrong, and after how many bytes of a connection.
    pub(crate) at: (Way, u64),
    pub(crate) upset: Upset,
    /// How often altogether.
    pub(crate) times: usize,
    /// How long each 32 KiB take, both ways.
    pub(crate) pause: Duration,
}

impl Default for Weather {
    /// Fair.
    fn default() -> Self {
        Self {
            at: (Way::Up, 0),
            upset: Upset::Close,
            times: 0,
            pause: Duration::ZERO,
        }
    }
}

/// A proxy on a port of 127.0.0.1. It ends when dropped, with all connections.
pub(crate) struct Relay {
    address: SocketAddr,
    sky: Arc<Sky>,
    _runtime: Runtime,
}

struct Sky {
    weather: Weather,
    /// How often something still goes wrong.
    left: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
}

impl Relay {
    /// Before a server at `HOST:PORT`.
    pub(crate) fn before(server: &str, weather: Weather) -> Self {
        let server: SocketAddr = server.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            // Connections that are accepted inherit it.
            socket.set_recv_buffer_size(BUFFER).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(128).unwrap()
        });
        let address = listener.local_addr().unwrap();
        let sky = Arc::new(Sky {
            left: AtomicUsize::new(weather.times),
            weather,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        runtime.spawn(accept(listener, server, sky.clone()));
        Self {
            address,
            sky,
            _runtime: runtime,
        }
    }

    /// `127.0.0.1:41234`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// How often something still goes wrong.
    pub(crate) fn left(&self) -> usize {
        self.sky.left.load(Ordering::Relaxed)
    }

    /// How many bytes passed.
    pub(crate) fn passed(&self, way: Way) -> u64 {
        self.sky.bytes(way).load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, sky: Arc<Sky>) {
    while let Ok((client, _)) = listener.accept().await {
        let sky = sky.clone();
        tokio::spawn(async move {
            // Where the server is down, the client hears no more than that.
            if let Ok(server) = TcpStream::connect(server).await {
                sky.connection(client, server).await;
            }
        });
    }
}

impl Sky {
    fn bytes(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    async fn connection(&self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let ended = tokio::try_join!(
            self.pass(Way::Up, &mut from_client, &mut to_server),
            self.pass(Way::Down, &mut from_server, &mut to_client),
        );
        match ended {
            Ok(_) | Err(Upset::Close) => {}
            Err(Upset::Reset) => from_client.as_ref().set_zero_linger().unwrap(),
            Err(Upset::Stall) => std::future::pending().await,
        }
    }

    async fn pass(
        &self,
        way: Way,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
    ) -> Result<(), Upset> {
        let mut passed = 0;
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece).await.map_err(|_| Upset::Close)?;
            if read == 0 {
                return to.shutdown().await.map_err(|_| Upset::Close);
            }
            passed += read as u64;
            if self.goes_wrong(way, passed) {
                return Err(self.weather.upset);
            }
            to.write_all(&piece[..read])
                .await
                .map_err(|_| Upset::Close)?;
            self.bytes(way).fetch_add(read as u64, Ordering::Relaxed);
            if !self.weather.pause.is_zero() {
                tokio::time::sleep(self.weather.pause).await;
            }
        }
    }

    fn goes_wrong(&self, way: Way, passed: u64) -> bool {
        let (wrong, after) = self.weather.at;
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        way == wrong && passed > after && self.left.fetch_update(order, order, less).is_ok()
    }
}
