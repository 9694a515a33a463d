use std::time::SystemTime;

use super::*;

const OPS: [Op; 7] = [
    Op::Read,
    Op::Open,
    Op::Send,
    Op::Commit,
    Op::PutManifest,
    Op::Delete,
    Op::Token,
];

fn status(status: u16) -> Signal {
    Signal::Status {
        status,
        errors: Vec::new(),
        retry_after: None,
    }
}

fn refused(status: u16, code: Code, message: &str) -> Signal {
    Signal::Status {
        status,
        errors: vec![RegistryError {
            code,
            message: message.to_string(),
        }],
        retry_after: None,
    }
}

fn wait(status: u16, seconds: u64) -> Signal {
    Signal::Status {
        status,
        errors: Vec::new(),
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

#[test]
fn r01_every_failure_of_every_request_has_its_verdict() {
    use Verdict::{Fail, LookUp, Reauthenticate, RestartBlob, RestartUpload, Retry};
    let no_host = Verdict::After(Duration::from_secs(2));
    let repeat = [Retry, Retry, RestartUpload, Retry, Retry, Retry, Retry];
    let lost = [Retry, Retry, RestartUpload, LookUp, LookUp, LookUp, Retry];
    let gateway = [Retry, Retry, LookUp, LookUp, LookUp, LookUp, Retry];
    let all = |verdict: Verdict| std::array::from_fn(|_| verdict.clone());
    let mut nobody: [Verdict; 7] = all(no_host);
    nobody[2] = RestartUpload;
    let mut stale = all(Reauthenticate);
    stale[6] = Fail;
    let missing = [Fail, Fail, LookUp, LookUp, Fail, Fail, Fail];
    let range = [RestartBlob, Fail, LookUp, LookUp, Fail, Fail, Fail];
    let mut large = all(Fail);
    large[2] = Verdict::Chunked;
    large[3] = Verdict::Chunked;
    let broken = [Retry, Retry, RestartUpload, LookUp, LookUp, Retry, Retry];
    let table = [
        // In the order of OPS: Read, Open, Send, Commit, PutManifest, Delete, Token.
        (Signal::Connect, repeat.clone()),
        (Signal::Dns { temporary: true }, repeat.clone()),
        (Signal::Dns { temporary: false }, nobody),
        (Signal::Tls, repeat.clone()),
        (Signal::Certificate, all(Fail)),
        (Signal::Reset, lost.clone()),
        (Signal::Timeout, lost.clone()),
        (Signal::Truncated, lost),
        (status(401), stale),
        (status(404), missing),
        (status(413), large),
        (status(500), broken),
        (status(416), range),
    ];
    let same = [
        (&[408, 425, 429, 503, 530, 529, 599][..], repeat),
        (&[499, 502, 504, 520, 521, 522, 523, 524], gateway),
        (
            &[
                300, 304, 400, 402, 403, 405, 406, 407, 409, 410, 412, 414, 415, 431, 451, 501,
                505, 507, 508, 511, 600,
            ],
            all(Fail),
        ),
    ];
    let same = same.into_iter().flat_map(|(all, row)| {
        let each = all.iter().map(|it| status(*it));
        each.zip(std::iter::repeat(row)).collect::<Vec<_>>()
    });
    for (signal, row) in table.into_iter().chain(same) {
        for (op, expected) in OPS.into_iter().zip(row) {
            assert_eq!(verdict(op, &signal), expected, "{op:?}: {signal:?}");
        }
    }
}

#[test]
fn r01_the_registrys_code_refines_the_status() {
    use Op::{Commit, Open, PutManifest, Read, Send};
    use Verdict::{Compare, Fail, LookUp, RestartBlob, RestartUpload, Retry, SelfHeal};
    let table = [
        (Commit, 400, Code::DigestInvalid, "", RestartBlob),
        (PutManifest, 400, Code::DigestInvalid, "", RestartBlob),
        (Send, 400, Code::SizeInvalid, "", RestartBlob),
        (Commit, 400, Code::BlobUploadInvalid, "", LookUp),
        (Send, 404, Code::BlobUploadUnknown, "", LookUp),
        (Send, 400, Code::BlobUploadUnknown, "", LookUp),
        (Send, 404, Code::NameUnknown, "", Fail),
        // Nexus, where nothing may be replaced.
        (
            Commit,
            400,
            Code::BlobUploadInvalid,
            "repository does not allow updating assets",
            Fail,
        ),
        (PutManifest, 404, Code::ManifestBlobUnknown, "", SelfHeal),
        (PutManifest, 400, Code::ManifestBlobUnknown, "", SelfHeal),
        (PutManifest, 404, Code::ManifestUnknown, "", SelfHeal),
        (
            PutManifest,
            400,
            Code::Other(String::new()),
            "Blob unknown to registry",
            SelfHeal,
        ),
        (PutManifest, 404, Code::NameUnknown, "", Fail),
        (PutManifest, 400, Code::ManifestInvalid, "", Fail),
        // Nobody else heals by that.
        (Read, 404, Code::ManifestUnknown, "", Fail),
        // tags that may not be moved.
        (
            PutManifest,
            400,
            Code::TagInvalid,
            "cannot be overwritten because the repository is immutable.",
            Compare,
        ),
        (PutManifest, 400, Code::TagInvalid, "bad characters", Fail),
        (PutManifest, 400, Code::TagAlreadyExists, "", Compare),
        (PutManifest, 409, Code::TagImmutable, "", Compare),
        (PutManifest, 412, Code::Precondition, "", Compare),
        (PutManifest, 403, Code::Denied, "quota", Fail),
        // A limit by another status.
        (Read, 403, Code::TooManyRequests, "", Retry),
        (Send, 403, Code::TooManyRequests, "", RestartUpload),
        (Open, 403, Code::Denied, "", Fail),
        (Open, 404, Code::NameUnknown, "", Fail),
    ];
    for (op, status, code, message, expected) in table {
        let signal = refused(status, code, message);
        assert_eq!(verdict(op, &signal), expected, "{op:?}: {signal:?}");
    }
}

#[test]
fn r03_what_the_server_wants_is_the_least_to_wait() {
    let signal = wait(429, 7);
    let seven = Duration::from_secs(7);
    assert_eq!(verdict(Op::Read, &signal), Verdict::After(seven));
    assert_eq!(verdict(Op::Send, &signal), Verdict::RestartUpload);
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for step in 0..4 {
        let pause = backoff.next(&signal, &Verdict::After(seven)).unwrap();
        let jitter = Duration::from_millis(500 << step);
        // On top, so that not everybody comes back at the same moment.
        assert!(pause > seven && pause < seven + jitter, "{pause:?}");
    }
}

#[test]
fn f28_three_answers_of_429_are_waited_for() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for _ in 0..3 {
        let signal = wait(429, 2);
        let pause = backoff.next(&signal, &verdict(Op::Read, &signal)).unwrap();
        assert!(pause >= Duration::from_secs(2));
    }
}

#[test]
fn f29_a_wait_of_hours_is_a_failure_that_says_until_when() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for op in OPS {
        let signal = wait(429, 21600);
        let stop = backoff.next(&signal, &verdict(op, &signal)).unwrap_err();
        let hours = Duration::from_hours(6);
        assert_eq!(stop, Stop::RateLimited { wait: hours });
        let reason = stop.reason(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(reason, "rate limited until Thu, 01 Jan 1970 06:00:00 GMT");
    }
    // The bound itself is still waited for.
    let bound = wait(503, 300);
    assert!(backoff.next(&bound, &verdict(Op::Read, &bound)).is_ok());
}

#[test]
fn a_wait_beyond_all_calendars_is_told_too() {
    for seconds in [u64::MAX, u64::MAX / 2, 1 << 40] {
        let wait = Duration::from_secs(seconds);
        let reason = Stop::RateLimited { wait }
            .reason(SystemTime::now())
            .unwrap();
        assert_eq!(reason, "rate limited for more than a year");
    }
}

#[test]
fn f30_without_retry_after_pauses_double_up_to_the_cap() {
    let policy = RetryPolicy {
        times: 12,
        ..RetryPolicy::default()
    };
    let mut longest = [Duration::ZERO; 12];
    for _ in 0..200 {
        let mut backoff = Backoff::new(&policy);
        for (step, longest) in longest.iter_mut().enumerate() {
            let pause = backoff.next(&status(429), &Verdict::Retry).unwrap();
            let bound = Duration::from_millis(500 << step).min(Duration::from_secs(30));
            assert!(pause < bound, "{pause:?} at step {step}");
            *longest = pause.max(*longest);
        }
        let spent = backoff.next(&status(429), &Verdict::Retry);
        assert_eq!(spent, Err(Stop::Spent { attempts: 13 }));
    }
    // Full jitter: of 200, some are in the upper half (all in the lower: 2 to the power of -200).
    for (step, longest) in longest.into_iter().enumerate() {
        let bound = Duration::from_millis(500 << step).min(Duration::from_secs(30));
        assert!(longest > bound / 2, "{longest:?} at step {step}");
    }
}

#[test]
fn r02_five_attempts_and_no_more() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for _ in 0..4 {
        assert!(backoff.next(&Signal::Reset, &Verdict::Retry).is_ok());
    }
    let stop = backoff.next(&Signal::Reset, &Verdict::Retry).unwrap_err();
    assert_eq!(stop, Stop::Spent { attempts: 5 });
    let reason = stop.reason(SystemTime::now()).unwrap();
    assert_eq!(reason, "gave up after 5 attempts");
}

#[test]
fn without_repetitions_the_first_failure_is_the_last() {
    let policy = RetryPolicy {
        times: 0,
        ..RetryPolicy::default()
    };
    let mut backoff = Backoff::new(&policy);
    let stop = backoff.next(&Signal::Reset, &Verdict::Retry).unwrap_err();
    assert_eq!(stop, Stop::Spent { attempts: 1 });
    assert_eq!(stop.reason(SystemTime::now()), None);
    // A token that ran out is no failure.
    assert!(backoff.next(&status(401), &Verdict::Reauthenticate).is_ok());
}

#[test]
fn what_mends_a_known_cause_is_done_once_and_at_once() {
    for (signal, verdict) in [
        (status(401), Verdict::Reauthenticate),
        (status(413), Verdict::Chunked),
        (refused(400, Code::DigestInvalid, ""), Verdict::RestartBlob),
        (status(404), Verdict::SelfHeal),
    ] {
        let mut backoff = Backoff::new(&RetryPolicy::default());
        assert_eq!(backoff.next(&signal, &verdict), Ok(Duration::ZERO));
        let again = backoff.next(&signal, &verdict);
        assert_eq!(again, Err(Stop::DoneBefore), "{verdict:?}");
    }
}

#[test]
fn status_500_and_unknown_hosts_are_tried_twice() {
    for signal in [status(500), Signal::Dns { temporary: false }] {
        let mut backoff = Backoff::new(&RetryPolicy::default());
        let verdict = verdict(Op::Read, &signal);
        assert!(backoff.next(&signal, &verdict).is_ok());
        let again = backoff.next(&signal, &verdict);
        assert_eq!(again, Err(Stop::DoneBefore), "{signal:?}");
    }
    let host = Signal::Dns { temporary: false };
    let mut backoff = Backoff::new(&RetryPolicy::default());
    let pause = backoff.next(&host, &verdict(Op::Read, &host)).unwrap();
    assert!(pause >= Duration::from_secs(2));
}

#[test]
fn what_is_hopeless_is_not_repeated() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for verdict in [Verdict::Fail, Verdict::Compare] {
        let stop = backoff.next(&status(403), &verdict);
        assert_eq!(stop, Err(Stop::Hopeless));
    }
}

#[test]
fn r02_a_mebibyte_of_progress_makes_good_for_failures() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    let fail = |backoff: &mut Backoff| backoff.next(&Signal::Reset, &Verdict::Retry);
    for round in 1..=10u64 {
        for _ in 0..4 {
            assert!(fail(&mut backoff).is_ok(), "round {round}");
        }
        backoff.reached(round << 20);
    }
    for _ in 0..4 {
        assert!(fail(&mut backoff).is_ok());
    }
    backoff.reached((11 << 20) - 1);
    assert_eq!(fail(&mut backoff), Err(Stop::Spent { attempts: 5 }));
}

#[test]
fn bytes_that_come_a_second_time_are_no_progress() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    let fail = |backoff: &mut Backoff| backoff.next(&Signal::Reset, &Verdict::RestartUpload);
    let mut attempts = 0;
    // The upload always breaks at the same place.
    while fail(&mut backoff).is_ok() {
        attempts += 1;
        assert!(attempts < 100, "it would go on for ever");
        backoff.reached(1 << 30);
    }
    assert_eq!(attempts, 5);
}

#[test]
fn progress_brings_a_new_token_but_no_other_try_at_wrong_bytes() {
    let mut backoff = Backoff::new(&RetryPolicy::default());
    for (signal, verdict) in [
        (status(401), Verdict::Reauthenticate),
        (refused(400, Code::DigestInvalid, ""), Verdict::RestartBlob),
    ] {
        assert!(backoff.next(&signal, &verdict).is_ok());
    }
    backoff.reached(1 << 30);
    assert!(backoff.next(&status(401), &Verdict::Reauthenticate).is_ok());
    let wrong = backoff.next(&status(400), &Verdict::RestartBlob);
    assert_eq!(wrong, Err(Stop::DoneBefore));
}

#[test]
fn any_policy_will_do() {
    for delay in [Duration::ZERO, Duration::from_mins(1), Duration::MAX] {
        let policy = RetryPolicy {
            times: u32::MAX,
            delay,
            max_wait: Duration::MAX,
        };
        let mut backoff = Backoff::new(&policy);
        for _ in 0..100 {
            let pause = backoff.next(&Signal::Reset, &Verdict::Retry).unwrap();
            assert!(pause <= delay.min(Duration::from_hours(24)));
        }
        let signal = wait(429, u64::MAX);
        let verdict = verdict(Op::Read, &signal);
        assert!(backoff.next(&signal, &verdict).is_ok());
    }
}
