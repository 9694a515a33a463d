//! SPDX expressions: whether the terms of a package can be met.

/// Whether the terms can be met with the licences of the list alone. Understands SPDX expressions, and
/// the slash that old packages write for OR.
pub(super) fn is_allowed(licence: &str, list: &[String]) -> Result<bool, String> {
    let spaced = licence
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        list,
    };
    let allowed = reader.any_of()?;
    match reader.words.first() {
        None => Ok(allowed),
        Some(word) => Err(format!("{word} is out of place")),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    list: &'a [String],
}

impl Reader<'_> {
    fn any_of(&mut self) -> Result<bool, String> {
        let mut allowed = self.all_of()?;
        while self.takes("OR") {
            // Both sides are read, whatever the first one gave.
            allowed |= self.all_of()?;
        }
        Ok(allowed)
    }

    fn all_of(&mut self) -> Result<bool, String> {
        let mut allowed = self.one()?;
        while self.takes("AND") {
            allowed &= self.one()?;
        }
        Ok(allowed)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.takes("(") {
            let allowed = self.any_of()?;
            return match self.takes(")") {
                true => Ok(allowed),
                false => Err("a bracket is not closed".to_string()),
            };
        }
        let mut licence = self.name()?;
        if self.takes("WITH") {
            licence = format!("{licence} WITH {}", self.name()?);
        }
        Ok(self.list.contains(&licence))
    }

    fn name(&mut self) -> Result<String, String> {
        match self.words.split_first() {
            Some((name, rest)) if !["(", ")", "OR", "AND", "WITH"].contains(name) => {
                self.words = rest;
                Ok((*name).to_string())
            }
            _ => Err("a licence is missing".to_string()),
        }
    }

    fn takes(&mut self, wanted: &str) -> bool {
        match self.words.split_first() {
            Some((word, rest)) if *word == wanted => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

fn judged(licence: &str) -> Result<bool, String> {
    let list = [
        "MIT",
        "ISC",
        "Unicode-3.0",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ];
    is_allowed(licence, &list.map(String::from))
}

#[test]
fn one_allowed_licence_of_several_is_enough() {
    for licence in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "GPL-3.0-only OR MIT",
        "MIT/Apache-2.0",
        "GPL-2.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "GPL-3.0-only AND ISC OR MIT",
        "((MIT))",
    ] {
        assert_eq!(judged(licence), Ok(true), "{licence}");
    }
}

#[test]
fn every_licence_that_must_be_met_must_be_allowed() {
    for licence in [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND OpenSSL",
        "MIT AND (GPL-2.0-only OR LGPL-2.1-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH LLVM-exception",
        "MIT OR-Apache",
        "mit",
    ] {
        assert_ne!(judged(licence), Ok(true), "{licence}");
    }
}

#[test]
fn what_is_no_licence_expression_is_an_error() {
    for licence in [
        "",
        "MIT OR",
        "OR MIT",
        "(MIT",
        "MIT)",
        "MIT Apache-2.0",
        "()",
        "MIT WITH",
    ] {
        assert!(judged(licence).is_err(), "{licence}");
    }
}
