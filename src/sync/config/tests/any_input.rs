use proptest::prelude::*;

use super::read;
use crate::sync::config::{fuzzing, keys};

/// Pieces that files are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let names = [
        "version: 1\n",
        "images:\n",
        "images: ",
        "registries: ",
        "defaults: ",
        "  - ",
        "from: ",
        "tags: ",
        "to: ",
        "a:1",
        "r.corp/{repo}",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "\n",
        "  ",
        "&a ",
        "*a",
        "<<: ",
        "${V}",
        "${file:/f}",
        "$",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "--- ",
        "!!str ",
        "~",
        "null",
        "# x\n",
        "x-y: ",
        "include: ",
        "*.yaml",
        "'*'",
        ">=1",
        "/v/",
        "1@sha256:0",
        "é\u{0}",
        "\u{feff}",
        "\t",
        "? ",
        "7d",
        "20%",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(names.to_vec()).prop_map(str::to_string),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever stands there, it is a file or there is a reason why not.
    #[test]
    fn no_input_panics(text in pieces()) {
        fuzzing::yaml(text.as_bytes());
    }

}

proptest! {
    // Each case reads 30 files.
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Nor whatever stands under any key.
    #[test]
    fn no_value_panics(value in any::<String>(), shape in 0..3) {
        let value = serde_json::Value::from(value);
        let value = match shape {
            0 => value.to_string(),
            1 => format!("[{value}]"),
            _ => format!("{{{value}: {value}}}"),
        };
        let keys::Kind { map: Some(keys::Keys::Fixed(root)), .. } = keys::ROOT else { panic!() };
        for key in root {
            let text = format!("version: 1\nimages: [{{from: a:1, to: r.corp/a}}]\n{}: {value}", key.name);
            let _ = read(&text);
        }
        let keys::Kind { map: Some(keys::Keys::Fixed(entry)), .. } = keys::ENTRY else { panic!() };
        for key in entry {
            let _ = read(&format!("version: 1\nimages: [{{from: a, tags: [x], to: r.corp/a, {}: {value}}}]", key.name));
            let _ = read(&format!("version: 1\nimages: [{{{}: {value}}}]", key.name));
        }
    }
}
