//! Strict reading of JSON documents that programs written in other languages will read too.
//!
//! Go's `encoding/json` matches keys without regard to case and takes the last of two equal keys;
//! serde does neither. A document that the two read differently is an attack or a mistake, so it
//! is refused: equal keys anywhere (S-06), and keys that Go would take for one that we know.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind, Result, foreign};

/// The keys of a document that must not be met in another spelling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// The keys that imgcopy acts on.
    pub(crate) keys: &'static [&'static str],
    /// Keys below which everything is free text, such as `annotations`.
    pub(crate) free: &'static [&'static str],
}

/// Parses `bytes` as `T`, refusing equal keys anywhere and other spellings of `known` keys.
///
/// # Errors
/// `Invalid`, saying where.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], known: &Known) -> Result<T> {
    let keys: Keys = serde_json::from_slice(bytes)?;
    keys.check(known)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// `null` is as good as nothing: Go writes it for empty lists.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A document reduced to its keys and what is below them.
struct Keys(Vec<(String, Keys)>);

impl Keys {
    fn check(&self, known: &Known) -> Result<()> {
        for (key, below) in &self.0 {
            let twin = known
                .keys
                .iter()
                .find(|name| **name != key && fold(name) == fold(key));
            if let Some(name) = twin {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("the key \"{}\" would pass for \"{name}\"", foreign(key)),
                ));
            }
            if !known.free.contains(&key.as_str()) {
                below.check(known)?;
            }
        }
        Ok(())
    }
}

/// Go's case folding of field names: ASCII, and two Unicode letters that fold onto ASCII.
fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',  // LATIN SMALL LETTER LONG S
            '\u{212a}' => 'k', // KELVIN SIGN
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys: Vec<(String, Keys)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((key, below)) = map.next_entry::<String, Keys>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(format_args!(
                    "the key \"{}\" stands there twice",
                    foreign(&key)
                )));
            }
            keys.push((key, below));
        }
        Ok(Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some(Keys(element)) = seq.next_element()? {
            // Elements keep their own keys apart: an unnamed step of the way down.
            if !element.is_empty() {
                keys.push((String::new(), Keys(element)));
            }
        }
        Ok(Keys(keys))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(text: &str) -> Result<Value> {
        let keys = &["layers", "config", "digest", "size", "blocks"];
        let free = &["annotations"];
        parse(text.as_bytes(), &Known { keys, free })
    }

    #[test]
    fn s06_refuses_what_go_reads_otherwise() {
        for text in [
            r#"{"layers":[1],"Layers":[2]}"#,
            r#"{"Layers":[2]}"#,
            r#"{"config":1,"config":2}"#,
            r#"{"layers":1,"\u006cayers":2}"#,
            r#"{"layers":[{"Digest":"x"}]}"#,
            r#"{"layers":[{"SIZE":1}]}"#,
            "{\"layer\u{17f}\":1}",
            "{\"bloc\u{212a}s\":1}",
            r#"{"other":{"a":1,"a":2}}"#,
        ] {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
        read(r#"{"layers":[{"digest":1},{"digest":2}],"annotations":{"Size":"x"}}"#).unwrap();
    }

    #[test]
    fn s25_deep_nesting_is_an_error_and_no_overflow() {
        let deep = "[".repeat(1_000_000);
        let run = std::thread::Builder::new().stack_size(256 * 1024);
        let result = run.spawn(move || read(&deep).map(|_| ())).unwrap().join();
        assert_eq!(result.unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn s09_numbers_out_of_range_are_errors() {
        assert!(read(r#"{"size":1e400}"#).is_err());
    }
}
