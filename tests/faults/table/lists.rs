//! Lists of tags (L).

use std::path::Path;

use serde_json::{Value, json};

use super::Phase::List;
use super::program::{Program, Ran};
use super::{Cell, Expected, Left, arrives, cell, fails};
use crate::FROM;
use crate::lists::with_tags;
use crate::support::registry::{Action, Fault, Hangup, Registry, Response};
use crate::support::{oci_at, tempdir};

pub(super) fn cells() -> Vec<Cell> {
    vec![f21(), f22(), f23(), f24()]
}

/// Lists the tags; they must be these, if it succeeds.
fn listed(program: Program, registry: &Registry, fault: Fault, tags: &[&str]) -> Ran {
    let hits = registry.fail(fault);
    let home = tempdir();
    let mut command = program.command(home.path());
    let repository = format!("docker://{}/{FROM}", registry.host());
    match program {
        Program::Imgcopy => {
            command.args(["list-tags", "--retry-delay", "10ms", "--timeout", "2s"]);
            command.args(["--creds", "reader:canary-of-src"]);
        }
        Program::Skopeo => {
            command.args(["list-tags", "--tls-verify=false", "--retry-times", "4"]);
            command.args(["--creds", "reader:canary-of-src"]);
        }
    }
    let run = program.run(command.arg(repository), |_| {});
    let told: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    let is_right = run.code != Some(0) || told["Tags"] == json!(tags);
    let told = format!("it lists {}", told["Tags"]);
    let mut ran = Ran::of(run, Left::Nothing).check(is_right, told);
    ran.requests = registry.log().len();
    ran.met = hits.count() > 0;
    ran
}

/// A list with these requests at most.
fn lists(requests: usize) -> Expected {
    arrives(requests).leaves(Left::Nothing)
}

const ALL: [&str; 3] = ["a", "b", "c"];

fn f21() -> Cell {
    let row = cell(
        "F-21",
        List,
        "500, a reset or a cut in a list of tags",
        "asked again; never a shorter list",
    );
    let breaks = [
        ("500", Action::status(500)),
        ("reset", Action::cut(10, Hangup::Reset)),
        ("cut", Action::truncate(20)),
        ("cut in chunks", Action::truncate_chunked(25)),
    ];
    let row = breaks.into_iter().fold(row, |row, (name, action)| {
        row.play(name, lists(2), move |program| {
            let fault = Fault::on("GET", "/tags/").then(action.clone());
            listed(program, &with_tags(None), fault, &ALL)
        })
    });
    let always = fails(1, "gave up after", 6).leaves(Left::Nothing);
    row.play("the second page is always cut", always, |program| {
        let fault = Fault::on("GET", "last=").always();
        let fault = fault.then(Action::truncate_chunked(25));
        listed(program, &with_tags(Some(2)), fault, &ALL)
    })
}

fn f22() -> Cell {
    let odd: [(&str, Value, &[&str]); 4] = [
        ("null", json!({ "name": FROM, "tags": null }), &[]),
        ("none", json!({ "name": FROM }), &[]),
        (
            "nulls",
            json!({ "name": FROM, "tags": [null, "a", null, "b"] }),
            &["a", "b"],
        ),
        (
            "twice",
            json!({ "name": FROM, "tags": ["a", "b", "a"] }),
            &["a", "b"],
        ),
    ];
    let row = cell(
        "F-22",
        List,
        "tags: null, missing, with nulls, twice",
        "what can be a tag is listed, once",
    );
    odd.into_iter().fold(row, |row, (name, document, tags)| {
        row.play(name, lists(1), move |program| {
            let answer = Action::Answer(Response::json(200, &document));
            listed(
                program,
                &with_tags(None),
                Fault::on("GET", "/tags/").then(answer),
                tags,
            )
        })
    })
}

fn f23() -> Cell {
    let row = cell(
        "F-23",
        List,
        "links in a circle, to another host, relative, among others",
        "the next page of this registry, or an error where there is no end",
    );
    let path = format!("/v2/{FROM}/tags/list?last=b&n=2");
    let links = [
        ("quoted", format!("<{path}>; rel=\"next\"")),
        ("not quoted", format!("<{path}>; rel=next")),
        ("relative", "<list?last=b&n=2>; rel=\"next\"".to_string()),
        (
            "of two",
            format!("</v2/x/tags/list>; rel=\"prev\", <{path}>; rel=\"next\""),
        ),
    ];
    let row = links.into_iter().fold(row, |row, (name, link)| {
        row.play(name, lists(2), move |program| {
            let fault = Fault::on("GET", "/tags/").then(lower_case(&link));
            listed(program, &with_tags(Some(2)), fault, &ALL)
        })
    });
    let circle = format!("</v2/{FROM}/tags/list?n=1000>; rel=\"next\"");
    let endless = fails(1, "pages bring nothing new and do not end", 2).leaves(Left::Nothing);
    let row = row.play("in a circle", endless, move |program| {
        let fault = Fault::on("GET", "/tags/").always();
        let fault = fault.then(Action::header("Link", &circle));
        listed(program, &with_tags(Some(2)), fault, &ALL)
    });
    row.play("to another host", lists(2), move |program| {
        let elsewhere = with_tags(None);
        let link = format!("<{}>; rel=\"next\"", elsewhere.url(&path));
        let fault = Fault::on("GET", "/tags/").then(Action::header("Link", &link));
        let ran = listed(program, &with_tags(Some(2)), fault, &ALL);
        ran.check(elsewhere.connections() == 0, "the other host was asked")
    })
}

/// The header by its name in lower case.
fn lower_case(link: &str) -> Action {
    let link = link.to_string();
    Action::change(move |_, response| {
        response.headers.remove("link");
        response.headers.set("link", link.as_str());
    })
}

fn f24() -> Cell {
    let row = cell(
        "F-24",
        List,
        "404, 401 or 403 to the list of one of three repositories",
        "the other two are mirrored; exit 3, and the report says which failed",
    );
    [("404", 404), ("401", 401), ("403", 403)]
        .into_iter()
        .fold(row, |row, (name, status)| {
            let expected = Expected {
                code: 3,
                words: "list",
                left: Left::Nothing,
                // The three lists, and two small images with what may belong to them.
                requests: 19,
            };
            row.play(name, expected, move |program| {
                three_repositories(program, status)
            })
        })
}

/// Mirrors three repositories into directories; the list of one is refused.
fn three_repositories(program: Program, status: u16) -> Ran {
    let registry = Registry::start();
    for (seed, name) in (1..).zip(["one", "two", "three"]) {
        registry.add_image(name, "1", &[10], seed);
    }
    let refused = Fault::on("GET", "/v2/two/tags/").always();
    let hits = registry.fail(refused.then(Action::error(status, "DENIED", "not for you")));
    let home = tempdir();
    let out = home.path().join("out");
    let file = home.path().join("sync.yaml");
    let temporary = home.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = program.command(&temporary);
    match program {
        Program::Imgcopy => {
            std::fs::write(&file, ours(&registry, &out)).unwrap();
            command.arg("sync").arg(&file);
        }
        Program::Skopeo => {
            std::fs::write(&file, skopeos(&registry)).unwrap();
            command.args(["--insecure-policy", "sync", "--keep-going", "--scoped"]);
            command
                .args(["--src", "yaml", "--dest", "dir"])
                .arg(&file)
                .arg(&out);
        }
    }
    let run = program.run(&mut command, |_| {});
    let arrived = ["one", "three"].map(|name| has(program, &out, &registry, name));
    let mut ran =
        Ran::of(run, Left::Nothing).check(arrived == [true; 2], "the others did not arrive");
    ran.requests = registry.log().len();
    ran.met = hits.count() > 0;
    ran
}

fn ours(registry: &Registry, out: &Path) -> String {
    let host = registry.host();
    let entries = ["one", "two", "three"].map(|name| {
        let to = oci_at(&out.join(name), "{tag}");
        format!("  - from: {host}/{name}\n    tags: [\"*\"]\n    to: \"{to}\"\n")
    });
    let rules = format!("registries:\n  \"{host}\": {{tls: off}}\n");
    format!("version: 1\nimages:\n{}{rules}", entries.concat())
}

fn skopeos(registry: &Registry) -> String {
    let images = ["one", "two", "three"].map(|name| format!("    {name}: []\n"));
    format!(
        "\"{}\":\n  tls-verify: false\n  images:\n{}",
        registry.host(),
        images.concat()
    )
}

/// Whether an image is in the directory of its repository.
fn has(program: Program, out: &Path, registry: &Registry, name: &str) -> bool {
    match program {
        Program::Imgcopy => out.join(name).join("index.json").exists(),
        Program::Skopeo => {
            let directory = format!("{}/{name}:1", registry.host());
            out.join(directory).join("manifest.json").exists()
        }
    }
}
