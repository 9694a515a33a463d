//! One entry of a credentials file: what stands below a key of `auths`.
//!
//! The fields are those of Docker's `AuthConfig`. Messages name fields and never tell values (S-40).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::credential::{Credential, Secret};
use crate::error::{Error, ErrorKind, Result};

/// The fields that hold a credential; all others (`email`) are left alone.
pub(super) const FIELDS: [&str; 5] = [
    "auth",
    "username",
    "password",
    "identitytoken",
    "registrytoken",
];

/// Padding is written, and may be missing where others wrote.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an entry says. `None` if it is empty: Docker leaves `{}` where a helper has the credential.
///
/// # Errors
/// `Invalid`, naming the field.
pub(super) fn read(entry: &Value) -> Result<Option<Credential>> {
    let fields = match entry {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => return Err(malformed("it is no object")),
    };
    if let Some(token) = text(fields, "registrytoken")? {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    if let Some(token) = text(fields, "identitytoken")? {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    if let Some(auth) = text(fields, "auth")? {
        return decode(auth);
    }
    match (text(fields, "username")?, text(fields, "password")?) {
        (Some(username), Some(password)) => Credential::basic(username, password).map(Some),
        (None, None) => Ok(None),
        (Some(_), None) => Err(malformed("it has \"username\" without \"password\"")),
        (None, Some(_)) => Err(malformed("it has \"password\" without \"username\"")),
    }
}

/// The fields of an entry that says this.
pub(super) fn write(credential: &Credential) -> Map<String, Value> {
    let (field, value) = match credential {
        Credential::Basic { username, password } => {
            let pair = format!("{username}:{}", password.reveal());
            ("auth", BASE64.encode(pair))
        }
        Credential::IdentityToken(token) => ("identitytoken", token.reveal().to_string()),
        Credential::RegistryToken(token) => ("registrytoken", token.reveal().to_string()),
    };
    Map::from_iter([(field.to_string(), Value::String(value))])
}

/// `auth`: base64 of `user:password`. Old versions of Docker padded the password with NULs.
fn decode(auth: &str) -> Result<Option<Credential>> {
    let bytes = BASE64
        .decode(auth.trim())
        .map_err(|_| malformed("\"auth\" is not base64"))?;
    let pair = String::from_utf8(bytes).map_err(|_| malformed("\"auth\" holds no UTF-8"))?;
    let Some((username, password)) = pair.split_once(':') else {
        return Err(malformed("\"auth\" holds no colon"));
    };
    let password = password.trim_matches('\0');
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Credential::basic(username, password).map(Some)
}

/// A field's text; an empty one is as good as none.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(malformed(&format!("\"{name}\" is not text"))),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, what)
}
