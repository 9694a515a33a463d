//! What `skopeo inspect` and `list-tags` print, in the order of its fields and laid out as Go does it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use imgcopy::image::{Descriptor, Digest, ImageManifest, MediaType};
use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use super::told::Fatal;
use crate::render::is_active;

/// `skopeo inspect`. Lists and maps that nobody gave are `null`, as Go writes them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) repo_tags: Vec<String>,
    pub(super) created: Option<String>,
    pub(super) docker_version: String,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) architecture: String,
    pub(super) os: String,
    pub(super) layers: Vec<Digest>,
    pub(super) layers_data: Vec<Layer>,
    pub(super) env: Option<Vec<String>>,
}

/// A layer; 1.9.3 does not tell more than its digest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Layer {
    #[serde(rename = "MIMEType")]
    media_type: MediaType,
    digest: Digest,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
}

impl Layer {
    fn of(layer: &Descriptor) -> Self {
        let annotations = layer.annotations.clone();
        Self {
            media_type: layer.media_type.clone(),
            digest: layer.digest.clone(),
            size: layer.size,
            annotations: (!annotations.is_empty()).then_some(annotations),
        }
    }
}

/// What of a config is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Built {
    created: Option<String>,
    docker_version: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
    config: Option<RunConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RunConfig {
    labels: Option<BTreeMap<String, String>>,
    env: Option<Vec<String>>,
}

impl Inspected {
    /// An image by its manifest and config; `digest` is that of what was asked for.
    ///
    /// # Errors
    /// If the config is none.
    pub(super) fn of(
        digest: Digest,
        kind: &MediaType,
        image: &ImageManifest,
        config: &[u8],
    ) -> Result<Self, Fatal> {
        let config: Built = serde_json::from_slice(config)
            .map_err(|error| Fatal::new(format!("cannot read the config: {error}")))?;
        let run = config.config.unwrap_or_default();
        let created = config.created.map(|created| go_time(&created));
        // In Docker's words nobody says that it is not known when.
        let created = match kind.as_str() {
            MediaType::DOCKER_MANIFEST => {
                created.or_else(|| Some("0001-01-01T00:00:00Z".to_string()))
            }
            _ => created,
        };
        Ok(Self {
            name: String::new(),
            digest,
            repo_tags: Vec::new(),
            created,
            docker_version: config.docker_version.unwrap_or_default(),
            labels: run.labels,
            architecture: config.architecture.unwrap_or_default(),
            os: config.os.unwrap_or_default(),
            layers: image.layers.iter().map(|it| it.digest.clone()).collect(),
            layers_data: image.layers.iter().map(Layer::of).collect(),
            env: run.env,
        })
    }
}

/// `skopeo list-tags`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,
    pub(super) tags: Vec<String>,
}

/// A time as Go writes it (RFC 3339): a fraction without zeros at its end. What is no time stays.
pub(super) fn go_time(text: &str) -> String {
    let Some((date, fraction)) = text.split_once('.') else {
        return text.replace("+00:00", "Z");
    };
    let end = fraction.find(|c: char| !c.is_ascii_digit());
    let (digits, zone) = fraction.split_at(end.unwrap_or(fraction.len()));
    let zone = if zone == "+00:00" { "Z" } else { zone };
    let digits: String = digits.chars().take(9).collect();
    match digits.trim_end_matches('0') {
        "" => format!("{date}{zone}"),
        digits => format!("{date}.{digits}{zone}"),
    }
}

/// JSON as Go's encoder lays it out with 4 spaces: what HTML could take for markup is escaped, and
/// unlike there what a terminal could act on (S-46).
pub(super) fn go_json(what: &impl Serialize) -> Result<String, Fatal> {
    encoded(what, PrettyFormatter::with_indent(b"    "))
}

/// The same in one line.
pub(super) fn go_json_line(what: &impl Serialize) -> Result<String, Fatal> {
    encoded(what, serde_json::ser::CompactFormatter)
}

fn encoded(
    what: &impl Serialize,
    layout: impl serde_json::ser::Formatter,
) -> Result<String, Fatal> {
    let mut out = Vec::new();
    let written = what.serialize(&mut Serializer::with_formatter(&mut out, layout));
    written.map_err(|error| Fatal::new(error.to_string()))?;
    let text = String::from_utf8(out).map_err(|error| Fatal::new(error.to_string()))?;
    // These letters stand in strings only.
    Ok(text.chars().fold(String::new(), |mut all, letter| {
        match letter {
            letter if matches!(letter, '<' | '>' | '&') || is_active(letter) => {
                let _ = write!(all, "\\u{:04x}", u32::from(letter));
            }
            other => all.push(other),
        }
        all
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_go() {
        for (written, shown) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.000000000Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.120Z", "2024-01-02T03:04:05.12Z"),
            ("2024-01-02T03:04:05.5+00:00", "2024-01-02T03:04:05.5Z"),
            ("2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05+02:00"),
        ] {
            assert_eq!(go_time(written), shown);
        }
    }

    #[test]
    fn markup_is_escaped_in_json() {
        let written = go_json_line(&"<a & b>\u{2028}é").unwrap();
        assert_eq!(written, r#""\u003ca \u0026 b\u003e\u2028é""#);
    }
}
