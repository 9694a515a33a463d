//! Kills while an archive is written: it is not there, or it is whole; and what a dead writer left is
//! gone after the next one.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::support::{Lifetime, archive_at, tempdir, tree};
use crate::{some_images, spawn};

/// Kills copies into archives until `wanted` of them died of it.
fn kill_archives(transport: &str, seed: u64, wanted: usize) {
    let temporary = tempdir();
    let at = |name: &str| temporary.path().join(name);
    let sources = some_images(seed, temporary.path());
    let to = |path: &Path| format!("{transport}:{}", path.display());
    fs::create_dir(at("good")).unwrap();
    fs::create_dir(at("killed")).unwrap();
    let mut lifetime = Lifetime::of_copies();
    let goods = sources.iter().enumerate().map(|(n, source)| {
        let begun = Instant::now();
        let good = at("good").join(n.to_string());
        assert!(
            spawn([archive_at(source), to(&good)])
                .wait()
                .unwrap()
                .success()
        );
        lifetime.is_at_least(begun.elapsed());
        good
    });
    let goods: Vec<_> = goods.collect();
    assert_eq!(
        tree(&at("good")).len(),
        goods.len(),
        "nothing but the archives"
    );

    let path = at("killed").join("new.tar");
    let (mut killed, mut left) = (0, 0);
    for n in 0_usize.. {
        assert!(n < wanted * 10, "{killed} of {n} kills hit");
        if killed == wanted {
            break;
        }
        let (source, good) = (&sources[n % sources.len()], &goods[n % sources.len()]);
        let mut child = spawn([archive_at(source), to(&path)]);
        killed += usize::from(lifetime.kill(&mut child, seed ^ n as u64));
        let is_whole = || fs::read(&path).unwrap() == fs::read(good).unwrap();
        assert!(!path.exists() || is_whole(), "after kill {n}");
        let _ = fs::remove_file(&path);
        // Not after every kill, so that leftovers of several dead copies meet the next one.
        if n % 3 == 2 {
            left += tree(&at("killed")).len();
            assert!(
                spawn([archive_at(source), to(&path)])
                    .wait()
                    .unwrap()
                    .success()
            );
            assert!(is_whole());
            assert_eq!(tree(&at("killed")), ["new.tar"], "after kill {n}");
            fs::remove_file(&path).unwrap();
        }
    }
    assert!(
        left > 0,
        "no kill left anything: none came at the right moment"
    );
}

#[test]
fn f91_kills_leave_no_part_of_an_oci_archive() {
    kill_archives("oci-archive", 291_000, 150);
}

#[test]
fn f91_kills_leave_no_part_of_an_archive_for_docker() {
    kill_archives("docker-archive", 391_000, 150);
}

#[test]
fn f91_the_file_of_a_writer_that_lives_is_not_swept() {
    let temporary = tempdir();
    let source = some_images(1, temporary.path()).remove(0);
    let place = temporary.path().join("out");
    fs::create_dir(&place).unwrap();
    let theirs = place.join(".imgcopy-lives.tar");
    let alive = fs::File::create(&theirs).unwrap();
    alive.lock().unwrap();
    fs::write(place.join(".imgcopy-dead.tar"), "a part").unwrap();
    fs::write(place.join(".imgcopy-notes"), "not ours").unwrap();
    std::os::unix::fs::symlink("/dev/null", place.join(".imgcopy-link.tar")).unwrap();
    let to = format!("docker-archive:{}", place.join("a.tar").display());
    assert!(spawn([archive_at(&source), to]).wait().unwrap().success());
    assert_eq!(
        tree(&place),
        [
            ".imgcopy-link.tar",
            ".imgcopy-lives.tar",
            ".imgcopy-notes",
            "a.tar"
        ]
    );
}
