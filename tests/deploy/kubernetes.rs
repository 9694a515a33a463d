//! `deploy/kubernetes`: what Kubernetes would take, by the types of its API.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, Secret};
use serde_json::Value;

use crate::scene::{Scene, read, yaml};

struct Files {
    config: ConfigMap,
    secret: Secret,
    job: CronJob,
}

impl Files {
    fn read() -> Self {
        let text = read("deploy/kubernetes/imgcopy-sync.yaml");
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let [config, secret, job] = documents[..] else {
            panic!("{} documents", documents.len());
        };
        Self {
            config: typed(config),
            secret: typed(secret),
            job: typed(job),
        }
    }

    fn pod(&self) -> &PodSpec {
        let job = self.job.spec.as_ref().unwrap().job_template.spec.as_ref();
        job.unwrap().template.spec.as_ref().unwrap()
    }

    fn container(&self) -> &Container {
        &self.pod().containers[0]
    }
}

/// A document as its type. The API passes over fields that it does not know, and so does the type: what
/// comes out of it must be all that was put in.
fn typed<T: serde::de::DeserializeOwned + serde::Serialize>(text: &str) -> T {
    let written = yaml(text);
    let typed: T = serde_json::from_value(written.clone()).unwrap();
    let understood = serde_json::to_value(&typed).unwrap();
    assert_eq!(lost(&written, &understood, ""), Vec::<String>::new());
    typed
}

/// What was written and not understood, as paths.
fn lost(written: &Value, understood: &Value, at: &str) -> Vec<String> {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => (written.iter())
            .flat_map(|(key, value)| match understood.get(key) {
                Some(other) => lost(value, other, &format!("{at}/{key}")),
                None => vec![format!("{at}/{key}")],
            })
            .collect(),
        (Value::Array(written), Value::Array(understood)) if written.len() == understood.len() => {
            let pairs = written.iter().zip(understood).enumerate();
            pairs
                .flat_map(|(i, (one, other))| lost(one, other, &format!("{at}/{i}")))
                .collect()
        }
        _ if written == understood => Vec::new(),
        _ => vec![at.to_string()],
    }
}

#[test]
fn a_misspelt_field_would_be_found() {
    let written = yaml("spec: {schedule: '0 2 * * *', jobTemplate: {spec: {completion: 8}}}");
    let typed: CronJob = serde_json::from_value(written.clone()).unwrap();
    let understood = serde_json::to_value(typed).unwrap();
    let lost = lost(&written, &understood, "");
    assert_eq!(lost, ["/spec/jobTemplate/spec/completion"]);
}

#[test]
fn the_pods_are_numbered_and_their_number_is_everywhere_the_same() {
    let files = Files::read();
    let spec = files.job.spec.as_ref().unwrap();
    let job = spec.job_template.spec.as_ref().unwrap();
    assert_eq!(job.completion_mode.as_deref(), Some("Indexed"));
    assert_eq!(job.completions, job.parallelism);
    let shard = format!("--shard=auto/{}", job.completions.unwrap());
    let args = files.container().args.as_ref().unwrap();
    assert!(args.contains(&shard), "{args:?}");
    assert_eq!(spec.concurrency_policy.as_deref(), Some("Forbid"));
}

/// The API server refuses these, and no type says so.
#[test]
fn what_belongs_together_is_there() {
    let files = Files::read();
    let job = files.job.spec.as_ref().unwrap().job_template.spec.as_ref();
    let job = job.unwrap();
    let pod = files.pod();
    assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    assert!(job.backoff_limit_per_index.is_some(), "FailIndex needs it");
    let mut codes = BTreeMap::new();
    for rule in &job.pod_failure_policy.as_ref().unwrap().rules {
        if let Some(on) = &rule.on_exit_codes {
            let container = on.container_name.as_deref();
            assert_eq!(container, Some(files.container().name.as_str()));
            assert_eq!(on.operator, "In");
            codes.extend(on.values.iter().map(|code| (*code, rule.action.clone())));
        }
    }
    // What failed twice in a run, or ran out of quota, is not begun again at once.
    let codes: Vec<(i32, &str)> = codes
        .iter()
        .map(|(code, it)| (*code, it.as_str()))
        .collect();
    let expected = [(3, "FailIndex"), (4, "FailIndex"), (64, "FailJob")];
    assert_eq!(codes, expected);

    let volumes = pod.volumes.as_ref().unwrap();
    let mounts = files.container().volume_mounts.as_ref().unwrap();
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(volumes.iter().map(|it| &it.name).collect()),
        names(mounts.iter().map(|it| &it.name).collect())
    );
    let config = volumes[0].config_map.as_ref().unwrap();
    assert_eq!(Some(&config.name), files.config.metadata.name.as_ref());
    let secret = volumes[1].secret.as_ref().unwrap();
    assert_eq!(secret.secret_name, files.secret.metadata.name);
    // A directory with a config.json is what DOCKER_CONFIG names.
    let item = &secret.items.as_ref().unwrap()[0];
    assert_eq!(item.path, "config.json");
    let keys = files.secret.string_data.as_ref().unwrap();
    assert!(serde_json::from_str::<Value>(&keys[&item.key]).is_ok());
    let environment = &files.container().env.as_ref().unwrap()[0];
    assert_eq!(environment.name, "DOCKER_CONFIG");
    assert_eq!(environment.value.as_ref(), Some(&mounts[1].mount_path));
}

#[test]
fn the_pod_may_do_nothing_that_it_need_not() {
    let files = Files::read();
    let pod = files.pod().security_context.as_ref().unwrap();
    assert_eq!(pod.run_as_non_root, Some(true));
    let profile = pod.seccomp_profile.as_ref().unwrap();
    assert_eq!(profile.type_, "RuntimeDefault");
    assert_eq!(files.pod().automount_service_account_token, Some(false));
    let own = files.container().security_context.as_ref().unwrap();
    assert_eq!(own.read_only_root_filesystem, Some(true));
    assert_eq!(own.allow_privilege_escalation, Some(false));
    assert_ne!(own.privileged, Some(true));
    let dropped = own.capabilities.as_ref().unwrap().drop.as_ref().unwrap();
    assert_eq!(dropped, &["ALL"]);
    let limits = files.container().resources.as_ref().unwrap();
    assert_eq!(limits.limits.as_ref().unwrap()["memory"].0, "128Mi");
    let image = files.container().image.as_deref().unwrap();
    assert!(image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn its_sync_yaml_is_one() {
    let scene = Scene::new();
    let files = Files::read();
    let text = &files.config.data.as_ref().unwrap()["sync.yaml"];
    std::fs::write(scene.path().join("sync.yaml"), text).unwrap();
    scene.shell("imgcopy config sync.yaml --check", &[]).ok();
}

/// The arguments as they stand there, with a directory for each volume.
#[test]
fn the_pods_share_the_work() {
    let scene = Scene::new();
    let files = Files::read();
    let mounts = files.container().volume_mounts.as_ref().unwrap();
    let args = files.container().args.as_ref().unwrap();
    std::fs::create_dir(scene.path().join("config")).unwrap();
    std::fs::rename(
        scene.path().join("sync.yaml"),
        scene.path().join("config/sync.yaml"),
    )
    .unwrap();
    for index in 0..8 {
        let own = format!("report-{index}");
        std::fs::create_dir(scene.path().join(&own)).unwrap();
        let mut line = args.join(" ");
        for mount in mounts {
            let directory = if mount.name == "report" {
                &own
            } else {
                &mount.name
            };
            line = line.replace(&mount.mount_path, directory);
        }
        let index = index.to_string();
        let environment = [("JOB_COMPLETION_INDEX", index.as_str())];
        scene.shell(&format!("imgcopy {line}"), &environment).ok();
    }
    let merge = "imgcopy report merge report-*/shard.json -o night.json";
    scene.shell(merge, &[]).ok();
    scene.check_complete("night.json");
}
