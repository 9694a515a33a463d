//! Downloads that are wrong, or come from elsewhere (D).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use imgcopy::error::ErrorKind;
use imgcopy::store::registry::Options;
use imgcopy::store::registry::conf::{Places, RegistriesConf};

use crate::support::registry::{
    Action, Auth, Fault, Framing, Hangup, Options as Kind, Registry, Request, Response, Server,
    TokenRules,
};
use crate::support::tempdir;
use crate::{FROM, Pair, fails, has, options, range};

const LARGE: usize = 3 << 20;
const MIB: usize = 1 << 20;

/// A CDN with the lowest layer, which serves ranges.
pub(crate) fn cdn(pair: &Pair) -> Server {
    let bytes = pair.image.blobs[1].clone();
    Server::start(move |request| given(&bytes, request))
}

pub(crate) fn given(bytes: &Bytes, request: &Request) -> Response {
    let from = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let from: usize = from.map_or(0, |from| from.parse().unwrap());
    let mut response = Response::new(if from > 0 { 206 } else { 200 });
    if from > 0 {
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        response.headers.set("Content-Range", range);
    }
    response.body = bytes.slice(from..);
    response
}

#[test]
fn f47_a_body_that_goes_on_after_its_end_is_refused() {
    let pair = Pair::new(&[LARGE]);
    let size = pair.size(0);
    let endless = vec![0; 32 << 20];
    pair.from
        .fail(pair.reads().always().then(Action::extend(endless)));
    let directory = tempdir();
    let result = pair.copy_to_directory(options(), directory.path());
    let expected = format!("it goes on after its {size} bytes");
    fails(result, ErrorKind::Corrupt, &expected);
    let asked = pair.asked();
    assert_eq!(asked.len(), 2, "once more, and no more");
    // What the buffers of the system take was sent; nobody read it.
    assert!(asked.iter().all(|one| one.sent < size + (24 << 20)));
    has(directory.path(), &[]);

    let pair = Pair::new(&[LARGE]);
    pair.from.fail(pair.reads().then(Action::extend("x")));
    pair.arrived(&pair.copy());
    assert_eq!(pair.asked().len(), 2);
}

#[test]
fn f53_each_try_asks_for_a_new_address_since_signed_ones_expire() {
    let pair = Pair::new(&[LARGE]);
    let bytes = pair.image.blobs[1].clone();
    let used = Mutex::new(BTreeSet::new());
    let cdn =
        Server::start(
            move |request| match used.lock().unwrap().insert(request.target.clone()) {
                true => given(&bytes, request),
                false => {
                    let xml = "<Error><Code>AccessDenied</Code><Message>expired</Message></Error>";
                    Response::new(403).body("application/xml", xml)
                }
            },
        );
    cdn.fail(
        Fault::on("GET", "")
            .times(2)
            .then(Action::cut(MIB, Hangup::Reset)),
    );
    let (origin, signature) = (cdn.origin(), AtomicUsize::new(0));
    pair.from.fail(
        pair.reads()
            .always()
            .then(Action::change(move |_, response| {
                let signature = signature.fetch_add(1, Ordering::SeqCst);
                let to = format!("{origin}/layer?signature={signature}%2F+x");
                *response = Response::new(307).with("Location", to);
            })),
    );
    pair.arrived(&pair.copy());
    let targets: Vec<String> = cdn.log().into_iter().map(|one| one.target).collect();
    let expected = ["0", "1", "2"].map(|n| format!("/layer?signature={n}%2F+x"));
    assert_eq!(targets, expected);
    assert_eq!(pair.asked().len(), 3);
    assert_eq!(range(&cdn.log()[2]), Some("bytes=2097152-"));
    assert_eq!(pair.puts().len(), 1);
}

#[test]
fn f54_a_cdn_gets_no_credential_of_the_registry() {
    let with_tokens = Kind {
        auth: Auth::bearer(TokenRules::default()),
        ..Kind::default()
    };
    let pair = Pair::of(&[LARGE], with_tokens, Kind::default());
    let cdn = cdn(&pair);
    let two = "Only one auth mechanism allowed";
    cdn.fail(
        Fault::on("GET", "")
            .authorized()
            .always()
            .then(Action::error(400, "InvalidArgument", two)),
    );
    pair.from.fail(
        pair.reads()
            .authorized()
            .always()
            .then(Action::redirect_to_server(&cdn.origin())),
    );
    pair.arrived(&pair.copy());
    assert_eq!((cdn.count("GET", ""), cdn.log()[0].status), (1, 200));
}

#[test]
fn f55_a_page_in_place_of_a_blob_is_not_taken_for_it() {
    let pair = Pair::new(&[LARGE]);
    let size = pair.size(0);
    let page = move |length: usize| {
        let mut page = b"<html><title>Service unavailable</title>".to_vec();
        page.resize(length, b' ');
        Action::Answer(Response::new(200).body("text/html", page))
    };
    // Once, whether or not its length is that of the blob: the truth comes with the next try.
    for length in [size, 200] {
        let pair = Pair::new(&[LARGE]);
        pair.from.fail(pair.reads().then(page(length)));
        pair.arrived(&pair.copy());
        assert!(pair.asked().len() <= 3, "{length}");
    }
    pair.from.fail(pair.reads().always().then(page(size)));
    fails(pair.copy(), ErrorKind::Corrupt, "its bytes are sha256:");
    assert_eq!(pair.asked().len(), 2);
    pair.unchanged();

    let pair = Pair::new(&[LARGE]);
    pair.from.fail(pair.reads().always().then(page(200)));
    fails(pair.copy(), ErrorKind::Io, "it ended after 200 bytes");
    assert!(pair.asked().len() <= 10);
    pair.unchanged();
}

#[test]
fn f56_redirects_have_an_end() {
    let pair = Pair::new(&[LARGE]);
    let here = pair
        .from
        .url(&format!("/v2/{}/blobs/{}", FROM, pair.layer(0)));
    let turns = pair
        .from
        .fail(pair.reads().always().then(Action::redirect(&here)));
    fails(
        pair.copy(),
        ErrorKind::Denied,
        "redirects more than 5 times",
    );
    assert_eq!(turns.count(), 6);
    pair.unchanged();

    // Five are followed.
    let pair = Pair::new(&[LARGE]);
    let hop = Action::change(|request, response| {
        let to = format!("{}{}?x", request.origin(), request.target);
        *response = Response::new(302).with("Location", to);
    });
    pair.from.fail(pair.reads().times(5).then(hop));
    pair.arrived(&pair.copy());
    assert_eq!(pair.asked().len(), 6);
}

#[test]
fn f58_a_proxy_that_compresses_blobs_is_named() {
    // The header alone does no harm: object stores keep it with layers.
    let pair = Pair::new(&[LARGE]);
    pair.from.fail(
        pair.reads()
            .always()
            .then(Action::header("Content-Encoding", "gzip")),
    );
    pair.arrived(&pair.copy());
    assert_eq!(pair.asked().len(), 1);

    // What is packed is unpacked, also when it breaks off and is read again.
    for framing in [Framing::Length, Framing::Chunked] {
        for cut in [None, Some(MIB)] {
            let pair = Pair::new(&[LARGE]);
            let reads = pair.reads();
            pair.from.fail(reads.then(packed("gzip", framing, cut)));
            let reads = pair.reads().nth(2).always();
            pair.from.fail(reads.then(packed("gzip", framing, None)));
            pair.arrived(&pair.copy());
            let tries = 1 + usize::from(cut.is_some());
            assert_eq!(pair.asked().len(), tries, "{framing:?} {cut:?}");
            assert_eq!(range(pair.asked().last().unwrap()), None);
            assert_eq!(pair.puts().len(), 1);
        }
    }
    // By a method that we do not know it is of no use.
    let pair = Pair::new(&[LARGE]);
    let reads = pair.reads().always();
    let br = packed("br", Framing::Length, None);
    pair.from.fail(reads.then(br));
    let words = "it comes with Content-Encoding br";
    fails(pair.copy(), ErrorKind::Io, words);
    assert_eq!(pair.asked().len(), 1);
    pair.unchanged();
}

/// The true answer as a proxy packs it, which may break off.
pub(crate) fn packed(name: &str, framing: Framing, cut: Option<usize>) -> Action {
    let name = name.to_string();
    Action::change(move |_, response| {
        let level = flate2::Compression::fast();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(&response.body).unwrap();
        response.body = encoder.finish().unwrap().into();
        response.headers.set("Content-Encoding", name.as_str());
        response.framing = framing;
        response.end = cut.map(|at| (at, Hangup::Reset));
    })
}

/// A gibibyte of zeros in a few mebibytes.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    for _ in 0..1024 {
        encoder.write_all(&[0; MIB]).unwrap();
    }
    encoder.finish().unwrap()
});

#[test]
fn s22_a_blob_that_unpacks_to_too_much_is_read_to_its_size_only() {
    let pair = Pair::new(&[LARGE]);
    let reads = pair.reads().always();
    pair.from.fail(reads.then(Action::change(|_, response| {
        response.body = BOMB.clone().into();
        response.headers.set("Content-Encoding", "gzip");
    })));
    fails(pair.copy(), ErrorKind::Corrupt, "it goes on after its");
    assert_eq!(pair.asked().len(), 2);
    pair.unchanged();
}

#[test]
fn f59_a_token_that_ends_during_a_download_is_renewed() {
    let auth = Auth::bearer(TokenRules::default());
    let Auth::Bearer(issuer) = auth.clone() else {
        unreachable!()
    };
    let kind = Kind {
        auth,
        ..Kind::default()
    };
    let pair = Pair::of(&[LARGE], kind, Kind::default());
    pair.from.fail(
        pair.reads()
            .authorized()
            .then(Action::change(move |_, response| {
                issuer.revoke_all();
                response.end = Some((MIB, Hangup::Reset));
            })),
    );
    pair.arrived(&pair.copy());
    let asked = pair.asked();
    let statuses: Vec<u16> = asked.iter().map(|one| one.status).collect();
    // The config may have been asked for first, and got the new token.
    assert!(
        [vec![200, 401, 206], vec![200, 206]].contains(&statuses),
        "{statuses:?}"
    );
    assert_eq!(range(&asked[1]), Some("bytes=1048576-"));
    assert!(pair.from.count("GET", "/token") <= 3);
    assert_eq!(pair.puts().len(), 1);
}

/// A pair, and a mirror of its source which is asked first.
fn with_mirror() -> (Pair, Registry, Options) {
    let pair = Pair::new(&[LARGE]);
    let mirror = Registry::start();
    mirror.add(FROM, Some("1"), &pair.image);
    let home = tempdir();
    let conf = home.path().join("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        pair.from.host(),
        mirror.host()
    );
    std::fs::write(&conf, text).unwrap();
    let places = Places {
        registries_conf: Some(conf),
        home: None,
        root: home.path().to_path_buf(),
    };
    let options = Options {
        conf: Arc::new(RegistriesConf::load(&places).unwrap()),
        ..options()
    };
    (pair, mirror, options)
}

#[test]
fn f57_what_a_mirror_lacks_comes_from_the_next() {
    let (pair, mirror, options) = with_mirror();
    mirror.delete_blob(FROM, &pair.layer(0));
    pair.arrived(&pair.copy_with(options));
    assert_eq!(mirror.count("GET", "/blobs/"), 2);
    assert_eq!(pair.from.count("GET", "/blobs/"), 1);
    assert_eq!(pair.from.count("*", "/manifests/"), 0);
}

#[test]
fn f57_a_mirror_that_fails_in_the_middle_is_taken_over_from() {
    for action in [Action::status(503), Action::status(404), Action::reset()] {
        let (pair, mirror, options) = with_mirror();
        let reads = || Fault::on("GET", &pair.layer(0));
        mirror.fail(reads().then(Action::cut(MIB, Hangup::Reset)));
        mirror.fail(reads().nth(2).always().then(action));
        pair.arrived(&pair.copy_with(options));
        assert!(mirror.count("GET", &pair.layer(0)) <= 5);
        assert_eq!(pair.asked().len(), 1);
        assert_eq!(range(&pair.asked()[0]), Some("bytes=1048576-"));
        assert_eq!(pair.puts().len(), 1, "the upload went on");
    }
}
