//! Names (C): what resolvers say, and addresses that never answer.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgcopy::error::{ErrorKind, Result};
use imgcopy::store::registry::{Options, Registries};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::support::registry::{Options as Kind, Registry, Tls};
use crate::support::{oci_at, tempdir};
use crate::{FROM, block, copied, copy_with, failed, has, options};

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const HERE_TOO: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// What systems say, as far as the standard library shows it.
pub(crate) const AGAIN: &str =
    "failed to lookup address information: Temporary failure in name resolution";
const NOBODY: &str = "failed to lookup address information: Name or service not known";

/// Says where `localhost` is, after some failures; whatever else it is asked does not exist.
pub(crate) struct Script {
    failures: Mutex<VecDeque<&'static str>>,
    addresses: Vec<IpAddr>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    pub(crate) fn new(failures: &[&'static str], addresses: &[IpAddr]) -> Arc<Self> {
        Arc::new(Self {
            failures: Mutex::new(failures.iter().copied().collect()),
            addresses: addresses.to_vec(),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn options(self: &Arc<Self>) -> Options {
        Options {
            resolver: Some(self.clone()),
            ..options()
        }
    }

    /// How often this name was looked up.
    pub(crate) fn count(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

impl Resolve for Script {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_string();
        let failure = match name.as_str() {
            "localhost" => self.failures.lock().unwrap().pop_front(),
            _ => Some(NOBODY),
        };
        let addresses = self.addresses.clone();
        self.asked.lock().unwrap().push(name);
        Box::pin(async move {
            match failure {
                Some(text) => Err(io::Error::other(text).into()),
                None => {
                    let found = addresses.into_iter().map(|it| SocketAddr::new(it, 0));
                    Ok(Box::new(found) as Addrs)
                }
            }
        })
    }
}

/// Copies an image of `localhost`, at this port, to a directory that it gets to itself.
pub(crate) fn from_localhost(port: u16, options: Options) -> Result<String> {
    let directory = tempdir();
    let from = format!("docker://localhost:{port}/{FROM}:1");
    let copied = copy_with(options, &from, &oci_at(directory.path(), "1"));
    let tags: &[&str] = if copied.is_ok() { &["1"] } else { &[] };
    has(directory.path(), tags);
    copied
}

fn registry() -> (Registry, String) {
    let registry = Registry::start();
    let digest = registry.add_image(FROM, "1", &[3000], 7);
    (registry, digest)
}

#[test]
fn f01_a_name_that_cannot_be_looked_up_for_now_is_looked_up_again() {
    for text in [
        AGAIN,
        // musl.
        "failed to lookup address information: Try again",
        "the resolver has a bad day",
    ] {
        let (registry, digest) = registry();
        let names = Script::new(&[text; 2], &[HERE]);
        assert_eq!(
            from_localhost(registry.port(), names.options()).unwrap(),
            digest
        );
        let lookups = names.count("localhost");
        assert_eq!(lookups, registry.connections() + 2, "{text}");
    }
}

#[test]
fn f01_a_name_that_cannot_be_looked_up_says_nothing_about_tls() {
    let registry = Registry::with(Kind {
        tls: Some(Tls::default()),
        ..Kind::default()
    });
    let digest = registry.add_image(FROM, "1", &[3000], 7);
    let names = Script::new(&[AGAIN; 2], &[HERE]);
    let mut insecure = names.options();
    insecure.tls_verify = Some(false);
    let copied = from_localhost(registry.port(), insecure);
    assert_eq!(copied.unwrap(), digest);
    assert_eq!(registry.plaintext(), 0);
    assert_eq!(names.count("localhost"), registry.connections() + 2);
}

#[test]
fn f01_a_resolver_that_never_works_is_given_up() {
    let (registry, _) = registry();
    let names = Script::new(&[AGAIN; 20], &[HERE]);
    let (kind, said) = failed(from_localhost(registry.port(), names.options()));
    assert_eq!(kind, ErrorKind::Unreachable, "{said}");
    assert!(said.contains("Temporary failure"), "{said}");
    assert!(said.contains("gave up after 5 attempts"), "{said}");
    assert_eq!((names.count("localhost"), registry.connections()), (5, 0));
}

#[test]
fn f02_a_name_that_does_not_exist_is_asked_for_once_more_and_told() {
    let (registry, digest) = registry();
    let names = Script::new(&[], &[HERE]);
    let registries = Registries::new(names.options());
    let beside = registries.beside(names.options());
    let directory = tempdir();
    let here = |name: &str| oci_at(&directory.path().join(name), "1");
    let localhost = format!("docker://localhost:{}/{FROM}:1", registry.port());
    // Copies from other hosts do not wait for it.
    let (nowhere, fine) = block(async {
        let (a, b) = (here("a"), here("b"));
        tokio::join!(
            copied(
                &registries,
                &beside,
                ["docker://nowhere.test/team/app:1", &a]
            ),
            copied(&registries, &beside, [&localhost, &b]),
        )
    });
    assert_eq!(fine.unwrap(), digest);
    let (kind, said) = failed(nowhere);
    assert_eq!(kind, ErrorKind::Unreachable, "{said}");
    assert!(said.contains("cannot look up nowhere.test"), "{said}");
    assert!(
        said.contains("not known") && !said.contains("gave up"),
        "{said}"
    );
    assert_eq!(names.count("nowhere.test"), 2);
    assert!(!directory.path().join("a").exists());
}

#[test]
fn f02_every_resolver_says_it_in_its_own_words() {
    let texts = [
        "failed to lookup address information: No address associated with hostname",
        // musl.
        "failed to lookup address information: Name does not resolve",
        // macOS.
        "failed to lookup address information: nodename nor servname provided, or not known",
    ];
    // Two seconds each.
    std::thread::scope(|scope| {
        for text in texts {
            scope.spawn(move || {
                let names = Script::new(&[text; 20], &[HERE]);
                let (kind, said) = failed(from_localhost(1, names.options()));
                assert_eq!(kind, ErrorKind::Unreachable, "{said}");
                assert!(!said.contains("gave up"), "{said}");
                assert_eq!(names.count("localhost"), 2, "{text}");
            });
        }
    });
}

/// An address whose SYNs are never answered: somebody listens, whose queue is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<std::net::TcpStream>,
    _runtime: tokio::runtime::Runtime,
}

impl BlackHole {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            let socket = match address {
                SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
                SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
            };
            let socket = socket.unwrap();
            socket.bind(address).unwrap();
            socket.listen(0).unwrap()
        };
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        let timeout = Duration::from_millis(200);
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, timeout) {
            queued.push(stream);
            assert!(queued.len() < 10, "its queue never fills");
        }
        Self {
            address,
            _listener: listener,
            _queued: queued,
            _runtime: runtime,
        }
    }
}

#[test]
fn r04_f05_an_address_that_never_answers_is_given_up() {
    let hole = BlackHole::new(SocketAddr::new(HERE, 0));
    let names = Script::new(&[], &[HERE]);
    let mut options = names.options();
    options.limits.connect = Duration::from_millis(100);
    let (kind, said) = failed(from_localhost(hole.address.port(), options));
    assert_eq!(kind, ErrorKind::Unreachable, "{said}");
    assert!(said.contains("no connection in time"), "{said}");
    assert!(said.contains("gave up after 5 attempts"), "{said}");
    // It is looked up once for each attempt.
    assert_eq!(names.count("localhost"), 5);
}

#[test]
fn f03_where_ipv6_leads_nowhere_ipv4_is_taken() {
    let (registry, digest) = registry();
    let hole = BlackHole::new(SocketAddr::new(HERE_TOO, registry.port()));
    for addresses in [[HERE_TOO, HERE], [HERE, HERE_TOO]] {
        let names = Script::new(&[], &addresses);
        let mut options = names.options();
        // Whoever waits for IPv6 never ends.
        options.limits.connect = Duration::from_hours(1);
        let before = registry.connections();
        let copied = from_localhost(hole.address.port(), options);
        assert_eq!(copied.unwrap(), digest);
        // Nothing had to be done again.
        let connections = registry.connections() - before;
        assert_eq!(connections, names.count("localhost"));
    }
}
