//! `examples/github-actions.yml` and `examples/gitlab-ci.yml`: their scripts, run as they stand there.

use serde_json::Value;

use crate::scene::{Scene, read, yaml};

/// The scripts of a job of GitHub, but those that install imgcopy.
fn scripts(job: &Value) -> Vec<String> {
    let steps = job["steps"].as_array().unwrap().iter();
    let scripts = steps.filter(|step| step["name"] != "Install imgcopy");
    let scripts = scripts.filter_map(|step| step["run"].as_str());
    scripts.map(str::to_string).collect()
}

#[test]
fn github_shares_the_work_and_puts_the_reports_together() {
    let scene = Scene::new();
    let workflow = yaml(&read("examples/github-actions.yml"));
    let sync = &workflow["jobs"]["sync"];
    assert_eq!(sync["strategy"]["fail-fast"], false);
    let machines = sync["strategy"]["matrix"]["shard"].as_array().unwrap();
    for index in 0..machines.len() {
        for script in scripts(sync) {
            let script = script
                .replace("${{ strategy.job-index }}", &index.to_string())
                .replace("${{ strategy.job-total }}", &machines.len().to_string());
            assert!(!script.contains("${{"), "{script}");
            scene.shell(&script, &[]).ok();
        }
    }
    let report = &workflow["jobs"]["report"];
    assert_eq!(report["needs"], "sync");
    assert_eq!(report["if"], "always()");
    for script in scripts(report) {
        scene.shell(&script, &[]).ok();
    }
    scene.check_complete("night.json");
    assert!(scene.path().join("night.html").exists());
    // Reports are kept whatever came of the copies.
    for job in [sync, report] {
        let steps = job["steps"].as_array().unwrap();
        let last = steps.last().unwrap();
        assert_eq!(last["if"], "always()", "{last}");
        assert!(last["uses"].as_str().unwrap().contains("upload-artifact"));
    }
}

#[test]
fn github_finds_a_share_that_did_not_end() {
    let scene = Scene::new();
    let workflow = yaml(&read("examples/github-actions.yml"));
    for index in [0, 3] {
        let copy = format!("imgcopy sync sync.yaml --shard {index}/4 --report shard-{index}.json");
        scene.shell(&copy, &[]).ok();
    }
    for script in scripts(&workflow["jobs"]["report"]) {
        assert_eq!(scene.shell(&script, &[]).code, Some(3), "{script}");
    }
}

#[test]
fn gitlab_shares_the_work_and_puts_the_reports_together() {
    let scene = Scene::new();
    let pipeline = yaml(&read("examples/gitlab-ci.yml"));
    let script = |job: &str| {
        let lines = pipeline[job]["script"].as_array().unwrap().iter();
        let lines: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        lines.join("\n")
    };
    let total = pipeline["sync"]["parallel"].as_u64().unwrap();
    for index in 1..=total {
        let (index, total) = (index.to_string(), total.to_string());
        let environment = [("CI_NODE_INDEX", &*index), ("CI_NODE_TOTAL", &*total)];
        scene.shell(&script("sync"), &environment).ok();
    }
    scene.shell(&script("report"), &[]).ok();
    scene.check_complete("night.json");
    let junit = pipeline["report"]["artifacts"]["reports"]["junit"].as_str();
    let junit = std::fs::read_to_string(scene.path().join(junit.unwrap())).unwrap();
    assert!(junit.contains("<testsuite"), "{junit}");
}
