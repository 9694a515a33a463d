//! The file of `skopeo sync --src yaml` (skopeo-sync(1), "YAML file content").

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What may be written in a file, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;

/// Each registry, and what of it, in the order of the file.
pub(super) type Config = Pairs<Option<Registry>>;

/// What is said of one registry.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Registry {
    /// Repositories, and of each the tags and digests; all tags if there are none.
    pub(super) images: Option<Pairs<Option<Vec<String>>>>,
    /// Repositories, and of each what a part of the tag must match.
    pub(super) images_by_tag_regex: Option<Pairs<String>>,
    /// Repositories, and of each in which range the tag must be as a version.
    pub(super) images_by_semver: Option<Pairs<String>>,
    pub(super) credentials: Option<Credentials>,
    pub(super) tls_verify: Option<bool>,
    pub(super) cert_dir: Option<PathBuf>,
}

/// Who to be there. Never shown.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

/// A map in the order in which it is written.
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        from.deserialize_map(Reader(PhantomData))
    }
}

/// Reads a file. A map with two equal keys is an error.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parsed(text: &str) -> Result<Config, String> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let read = serde_saphyr::from_str_with_options::<Option<Config>>(text, options);
    match read {
        Ok(config) => Ok(config.unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_texts_stay_as_they_are_written() {
        let text = "
z.example:
  images: {b: [1, 2.0, 010, yes, 0x1, '3'], a: , c: []}
  images-by-tag-regex: {d: ^1}
  images-by-semver: {e: '>= 1'}
  credentials: {username: me, password: 007}
  tls-verify: false
  cert-dir: /c
a.example:
";
        let Pairs(config) = parsed(text).unwrap();
        let names: Vec<&str> = config.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z.example", "a.example"]);
        assert!(config[1].1.is_none());
        let first = config[0].1.as_ref().unwrap();
        let images = &first.images.as_ref().unwrap().0;
        let tags = images[0].1.as_ref().unwrap();
        assert_eq!(tags, &["1", "2.0", "010", "yes", "0x1", "3"]);
        assert_eq!(images[1].0, "a");
        assert!(images[1].1.is_none());
        assert_eq!(first.images_by_tag_regex.as_ref().unwrap().0[0].1, "^1");
        assert_eq!(first.images_by_semver.as_ref().unwrap().0[0].1, ">= 1");
        assert_eq!(first.tls_verify, Some(false));
        assert_eq!(first.cert_dir, Some("/c".into()));
        let credentials = first.credentials.as_ref().unwrap();
        assert_eq!(
            (&*credentials.username, &*credentials.password),
            ("me", "007")
        );
        for empty in ["", "# nothing\n", "---\n", "{}"] {
            assert!(parsed(empty).unwrap().0.is_empty(), "{empty:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("a: [", "line 1"),
            ("a:\n  images: [b]\n", "line 2"),
            ("a:\n  imgaes: {b: [c]}\n", "imgaes"),
            ("a:\n  tls-verify: maybe\n", "line 2"),
            ("a:\n  images:\n    b: 1\n", "line 3"),
            ("a: {}\na: {}\n", "line 2"),
            (
                "a:\n  credentials: {username: b, identitytoken: c}\n",
                "identitytoken",
            ),
        ] {
            let Err(error) = parsed(text) else {
                panic!("{text}");
            };
            assert!(
                error.contains(told) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
