//! What images are called at the destination: pure functions.

use std::collections::BTreeMap;

use imgcopy::image::Reference;

use super::Step;
use super::found::Found;
use crate::skopeo::place::{self, shown};
use crate::skopeo::told::Fatal;

/// Where images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Docker,
    Dir,
}

impl Kind {
    /// What was typed after `--dest`.
    pub(super) fn typed(text: &str) -> Result<Self, Fatal> {
        match text {
            "docker" => Ok(Self::Docker),
            "dir" => Ok(Self::Dir),
            "" => Err(Fatal::new("A destination transport must be specified")),
            "oci" => Err(Fatal::no_option(
                "sync --dest oci",
                "copy into an OCI directory image by image",
            )),
            other => Err(Fatal::new(format!(
                "\"{other}\" is not a valid destination transport"
            ))),
        }
    }
}

/// Where everything goes, and how names are made there.
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) place: String,
    /// Whether the whole name of the source becomes part of it, and not only its end.
    pub(super) scoped: bool,
    /// What each name ends with.
    pub(super) suffix: String,
}

impl Target {
    /// The place of an image that is called `name` at the source.
    fn reference(&self, name: &str) -> Result<Reference, Fatal> {
        let name = if self.scoped { name } else { base(name) };
        let text = format!("{}{}", joined(&self.place, name), self.suffix);
        match self.kind {
            Kind::Dir => Ok(Reference::Dir { path: text.into() }),
            Kind::Docker => place::parsed(&format!("docker://{text}")).map_err(|why| {
                Fatal::new(format!(
                    "Cannot obtain a valid image reference for transport \"docker\" and reference \"//{text}\": {why}"
                ))
            }),
        }
    }
}

/// What is to be done for each group that was found.
///
/// # Errors
/// If an image cannot be called so, or two would be called the same.
pub(super) fn steps(found: &Found, target: &Target) -> Result<Vec<Vec<Step>>, Fatal> {
    let mut taken: BTreeMap<String, &Reference> = BTreeMap::new();
    let mut groups = Vec::new();
    for group in &found.groups {
        let mut steps = Vec::new();
        for (source, name) in &group.images {
            let destination = target.reference(name)?;
            let before = taken.insert(destination.to_string(), source);
            if let Some(before) = before.filter(|before| *before != source) {
                let (one, other) = (shown(before), shown(source));
                let advice = match target.scoped {
                    true => "sync them to different places",
                    false => "--scoped keeps them apart",
                };
                let shown = shown(&destination);
                return Err(Fatal::new(format!(
                    "{one} and {other} would both become {shown}: {advice}"
                )));
            }
            steps.push(Step {
                source: source.clone(),
                destination,
            });
        }
        groups.push(steps);
    }
    Ok(groups)
}

/// As Go's `path.Base`, for what is no bare slash.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    trimmed.rsplit_once('/').map_or(trimmed, |(_, base)| base)
}

/// As Go's `path.Join`: parts that say nothing go, and `..` takes away what stands before it.
pub(super) fn joined(base: &str, name: &str) -> String {
    let whole = match base {
        "" => name.to_string(),
        _ => format!("{base}/{name}"),
    };
    let is_rooted = whole.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if is_rooted => {}
            _ => parts.push(part),
        }
    }
    let parts = parts.join("/");
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{parts}"),
        (false, true) => ".".to_string(),
        (false, false) => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_go_does() {
        for (base, name, whole) in [
            ("h:5000/a", "x:1", "h:5000/a/x:1"),
            ("h:5000/a/", "/b/x", "h:5000/a/b/x"),
            ("/media/usb", "x:1", "/media/usb/x:1"),
            ("./out", "x", "out/x"),
            ("a/..", "x", "x"),
            ("..", "../x", "../../x"),
            ("/..", "x", "/x"),
            ("", "x", "x"),
            (".", ".", "."),
            ("docker://h", "x", "docker:/h/x"),
        ] {
            assert_eq!(joined(base, name), whole, "{base} {name}");
        }
        for (path, end) in [
            ("a/b:1", "b:1"),
            ("b", "b"),
            ("/a/b/", "b"),
            ("h:1/x@s", "x@s"),
        ] {
            assert_eq!(base(path), end, "{path}");
        }
    }

    #[test]
    fn names_are_the_end_of_the_source_or_all_of_it() {
        let named = |kind, scoped, suffix: &str, name: &str| {
            let target = Target {
                kind,
                place: "h.example/m".to_string(),
                scoped,
                suffix: suffix.to_string(),
            };
            target.reference(name).map(|it| it.to_string()).ok()
        };
        let name = "docker.io/library/busybox:1";
        for (kind, scoped, suffix, expected) in [
            (Kind::Docker, false, "", "docker://h.example/m/busybox:1"),
            (
                Kind::Docker,
                true,
                "-x",
                "docker://h.example/m/docker.io/library/busybox:1-x",
            ),
            (Kind::Dir, false, "-x", "dir:h.example/m/busybox:1-x"),
            (
                Kind::Dir,
                true,
                "",
                "dir:h.example/m/docker.io/library/busybox:1",
            ),
        ] {
            assert_eq!(named(kind, scoped, suffix, name).as_deref(), Some(expected));
        }
        assert_eq!(named(Kind::Docker, false, "", "Upper:1"), None);
    }
}
