//! What may go wrong, as data: so that it can be told, and done.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::support::registry::{Action, Fault, Framing, Hangup, Headers, Inside, Midway, Response};
use crate::{FROM, TO};

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// No answer, although the request was processed, or was not.
    Silence {
        processed: bool,
        then: Hangup,
    },
    /// This status and code in place of the truth.
    Refuse(u16, &'static str),
    /// 429, and perhaps when to come back.
    TooMany(Option<&'static str>),
    /// To the same place, or to where nobody listens.
    Redirect {
        to_nowhere: bool,
    },
    /// A header that is left out.
    Without(&'static str),
    /// The body ends after so many thousandths of it.
    Cut(usize, Hangup),
    Flip(usize),
    Truncate(usize, Framing),
    Extend(usize),
    Drip,
    IgnoreRange,
    ContentRange(&'static str),
    Multipart,
    Framed(Framing),
    /// So many bytes of the request's body are read.
    HangUpMidway(usize, Hangup),
    AnswerMidway(usize, u16, bool),
    /// Whoever has upload sessions loses them.
    ForgetUploads,
    /// What no manifest names is thrown away; with `deep`, also manifests that nothing names.
    Collect {
        deep: bool,
    },
    /// The tag stands for another image from now on.
    MoveTag,
    /// The destination says that it has what it lacks.
    Vouch,
}

/// One line of a script.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) side: Side,
    pub(crate) method: &'static str,
    /// What is in the path or query of the requests.
    pub(crate) part: String,
    pub(crate) nth: usize,
    /// How often in a row; `None` for always.
    pub(crate) times: Option<usize>,
    pub(crate) what: What,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            part,
            nth,
            what,
            ..
        } = self;
        let side = match self.side {
            Side::From => "source",
            Side::To => "destination",
        };
        write!(f, "{side}: {method} ..{part}.. from the {nth}. on, ")?;
        match self.times {
            Some(times) => write!(f, "{times} times")?,
            None => f.write_str("always")?,
        }
        write!(f, ": {what:?}")
    }
}

/// What a script can do to places besides.
#[derive(Clone, Default)]
pub(crate) struct Hands {
    pub(crate) from: Option<Inside>,
    pub(crate) to: Option<Inside>,
    /// What the tag of the source stands for once it moves.
    pub(crate) moved: String,
    /// How large blobs are.
    pub(crate) sizes: Arc<BTreeMap<String, usize>>,
}

impl Trouble {
    pub(crate) fn fault(&self, hands: &Hands) -> Fault {
        let fault = Fault::on(self.method, &self.part).nth(self.nth);
        let fault = match self.times {
            Some(times) => fault.times(times),
            None => fault.always(),
        };
        fault.then(self.what.action(hands))
    }

    pub(crate) fn stalls(&self) -> bool {
        use What::{Cut, HangUpMidway, Silence};
        match self.what {
            Silence { then: how, .. } | Cut(_, how) | HangUpMidway(_, how) => how == Hangup::Stall,
            _ => false,
        }
    }
}

fn changed_body(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Action {
    Action::change(move |_, response| {
        let mut body = response.body.to_vec();
        change(&mut body);
        response.body = body.into();
    })
}

/// So many thousandths of a length.
fn part_of(length: usize, thousandths: usize) -> usize {
    length * thousandths / 1000
}

impl What {
    fn action(&self, hands: &Hands) -> Action {
        match self.clone() {
            Self::Silence {
                processed: true,
                then,
            } => Action::lose(then),
            Self::Silence {
                then: Hangup::Reset,
                ..
            } => Action::reset(),
            Self::Silence {
                then: Hangup::Close,
                ..
            } => Action::close(),
            Self::Silence {
                then: Hangup::Stall,
                ..
            } => Action::stall(),
            Self::Refuse(status, code) => Action::error(status, code, "scripted"),
            Self::TooMany(after) => Action::too_many_requests(after),
            Self::Redirect { to_nowhere } => Action::change(move |request, response| {
                let joint = if request.target.contains('?') {
                    '&'
                } else {
                    '?'
                };
                let to = match to_nowhere {
                    true => "http://127.0.0.1:1/gone".to_string(),
                    false => format!("{}{}{joint}again=1", request.origin(), request.target),
                };
                // Registries send nobody to where nothing is.
                if response.status < 300 {
                    *response = Response::new(307).with("Location", to);
                }
            }),
            Self::Without(name) => Action::without_header(name),
            Self::Framed(framing) => Action::change(move |_, response| response.framing = framing),
            Self::Drip => Action::drip(16 * 1024, Duration::from_millis(1)),
            Self::IgnoreRange => Action::ignore_range(),
            Self::ContentRange(value) => Action::content_range(value),
            Self::Multipart => Action::multipart(),
            other => other.of_body(hands),
        }
    }

    fn of_body(self, hands: &Hands) -> Action {
        match self {
            Self::Cut(at, how) => Action::change(move |_, response| {
                response.end = Some((part_of(response.body.len(), at), how));
            }),
            Self::Flip(at) => changed_body(move |body| {
                let at = part_of(body.len(), at);
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 0xff;
                }
            }),
            Self::Truncate(at, framing) => Action::change(move |_, response| {
                response.body.truncate(part_of(response.body.len(), at));
                response.framing = framing;
            }),
            Self::Extend(by) => changed_body(move |body| body.resize(body.len() + by, b' ')),
            Self::HangUpMidway(after, how) => Action::hang_up_midway(after, how),
            Self::AnswerMidway(after, status, drains) => {
                let answer = Response::error(status, "UNKNOWN", "scripted");
                let then = match drains {
                    true => Midway::AnswerAndDrain(answer),
                    false => Midway::AnswerAndClose(answer),
                };
                Action::Midway { after, then }
            }
            other => other.of_place(hands),
        }
    }

    fn of_place(self, hands: &Hands) -> Action {
        let hands = hands.clone();
        match self {
            Self::ForgetUploads => Action::ask(move |_| {
                hands.to.iter().for_each(Inside::forget_uploads);
            }),
            Self::Collect { deep } => Action::ask(move |_| {
                hands.to.iter().for_each(|to| to.collect(TO, deep));
            }),
            Self::MoveTag => Action::ask(move |_| {
                let from = hands.from.iter();
                from.for_each(|from| from.set_tag(FROM, "1", &hands.moved));
            }),
            Self::Vouch => Action::change(move |request, response| {
                let digest = request.path.rsplit('/').next().unwrap_or_default();
                if let Some(size) = hands.sizes.get(digest).filter(|_| response.status == 404) {
                    response.status = 200;
                    response.headers = Headers::default();
                    response.body = vec![0; *size].into();
                }
            }),
            other => panic!("{other:?} was done before"),
        }
    }
}

/// What requests a line of a script may be about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) side: Side,
    pub(crate) method: &'static str,
    pub(crate) part: String,
}

/// Which lines may be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether the destination looks after what manifests name: then it may lose and lie.
    pub(crate) is_careful: bool,
    pub(crate) may_move_tag: bool,
}

pub(crate) fn trouble(chance: &mut Chance, targets: &[Target], rules: Rules) -> Trouble {
    let Target { side, method, part } = chance.pick(targets);
    let times = match chance.below(40) {
        0 => None,
        1..=9 => Some(2),
        _ => Some(1),
    };
    let late = 4 + chance.below(8);
    let nth = chance.weighed(&[(6, 1), (2, 2), (1, 3), (1, late)]);
    Trouble {
        side,
        method,
        nth,
        times,
        what: what(chance, (side, method, &part), rules),
        part,
    }
}

fn hangup(chance: &mut Chance) -> Hangup {
    chance.weighed(&[(10, Hangup::Reset), (10, Hangup::Close), (1, Hangup::Stall)])
}

fn what(chance: &mut Chance, target: (Side, &str, &str), rules: Rules) -> What {
    let (side, method, part) = target;
    let is_mount = part.contains("mount=");
    match (side, method, chance.below(10)) {
        (Side::To, "HEAD", 0..=1) if part == "/blobs/" && rules.is_careful => What::Vouch,
        (Side::To, _, 0) if rules.is_careful => What::Collect {
            deep: chance.happens(30),
        },
        (Side::To, _, 1) => What::ForgetUploads,
        (Side::From, "GET" | "HEAD", 0) if rules.may_move_tag => What::MoveTag,
        (_, "GET", 2..=6) => download(chance),
        (_, "PUT" | "PATCH", 2..=4) if part != "/manifests/" => upload(chance),
        (_, "POST", 2..=6) if is_mount => {
            let status = chance.pick(&[400, 401, 403, 404, 405, 500, 502]);
            What::Refuse(status, "DENIED")
        }
        (_, "GET" | "HEAD", 7) => any_answer(chance),
        _ => any(chance, method),
    }
}

/// To answers that have a body.
fn download(chance: &mut Chance) -> What {
    let at = chance.below(1001);
    match chance.below(12) {
        0..=2 => What::Cut(at, hangup(chance)),
        3 => What::Flip(at.min(999)),
        4 => What::Truncate(at, Framing::Length),
        5 => What::Truncate(at, chance.pick(&[Framing::Chunked, Framing::UntilClose])),
        6 => What::Extend(1 + chance.length(100_000)),
        7 => What::Drip,
        8 => What::IgnoreRange,
        9 => What::ContentRange(chance.pick(&[
            "bytes 0-0/1",
            "bytes 5-9/*",
            "nonsense",
            "bytes */7",
        ])),
        10 => What::Multipart,
        _ => What::Framed(chance.pick(&[Framing::Chunked, Framing::UntilClose])),
    }
}

/// To requests that have a body.
fn upload(chance: &mut Chance) -> What {
    let after = chance.length(2_200_000);
    match chance.below(3) {
        0 => What::HangUpMidway(after, hangup(chance)),
        1 => {
            let status = chance.pick(&[400, 401, 403, 413, 416, 429, 500, 502, 503]);
            What::AnswerMidway(after, status, chance.happens(50))
        }
        _ => {
            let code = chance.pick(&[
                (400, "DIGEST_INVALID"),
                (400, "SIZE_INVALID"),
                (400, "BLOB_UPLOAD_INVALID"),
                (404, "BLOB_UPLOAD_UNKNOWN"),
                (413, "UNKNOWN"),
                (416, "RANGE_INVALID"),
            ]);
            What::Refuse(code.0, code.1)
        }
    }
}

/// To answers that need no body.
fn any_answer(chance: &mut Chance) -> What {
    match chance.below(3) {
        0 => What::Without("Docker-Content-Digest"),
        1 => What::Without("Content-Type"),
        _ => What::Redirect {
            to_nowhere: chance.happens(20),
        },
    }
}

fn any(chance: &mut Chance, method: &str) -> What {
    let refused = [
        (404, "MANIFEST_UNKNOWN"),
        (403, "DENIED"),
        (401, "UNAUTHORIZED"),
        (405, "UNSUPPORTED"),
        (408, "UNKNOWN"),
    ];
    let broken = [500, 500, 502, 503, 503, 504, 520];
    let of_manifests = [
        (400, "MANIFEST_BLOB_UNKNOWN"),
        (400, "MANIFEST_INVALID"),
        (409, "TAG_IMMUTABLE"),
        (412, "PRECONDITION"),
        (413, "SIZE_INVALID"),
        (415, "UNSUPPORTED"),
    ];
    match chance.below(12) {
        0..=3 => What::Silence {
            processed: chance.happens(50),
            then: hangup(chance),
        },
        4..=7 => What::Refuse(chance.pick(&broken), "UNKNOWN"),
        8 => What::TooMany(chance.pick(&[None, Some("0"), Some("-1"), Some("7200")])),
        9 if method == "PUT" => {
            let (status, code) = chance.pick(&of_manifests);
            What::Refuse(status, code)
        }
        _ => {
            let (status, code) = chance.pick(&refused);
            What::Refuse(status, code)
        }
    }
}
