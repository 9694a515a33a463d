//! What rules make of options.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::store::registry::credentials::Secret;
use crate::sync::config::{Bandwidth, Mirror, Position, Prune, PruneMode, Quota, Rate, Share};

const ONE: NonZeroU32 = NonZeroU32::MIN;

fn rule(pattern: &str) -> RegistryRule {
    RegistryRule {
        at: Position {
            file: PathBuf::from("sync.yaml"),
            line: 3,
            column: 5,
        },
        pattern: pattern.parse().unwrap(),
        auth: None,
        ca: None,
        tls: None,
        mirror: Vec::new(),
        parallel: None,
        rate: None,
        bandwidth: None,
        quota: None,
    }
}

fn config(registries: Vec<RegistryRule>) -> Config {
    Config {
        version: 1,
        registries,
        entries: Vec::new(),
        prune: Prune {
            mode: PruneMode::Off,
            max: Share::Percent(10),
            grace: None,
            keep: Vec::new(),
        },
        state: None,
        schedule: None,
        notify: Vec::new(),
        metrics: super::super::config::Metrics::default(),
        hidden: Vec::new(),
    }
}

fn ruled(rule: &RegistryRule) -> Options {
    options(rule, &Options::bare(), ONE).unwrap()
}

/// What a chain of errors says.
fn told(error: &crate::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
}

#[test]
fn each_way_to_say_who_we_are_becomes_a_login() {
    let with = |auth| {
        let auth = Some(auth);
        let rule = RegistryRule {
            auth,
            ..rule("a.corp")
        };
        options(&rule, &Options::bare(), ONE).map(|options| options.login)
    };
    assert!(matches!(with(Auth::None), Ok(Login::Anonymous)));
    let secret = Secret::new("secret");
    match with(Auth::Token(secret.clone())).unwrap() {
        Login::As(Credential::RegistryToken(token)) => assert_eq!(token, secret),
        other => panic!("{other:?}"),
    }
    let user = |user: &str| Auth::Basic {
        user: user.to_string(),
        pass: Secret::new("secret"),
    };
    match with(user("me")).unwrap() {
        Login::As(credential) => {
            assert_eq!(credential, Credential::basic("me", "secret").unwrap());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        with(Auth::Helper("ecr-login".into())),
        Ok(Login::Keyring(_))
    ));
    for (wrong, why) in [
        (user("a:b"), "holds a colon"),
        (
            Auth::Helper("../evil".into()),
            "is no name of a credential helper",
        ),
    ] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let told = told(&error);
        assert!(told.starts_with("sync.yaml:3:5: "), "{told}");
        assert!(told.contains(why) && !told.contains("secret"), "{told}");
    }
}

#[test]
fn what_a_rule_leaves_open_stays_as_it_was() {
    let mut base = Options::bare();
    base.limits.requests = 5;
    base.tls = Some(registry::Tls::Unverified);
    let options = options(&rule("a.corp"), &base, ONE).unwrap();
    assert_eq!(format!("{options:?}"), format!("{base:?}"));
}

#[test]
fn tls_is_what_the_rule_says() {
    let table = [
        (Tls::On, registry::Tls::Verified),
        (Tls::Insecure, registry::Tls::Unverified),
        (Tls::Off, registry::Tls::Off),
    ];
    for (said, meant) in table {
        let tls = Some(said);
        assert_eq!(ruled(&RegistryRule { tls, ..rule("a") }).tls, Some(meant));
    }
}

#[test]
fn rates_are_divided_by_the_machines_and_never_nothing() {
    let limited = RegistryRule {
        parallel: NonZeroUsize::new(9),
        rate: Some(Rate {
            count: NonZeroU64::new(40).unwrap(),
            per: Duration::from_secs(1),
        }),
        bandwidth: Some(Bandwidth {
            bytes: NonZeroU64::new(100).unwrap(),
        }),
        quota: Some(Quota {
            keep: Share::Percent(20),
            wait: Duration::from_hours(1),
        }),
        ..rule("docker.io")
    };
    let limits = |machines: u32| {
        let machines = NonZeroU32::new(machines).unwrap();
        options(&limited, &Options::bare(), machines)
            .unwrap()
            .limits
    };
    let one = limits(1);
    assert_eq!((one.requests, one.transfers, one.hub), (9, 9, 9));
    assert_eq!(one.bandwidth, NonZeroU64::new(100));
    assert_eq!(one.quota.unwrap().keep, registry::Share::Percent(20));
    let four = limits(4);
    assert_eq!(four.rate.unwrap().per, Duration::from_secs(4));
    assert_eq!(four.rate.unwrap().count.get(), 40);
    assert_eq!(four.bandwidth, NonZeroU64::new(25));
    assert_eq!(limits(1000).bandwidth, NonZeroU64::new(1));
}

#[test]
fn a_file_that_is_not_there_is_told_at_once() {
    let ca = Some(PathBuf::from("/nowhere/ca.pem"));
    let rules = vec![RegistryRule {
        ca,
        ..rule("a.corp")
    }];
    let error = Places::new(&config(rules), Options::bare(), ONE)
        .err()
        .unwrap();
    let told = told(&error);
    assert_eq!(
        told,
        "sync.yaml:3:5: the rule for a.corp cannot be used: there is no file /nowhere/ca.pem"
    );
}

#[test]
fn each_registry_has_the_rule_that_fits_it_best() {
    let parallel = |n| RegistryRule {
        parallel: NonZeroUsize::new(n),
        mirror: vec![Mirror {
            registry: "b.corp".into(),
            prefix: "hub".into(),
        }],
        ..rule(if n == 1 { "*.corp" } else { "a.corp" })
    };
    let rules = OfConfig {
        config: config(vec![parallel(1), parallel(2)]),
        base: Options::bare(),
        machines: ONE,
    };
    let of = |registry| {
        let options = rules.options(registry).unwrap();
        options.map(|options| options.limits.requests)
    };
    assert_eq!(of("a.corp"), Some(2));
    assert_eq!(of("b.corp"), Some(1));
    assert_eq!(of("docker.io"), None);
}
