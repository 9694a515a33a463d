//! What must hold of registries.conf, whatever stands in it.
#![allow(clippy::unwrap_used, reason = "a body fails by panicking")]

use std::fs;

use tempfile::TempDir;

use super::{Places, RegistriesConf};
use crate::error::ErrorKind;
use crate::error::fuzzing::shown;
use crate::image::Repository;

/// Repositories that rules of the seeds are for.
const REPOSITORIES: [&str; 5] = [
    "docker.io/library/busybox",
    "quay.io/team/tool",
    "registry.example:5000/a/b/c",
    "mirror.example.com/library/busybox",
    "[::1]:5000/a",
];

thread_local! {
    /// Made once, for speed.
    static DIRECTORY: TempDir = tempfile::tempdir().unwrap();
}

/// Bytes as `registries.conf` and as a drop-in. Whatever the rules say, only what can be a repository is
/// asked, the place itself comes last, and pushes go where their name says.
///
/// # Panics
/// If not so.
pub fn registries_conf(bytes: &[u8]) {
    DIRECTORY.with(|directory| {
        let root = directory.path().to_path_buf();
        let parts = root.join("etc/containers/registries.conf.d");
        let main = root.join("registries.conf");
        fs::create_dir_all(&parts).unwrap();
        fs::write(&main, bytes).unwrap();
        fs::write(parts.join("1.conf"), bytes).unwrap();
        // As the one file, and as a drop-in of none.
        for registries_conf in [Some(main), None] {
            let root = match registries_conf {
                Some(_) => root.join("nothing"),
                None => root.clone(),
            };
            let places = Places {
                registries_conf,
                home: None,
                root,
            };
            match RegistriesConf::load(&places) {
                Ok(conf) => REPOSITORIES.iter().for_each(|it| asked(&conf, it)),
                Err(error) => shown(&error),
            }
        }
    });
}

fn asked(conf: &RegistriesConf, repository: &str) {
    let repository: Repository = repository.parse().unwrap();
    for by_digest in [false, true] {
        match conf.endpoints(&repository, by_digest) {
            Ok(endpoints) => {
                assert!(!endpoints.is_empty());
                for at in &endpoints {
                    let place = Repository::new(&at.registry, &at.path).unwrap();
                    assert_eq!(place.registry(), at.registry);
                }
                let others = endpoints.iter().skip_while(|at| at.is_mirror);
                assert!(others.count() <= 1, "a mirror comes after the place itself");
            }
            Err(error) => shown(&error),
        }
    }
    match conf.destination(&repository) {
        Ok(at) => {
            assert_eq!(
                (&*at.registry, &*at.path),
                (repository.registry(), repository.path())
            );
            assert!(!at.is_mirror);
        }
        Err(error) => {
            shown(&error);
            assert!(matches!(
                error.kind(),
                ErrorKind::Denied | ErrorKind::Unsupported
            ));
        }
    }
}
