//! Ranges of versions for `images-by-semver`, as the library reads them that skopeo uses (Masterminds
//! semver 3, "Checking Version Constraints"): comparisons with a comma or blank between them hold all, and
//! with `||` between them one of them. A version before a release fits only where the range names one.

use std::cmp::Ordering;

/// A version: what is not said of it is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// What stands after the hyphen.
    before: Vec<String>,
}

/// A range of versions.
#[derive(Debug)]
pub(super) struct Range(Vec<Vec<Bound>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Above,
    Below,
    From,
    To,
    Tilde,
    Caret,
}

#[derive(Debug)]
struct Bound {
    operator: Operator,
    version: Version,
    /// How many of the numbers were said.
    said: usize,
}

/// The longest first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::Unequal),
    (">=", Operator::From),
    ("=>", Operator::From),
    ("<=", Operator::To),
    ("=<", Operator::To),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// Which part of it is none.
    pub(super) fn parsed(text: &str) -> Result<Self, String> {
        let any = text.split("||").map(|all| {
            let all = all.replace(" - ", " \u{0}");
            bounds(&all.replace(',', " "))
        });
        any.collect::<Result<_, _>>()
            .map(Self)
            .map_err(|part| format!("improper constraint: {}", part.escape_debug()))
    }

    /// Whether a tag is a version in the range.
    pub(super) fn holds(&self, tag: &str) -> bool {
        let Some((version, _)) = version(tag, false) else {
            return false;
        };
        let all = |bounds: &Vec<Bound>| bounds.iter().all(|bound| bound.holds(&version));
        self.0.iter().any(all)
    }
}

/// The comparisons of one alternative. `a - b` comes as `a \0b`.
fn bounds(text: &str) -> Result<Vec<Bound>, String> {
    let mut bounds: Vec<Bound> = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(text.to_string());
    }
    while !rest.is_empty() {
        let is_end = rest.starts_with('\u{0}');
        let begin = rest.trim_start_matches('\u{0}').trim_start();
        let typed = OPERATORS.iter().find(|(sign, _)| begin.starts_with(sign));
        let (operator, after) = match typed {
            Some((sign, operator)) => (*operator, begin.trim_start_matches(sign).trim_start()),
            None if is_end => (Operator::To, begin),
            None => (Operator::Equal, begin),
        };
        let end = after
            .find(|c: char| c.is_whitespace() || "<>=!~^\u{0}".contains(c))
            .unwrap_or(after.len());
        let (word, next) = after.split_at(end);
        let (version, said) = version(word, true).ok_or_else(|| begin.to_string())?;
        if is_end {
            // What stands before the hyphen is where the range begins.
            match bounds.last_mut() {
                Some(first) if first.operator == Operator::Equal && typed.is_none() => {
                    first.operator = Operator::From;
                }
                _ => return Err(begin.to_string()),
            }
        }
        bounds.push(Bound {
            operator,
            version,
            said,
        });
        rest = next.trim_start();
    }
    Ok(bounds)
}

/// `v1.2.3-rc.1+build`, of which only the first number must be there, and how many numbers were there. In
/// a range `x` and `*` stand for any number.
fn version(text: &str, in_range: bool) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (text, before) = match text.split_once('-') {
        Some((text, before)) => (text, Some(before)),
        None => (text, None),
    };
    let is_part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !part.is_empty() && part.chars().all(fits)
    };
    let mut extra = before.iter().chain(&build).flat_map(|it| it.split('.'));
    if !extra.all(is_part) {
        return None;
    }
    let mut numbers = [0; 3];
    let mut said = 0;
    let mut is_any = false;
    let mut parts = text.split('.');
    for (number, part) in numbers.iter_mut().zip(&mut parts) {
        is_any |= in_range && matches!(part, "x" | "X" | "*");
        if !is_any {
            let is_digits = part.chars().all(|c| c.is_ascii_digit());
            *number = part.parse().ok().filter(|_| is_digits)?;
            said += 1;
        } else if !matches!(part, "x" | "X" | "*") && part.parse::<u64>().is_err() {
            return None;
        }
    }
    if parts.next().is_some() {
        return None;
    }
    let before = before.iter().flat_map(|it| it.split('.'));
    let before = before.map(str::to_string).collect();
    Some((Version { numbers, before }, said))
}

impl Bound {
    fn holds(&self, version: &Version) -> bool {
        let bound = &self.version;
        if !version.before.is_empty() && bound.before.is_empty() {
            return false;
        }
        let order = version.compared(bound);
        // The numbers that were said, compared.
        let said = version.numbers.iter().zip(&bound.numbers).take(self.said);
        let said = said
            .map(|(own, bound)| own.cmp(bound))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal);
        let is_whole = self.said == 3;
        match self.operator {
            Operator::Equal if is_whole => order.is_eq(),
            Operator::Equal => order.is_ge() && said.is_eq(),
            Operator::Unequal if is_whole => order.is_ne(),
            Operator::Unequal => said.is_ne(),
            Operator::Above if is_whole => order.is_gt(),
            Operator::Above => said.is_gt(),
            Operator::Below => order.is_lt(),
            Operator::From => order.is_ge(),
            Operator::To if is_whole => order.is_le(),
            Operator::To => said.is_le(),
            Operator::Tilde => order.is_ge() && self.agrees(version, self.said.min(2)),
            Operator::Caret => order.is_ge() && self.agrees(version, self.fixed_by_caret()),
        }
    }

    /// Whether the first numbers are the same. `~0.0.0` is any version, as `*` is.
    fn agrees(&self, version: &Version, count: usize) -> bool {
        let [major, minor, patch] = self.version.numbers;
        let is_any = self.operator == Operator::Tilde
            && self.said == 3
            && (major, minor, patch) == (0, 0, 0);
        let mut pairs = version.numbers.iter().zip(&self.version.numbers);
        is_any || pairs.by_ref().take(count).all(|(own, bound)| own == bound)
    }

    /// `^` lets everything change after the first number that is not zero.
    fn fixed_by_caret(&self) -> usize {
        let first = self.version.numbers.iter().position(|it| *it > 0);
        first.map_or(3, |at| at + 1).min(self.said)
    }
}

impl Version {
    /// The order of the specification ("Precedence", semver.org).
    fn compared(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let parts = self.before.iter().zip(&other.before);
                parts
                    .map(|(own, other)| part_order(own, other))
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| self.before.len().cmp(&other.before.len()))
            }
        })
    }
}

/// Numbers by their size, and before all words.
fn part_order(one: &str, other: &str) -> Ordering {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_hold_in_skopeo() {
        for (range, inside, outside) in [
            (">=1.2", "1.2 v1.2.0 1.10.3 2", "1.1.9 latest 1.3.0-rc.1"),
            (">= 1.2, < 2", "1.2 1.99.99", "2.0.0 1.1"),
            (">= 1.2 <2", "1.2 1.99.99", "2.0.0 1.1"),
            ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2"),
            ("1.2", "1.2.0 1.2.9", "1.3.0"),
            ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
            ("*", "0.0.1 99.1.1", "x 1.0.0-a"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
            ("!=1.2", "1.3.0", "1.2.4"),
            (">11", "12.0.0", "11.1.0 11"),
            (">11.1", "11.2.0", "11.1.5"),
            ("<=11", "11.2.0 10", "12"),
            ("<11", "10.9.9", "11.0.0"),
            ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
            ("~1", "1.0.0 1.9.0", "2.0.0"),
            ("~>1.2", "1.2.9", "1.3.0"),
            ("~0.0.0", "5.0.0", "latest"),
            ("^1.2.3", "1.2.3 1.9.0", "2.0.0 1.2.2"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0.9", "0.1.0"),
            ("^0", "0.9.0", "1.0.0"),
            ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.4.6 1.1.9"),
            ("<1 || >=3", "0.9.0 3.0.0", "2.0.0"),
            (">=1.0.0-0", "1.0.0 1.1.0-rc.1", "0.9.0"),
            (">=1.0.0-rc.2", "1.0.0-rc.10 1.0.0", "1.0.0-rc.1"),
            ("=>1.0.0+build", "1.0.0", "0.9.0"),
        ] {
            let parsed = Range::parsed(range).unwrap();
            for tag in inside.split(' ') {
                assert!(parsed.holds(tag), "{tag} is in {range}");
            }
            for tag in outside.split(' ') {
                assert!(!parsed.holds(tag), "{tag} is not in {range}");
            }
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "", "||", "latest", ">=", ">= a", "1.2.3.4", "1 || ", "- 1", "1 -", ">=1 - 2", "1..2",
        ] {
            assert!(Range::parsed(bad).is_err(), "{bad}");
        }
        // Numbers without end are no versions.
        let range = Range::parsed("*").unwrap();
        assert!(!range.holds(&"9".repeat(100)));
    }
}
