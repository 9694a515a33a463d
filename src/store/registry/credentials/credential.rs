//! What proves to a registry who we are.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The user name that stands for "the secret is an identity token" in Docker's credential helpers.
pub(super) const TOKEN_USER: &str = "<token>";

/// A text that is never shown: it has no `Display`, no `Serialize`, and its `Debug` hides it (S-40).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or stores it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REDACTED")
    }
}

/// What a registry, or its token service, is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password, for HTTP Basic authentication (RFC 7617).
    Basic {
        /// Without a colon, which could not be sent.
        username: String,
        /// The password, or an access token that is used as one.
        password: Secret,
    },
    /// A refresh token of OAuth 2: only ever posted to the registry's token service (S-45).
    IdentityToken(Secret),
    /// A token that is sent to the registry as Bearer, as it is.
    RegistryToken(Secret),
}

impl Credential {
    /// A user name and a password.
    ///
    /// # Errors
    /// `Invalid` if the name is empty or holds a colon, which Basic authentication cannot carry, or
    /// if either holds a control character.
    pub fn basic(username: &str, password: &str) -> Result<Self> {
        let wrong = if username.is_empty() {
            "the user name is empty"
        } else if username.contains(':') {
            "the user name holds a colon, which cannot be sent"
        } else if username
            .chars()
            .chain(password.chars())
            .any(char::is_control)
        {
            "the user name or the password holds a control character"
        } else {
            let (username, password) = (username.to_string(), Secret::new(password));
            return Ok(Self::Basic { username, password });
        };
        Err(Error::new(ErrorKind::Invalid, wrong))
    }

    /// The user's name as `login --get-login` prints it; a token has none, and shows as `<token>`.
    pub fn user(&self) -> &str {
        match self {
            Self::Basic { username, .. } => username,
            Self::IdentityToken(_) | Self::RegistryToken(_) => TOKEN_USER,
        }
    }

    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Basic { password, .. } => password,
            Self::IdentityToken(token) | Self::RegistryToken(token) => token,
        }
    }
}

/// `user[:password]`, as users type it. Without a password it has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// Everything after the first colon, if there was one.
    pub password: Option<Secret>,
}

impl FromStr for Login {
    type Err = Error;

    /// The error never tells the text: it may be a password alone.
    fn from_str(text: &str) -> Result<Self> {
        let (username, password) = match text.split_once(':') {
            Some((username, password)) => (username, Some(Secret::new(password))),
            None => (text, None),
        };
        if username.is_empty() {
            let what = "credentials must be USER or USER:PASSWORD, and the user is missing";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let username = username.to_string();
        Ok(Self { username, password })
    }
}
