//! The same with a registry that others wrote.

use imgcopy::sync::report::Status;

use crate::kit::REPO;
use crate::night::{Night, repo};
use crate::server::Server;
use crate::support::imgcopy;
use crate::support::registry::{Form, Image, Registry};

#[test]
fn two_real_registries_get_what_one_source_has_and_a_second_night_writes_nothing() {
    let (Some(one), Some(two)) = (Server::debian(), Server::debian()) else {
        return;
    };
    let here = Registry::start();
    let images = [1, 2].map(|seed| Image::new(Form::OciGzip, &[900, 500], seed));
    let digests = images.each_ref().map(|image| here.add(REPO, None, image));
    let pair = [("amd64", &*digests[0]), ("arm64", &*digests[1])];
    let index = here.add_index(REPO, "1", &pair);
    here.set_tag(REPO, "2", &digests[1]);
    let (from, one, two) = (repo(&here, REPO), one.host(), two.host());
    let night = Night::of(&format!(
        "  - {{from: \"{from}\", tags: [\"*\"], to: [\"{one}/mirror/app\", \"{two}/mirror/app\"]}}"
    ));
    night.runs().all(Status::New, 4);
    for host in [one, two] {
        let at = format!("docker://{host}/mirror/app:1");
        let told = imgcopy(["digest", &at]).ok();
        assert_eq!(told.stdout.trim(), index);
        imgcopy(["verify", &at]).ok();
    }
    here.forget();
    let morning = night.runs().all(Status::Same, 4);
    assert_eq!(
        here.count("GET", "/manifests/") + here.count("GET", "/blobs/"),
        0
    );
    assert!(
        morning
            .report
            .hosts
            .iter()
            .all(|host| host.bytes_written == 0)
    );
}
