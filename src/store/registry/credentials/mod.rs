//! Who we are to a registry: credentials, where they are kept, and how they are found.
//!
//! The files are those of containers-auth.json(5) and of Docker's `config.json`; the programs are
//! Docker's credential helpers. [`Keyring`] knows the places, `document` reads and edits a file as
//! pure data, `helper` talks to the programs.
//!
//! No text of a credential gets into an error or a log: [`Secret`] shows nothing, and what is parsed
//! here never goes through an error message of the JSON parser with a value in it (S-40).

mod credential;
mod document;
mod edit;
mod entry;
mod environment;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod helper;
mod keyring;
mod login;
mod scope;
#[cfg(test)]
mod tests;

pub use credential::{Credential, Login, Secret};
pub use environment::Environment;
pub use keyring::Keyring;
pub use login::Kept;
pub use scope::Scope;

/// The longest piece of foreign text that is shown, in characters.
const SHOWN: usize = 100;

/// Foreign text as it may be shown: escaped and cut.
fn shown(text: &str) -> String {
    text.escape_debug().take(SHOWN).collect()
}
