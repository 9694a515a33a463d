//! The selectors against a model that does the same in the plainest way: versions are four machine
//! integers, a comparison is an interval, globs are matched by trying.

use super::*;

/// A version of the model: numbers, how many are written, a release candidate's number, a suffix.
#[derive(Debug, Clone)]
struct Plain {
    v: bool,
    numbers: Vec<u32>,
    rc: Option<u32>,
    suffix: &'static str,
}

impl Plain {
    fn text(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(ToString::to_string).collect();
        let v = if self.v { "v" } else { "" };
        let rc = self.rc.map(|rc| format!("-rc{rc}")).unwrap_or_default();
        let suffix = match self.suffix {
            "" => String::new(),
            suffix => format!("-{suffix}"),
        };
        format!("{v}{}{rc}{suffix}", numbers.join("."))
    }

    /// Sorts as versions do: a release is after its candidates.
    fn key(&self) -> ([u32; 4], u32) {
        (padded(&self.numbers), self.rc.unwrap_or(u32::MAX))
    }
}

fn padded(numbers: &[u32]) -> [u32; 4] {
    [0, 1, 2, 3].map(|at| numbers.get(at).copied().unwrap_or(0))
}

/// The first version after all that begin with these numbers.
fn after(numbers: &[u32]) -> ([u32; 4], u32) {
    let mut next = numbers.to_vec();
    *next.last_mut().unwrap() += 1;
    (padded(&next), 0)
}

/// A comparison as the interval of keys that it means: from the first, up to below the second.
fn interval(operator: &str, numbers: &[u32]) -> (([u32; 4], u32), ([u32; 4], u32)) {
    let lowest = ([0; 4], 0);
    let highest = ([u32::MAX; 4], 0);
    let release = (padded(numbers), u32::MAX);
    // Without its candidates: they are only asked about where they are left out anyway.
    let begin = (padded(numbers), 0);
    match operator {
        ">=" => (release, highest),
        ">" => (after(numbers), highest),
        "<" => (lowest, begin),
        "<=" => (lowest, after(numbers)),
        "=" => (release, after(numbers)),
        "~" => (release, after(&numbers[..numbers.len().min(2)])),
        "^" => {
            let kept = numbers
                .iter()
                .position(|n| *n > 0)
                .map_or(numbers.len(), |at| at + 1);
            (release, after(&numbers[..kept]))
        }
        other => unreachable!("{other}"),
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let numbers = prop::collection::vec(0..4_u32, 1..=4);
    let rc = prop::option::weighted(0.3, 0..3_u32);
    let suffix = prop::sample::select(vec!["", "", "alpine", "slim", "debian-12-r1"]);
    (any::<bool>(), numbers, rc, suffix).prop_map(|(v, numbers, rc, suffix)| Plain {
        v,
        numbers,
        rc,
        suffix,
    })
}

fn comparator() -> impl Strategy<Value = (&'static str, Vec<u32>)> {
    let operators = vec![">=", ">", "<", "<=", "=", "~", "^"];
    let numbers = prop::collection::vec(0..4_u32, 1..=4);
    (prop::sample::select(operators), numbers)
}

fn written(comparators: &[(&str, Vec<u32>)]) -> String {
    let all = comparators.iter().map(|(operator, numbers)| {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        format!("{operator}{}", numbers.join("."))
    });
    all.collect::<Vec<_>>().join(" ")
}

/// Whether a glob of letters, `*` and `?` fits, by trying.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, more @ ..]) => fits(rest, more),
        ([c, rest @ ..], [d, more @ ..]) => c == d && fits(rest, more),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_range_chooses_what_the_model_chooses(
        versions in prop::collection::vec(plain(), 1..30),
        comparators in prop::collection::vec(comparator(), 1..3),
        count in prop::option::of(1..4_usize),
        per in prop::sample::select(vec![None, Some(Per::Major), Some(Per::Minor)]),
        suffixes in prop::sample::select(vec![vec![], vec![""], vec!["alpine"], vec!["slim", ""]]),
        excluded in prop::option::of(comparator()),
    ) {
        let texts: Vec<Tag> = versions.iter().map(|it| it.text().parse().unwrap()).collect();
        let choice = Tags {
            suffix: super::suffixes(&suffixes),
            exclude: excluded.iter().map(|one| written(std::slice::from_ref(one)).parse().unwrap()).collect(),
            latest: count.and_then(NonZeroUsize::new),
            per: per.filter(|_| count.is_some()),
            min: 0,
            ..include(&[&written(&comparators)])
        };
        let found = choice.candidates(Some(&texts));
        let mut chosen: Vec<String> = choice.choose(&found, now()).unwrap().iter()
            .map(|one| one.tag.as_ref().unwrap().to_string()).collect();

        let within = |it: &Plain, (operator, numbers): &(&str, Vec<u32>)| {
            let (from, below) = interval(operator, numbers);
            from <= it.key() && it.key() < below
        };
        let mut expected: Vec<&Plain> = versions.iter()
            .filter(|it| it.numbers.len() > 1 && it.rc.is_none())
            .filter(|it| comparators.iter().all(|one| within(it, one)))
            .filter(|it| match suffixes.as_slice() {
                [] => it.suffix.is_empty(),
                listed => listed.contains(&it.suffix),
            })
            .filter(|it| !excluded.as_ref().is_some_and(|one| within(it, one)))
            .collect();
        expected.sort_by_key(|it| (std::cmp::Reverse(it.key()), it.text()));
        expected.dedup_by_key(|it| it.text());
        // Who stays: fewer than `latest` of the same line and variant are before it.
        let line = |it: &Plain| match choice.per {
            None => (0, 0),
            Some(Per::Major) => (it.numbers[0], 0),
            Some(Per::Minor) => (it.numbers[0], it.numbers[1]),
        };
        let stays = |at: usize| count.is_none_or(|count| {
            let same = |it: &&&Plain| {
                line(it) == line(expected[at]) && it.suffix == expected[at].suffix
            };
            expected[..at].iter().filter(same).count() < count
        });
        let mut expected: Vec<String> = (0..expected.len())
            .filter(|at| stays(*at))
            .map(|at| expected[at].text())
            .collect();
        chosen.sort();
        expected.sort();
        prop_assert_eq!(chosen, expected);
    }

    #[test]
    fn ages_are_in_the_order_of_the_model(one in plain(), other in plain()) {
        let age = |it: &Plain| Version::of(&it.text()).unwrap();
        prop_assert_eq!(age(&one).cmp_age(&age(&other)), one.key().cmp(&other.key()));
    }

    #[test]
    fn a_glob_chooses_what_trying_chooses(glob in "[ab.*?-]{0,8}[*?]", text in "[ab][ab.-]{0,8}") {
        let tag: Tag = text.parse().unwrap();
        let selector: Selector = glob.parse().unwrap();
        prop_assert_eq!(selector.covers(&tag), fits(glob.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn no_text_makes_anything_panic(text in any::<String>(), odd in "[/<>=^~!@*?\\[\\]{}|, v0-9.x-]{0,24}", tag in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,40}") {
        let tag: Tag = tag.parse().unwrap();
        let _ = Version::of(tag.as_str());
        for text in [&text, &odd] {
            let _ = Version::of(text);
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(&selector.to_string(), text);
                let mut choice = Tags { latest: NonZeroUsize::new(1), per: Some(Per::Minor), ..Tags::default() };
                choice.include.push(selector);
                choice.suffix.push(text.clone());
                let _ = choice.check();
                let found = choice.candidates(Some(std::slice::from_ref(&tag)));
                if let Err(nothing) = choice.choose(&found, now()) {
                    let told = nothing.told(text);
                    prop_assert!(!told.chars().any(char::is_control), "{:?}", told);
                }
            }
        }
    }
}
