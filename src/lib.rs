//! imgcopy copies container images: it plans first, then streams only what is missing, and every
//! byte is verified.
//!
//! # The idea on one page
//!
//! An image is a graph of content-addressed pieces. Copying it is three steps, each with its own type:
//!
//! ```text
//! survey (ask both places)  ->  plan (decide; a pure function)  ->  execute (stream what is missing)
//! ```
//!
//! Because the plan is data, it can be shown, added up before a byte moves, and tested as a table.
//!
//! # The map
//!
//! A module uses only those further down; `tests/layers` sees to it.
//!
//! - [`sync`]: many copies, as a file says.
//! - [`copy`]: the verb. [`copy::survey`], [`copy::plan`], [`copy::execute`], and [`copy::copy`] for
//!   all three.
//! - [`inspect`]: reading an image without copying it: [`inspect::walk`], [`inspect::describe`],
//!   [`inspect::verify`].
//! - [`store`]: the places, as [`store::Source`] and [`store::Destination`], and [`store::blob::Blob`],
//!   the only way that bytes travel.
//! - [`image`]: the nouns, as pure data: digests, manifests, configs, references.
//! - [`error`]: the one error type.
//!
//! # Example
//!
//! ```
//! use imgcopy::copy::{Job, Silent, copy};
//! use imgcopy::image::{Descriptor, Manifest, MediaType, Name};
//! use imgcopy::store::{Destination as _, Memory, Role, Store as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> imgcopy::error::Result<()> {
//! let here = Memory::new();
//! let layer = here.add(MediaType::OCI_LAYER, "the files");
//! let config = here.add(MediaType::OCI_CONFIG, r#"{"architecture":"amd64","os":"linux"}"#);
//! let image = Manifest::image(&config, &[layer])?;
//! here.put_manifest(&image, Role::Root(&["latest".parse()?])).await?;
//!
//! let there = Memory::new();
//! let outcome = copy(&Job::new(&here, &there), &Silent::new()).await?;
//! assert_eq!(outcome.digest, image.descriptor().digest);
//! assert!(there.resolve(&Name::Digest(outcome.digest)).await?.is_some());
//! # Ok(())
//! # }
//! ```

pub mod copy;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod image;
pub mod inspect;
pub mod store;
pub mod sync;
