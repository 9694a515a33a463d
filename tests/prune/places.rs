//! Where pruning looks, and where not.

use imgcopy::sync::report::Status;

use crate::Mirror;
use crate::support::imgcopy;

const DELETE: &str = "{mode: delete, max: 90%}";

#[test]
fn only_repositories_that_the_file_writes_are_looked_at() {
    let mirror = Mirror::with(&["old"]);
    mirror.registry.add_image("copy/other", "x", &[100], 30);
    mirror.night(&mirror.file(DELETE), &[]).ends(0);
    assert_eq!(mirror.tags("copy/other"), ["x"]);
    assert_eq!(mirror.tags("source/app"), ["v1", "v2", "v3"]);
    assert_eq!(mirror.registry.count("*", "/copy/other/"), 0);
}

#[test]
fn all_entries_that_write_to_a_repository_count() {
    let mirror = Mirror::with(&["old"]);
    let host = mirror.registry.host();
    mirror.registry.add_image("source/more", "w1", &[100], 40);
    let more = format!(
        "- {{from: {host}/source/more, tags: 'w*', to: '{host}/copy/app:more-{{tag}}'}}\nprune:"
    );
    let file = mirror.file(DELETE).replace("prune:", &more);
    mirror.night(&file, &[]).ends(0);
    assert_eq!(mirror.tags("copy/app"), ["more-w1", "v1", "v2", "v3"]);
}

#[test]
fn a_repository_that_is_read_from_is_not_pruned() {
    let mirror = Mirror::with(&[]);
    let host = mirror.registry.host();
    // An image is promoted within its repository, which others fill.
    let file = format!(
        "version: 1\nimages:\n\
         - {{from: {host}/source/app, tags: [v1], to: '{host}/source/app:stable'}}\n\
         prune: {DELETE}\n"
    );
    let night = mirror.night(&file, &[]).ends(0);
    night.is("app", Status::Skipped, "reads from it");
    assert_eq!(mirror.tags("source/app"), ["stable", "v1", "v2", "v3"]);
}

#[test]
fn a_directory_is_pruned_by_its_names() {
    let mirror = Mirror::with(&[]);
    let host = mirror.registry.host();
    // Two spellings of one directory are one directory.
    let file = |tags: &str| {
        format!(
            "version: 1\nimages:\n\
             - {{from: {host}/source/app, tags: {tags}, to: 'oci:mirror:{{name}}-{{tag}}'}}\n\
             - {{from: {host}/source/app, tags: [v1], to: 'oci:./mirror:again-{{tag}}'}}\n\
             prune: {DELETE}\n"
        )
    };
    mirror.night(&file("[v1, v2, v3]"), &[]).ends(0);
    let night = mirror.night(&file("[v3]"), &[]).ends(0);
    // `app-v1` is the same image as `again-v1`: a name of a directory can go alone.
    let pruned: Vec<_> = night.rows().into_keys().collect();
    assert_eq!(pruned, ["mirror:app-v1", "mirror:app-v2"]);
    let folder = mirror.folder.path().join("mirror").display().to_string();
    let tags = imgcopy(["tags", &format!("oci:{folder}")]).ok().stdout;
    let mut tags: Vec<_> = tags.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["again-v1", "app-v3"]);
    imgcopy(["verify", &format!("oci:{folder}:app-v3")]).ok();
}

#[test]
fn a_dry_run_of_what_is_not_there_yet_makes_nothing() {
    let mirror = Mirror::with(&[]);
    let host = mirror.registry.host();
    let file = format!(
        "version: 1\ndefaults: {{tags: '*'}}\nimages:\n\
         - {{from: {host}/source/app, to: ['oci:mirror', '{host}/new/app']}}\n\
         prune: {DELETE}\n"
    );
    let night = mirror.night(&file, &["--dry-run"]).ends(0);
    assert!(night.rows().is_empty(), "{:?}", night.rows());
    assert!(!mirror.folder.path().join("mirror").exists());
}
