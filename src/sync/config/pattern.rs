//! Hosts by name or by glob: `registry.corp`, `*.dkr.ecr.*.amazonaws.com`.

use std::fmt;
use std::str::FromStr;

use crate::image::Repository;

/// Which registries a rule is for. `*` stands for any text, `?` for one character; dots and ports are
/// nothing special.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPattern(String);

/// The longest pattern, in bytes: a host has at most 253, and a port.
const LIMIT: usize = 300;

impl HostPattern {
    /// Whether it stands for a host, which is as in [`Repository::registry`].
    pub fn matches(&self, host: &str) -> bool {
        glob(&self.0, host)
    }

    /// The larger, the more is said: a name is above all globs, and among globs the one with more
    /// letters.
    pub fn specificity(&self) -> usize {
        match is_glob(&self.0) {
            true => self.0.bytes().filter(|c| !b"*?".contains(c)).count(),
            false => usize::MAX,
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    /// A name is completed as in references: `index.docker.io` is `docker.io`.
    fn from_str(text: &str) -> Result<Self, String> {
        if !is_glob(text) {
            let host = Repository::new(text, "x").map_err(|_| wrong(text))?;
            return Ok(Self(host.registry().to_string()));
        }
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"*?.-_:[]".contains(&c);
        match text.len() <= LIMIT && text.bytes().all(fits) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(wrong(text)),
        }
    }
}

fn wrong(text: &str) -> String {
    let advice = match text.split_once("://") {
        Some((_, host)) if !host.is_empty() => "; leave the scheme out",
        _ if text.contains('/') => "; rules are for whole registries, without a path",
        _ => "",
    };
    format!("it must be a host as in registry.example:5000, or a glob as in *.example{advice}")
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text has a `*` or `?`.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a text is what a glob of `*` and `?` stands for. It takes at most as many steps as the
/// product of both lengths.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on if what follows the last `*` does not fit: the star takes one more.
    let mut again = None;
    loop {
        let (at, from) = (pattern.clone(), text.clone());
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                again = Some((pattern.clone(), from.clone()));
                text = from;
                continue;
            }
            (Some('?'), Some(_)) => continue,
            (Some(wanted), Some(found)) if wanted == found => continue,
            _ => drop((at, from)),
        }
        let Some((after_star, mut taken)) = again.take() else {
            return false;
        };
        if taken.next().is_none() {
            return false;
        }
        (pattern, text) = (after_star.clone(), taken.clone());
        again = Some((after_star, taken));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_from_end_to_end() {
        for (pattern, text, fits) in [
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com",
                true,
            ),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.eu-west-1.amazonaws.com.evil",
                false,
            ),
            ("*", "", true),
            ("*", "anything:5000", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**a", "bca", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
        // It must not take for ever.
        assert!(!glob(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!glob(&format!("{}b", "*a".repeat(60)), &"a".repeat(2000)));
    }

    #[test]
    fn hosts_are_completed_or_refused() {
        for (text, shown) in [
            ("index.docker.io", "docker.io"),
            ("Registry.Corp:5000", "registry.corp:5000"),
            ("*.Example", "*.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), shown);
        }
        for (bad, why) in [
            ("https://registry.corp", "leave the scheme out"),
            ("registry.corp/team", "without a path"),
            ("*.example/x", "without a path"),
            ("", "must be a host"),
            ("a b", "must be a host"),
        ] {
            let error = bad.parse::<HostPattern>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
