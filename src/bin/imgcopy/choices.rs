//! What can be chosen from in options.

use clap::ValueEnum;

use imgcopy::copy::Fallback;
use imgcopy::image::Compression;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    Gzip,
    Zstd,
    None,
}

impl From<Method> for Compression {
    fn from(method: Method) -> Self {
        match method {
            Method::Gzip => Compression::Gzip,
            Method::Zstd => Compression::Zstd,
            Method::None => Compression::None,
        }
    }
}

/// In whose words manifests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManifestFormat {
    /// OCI's
    Oci,
    /// Docker's, of today
    V2s2,
    /// As they are; another one only where a registry refuses that
    Auto,
}

impl ManifestFormat {
    /// The format that was asked for, and what is done where a registry does not take the image.
    pub(crate) fn meaning(typed: Option<Self>) -> (Option<imgcopy::image::Format>, Fallback) {
        match typed {
            None => (None, Fallback::default()),
            Some(Self::Oci) => (Some(imgcopy::image::Format::Oci), Fallback::Never),
            Some(Self::V2s2) => (Some(imgcopy::image::Format::V2s2), Fallback::Never),
            Some(Self::Auto) => (None, Fallback::Always),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Bars on a terminal, else lines
    Auto,
    /// A bar for each blob in flight
    Bar,
    /// A line for each blob
    Plain,
    /// A JSON object for each event
    Json,
    /// Nothing but the summary
    None,
}
