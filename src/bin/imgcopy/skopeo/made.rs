//! What skopeo's options mean for a copy: plain data and pure functions.

use imgcopy::copy::Selection;
use imgcopy::error::Error;
use imgcopy::image::{Compression, Format, MediaKind, MediaType, Platform, Reference};
use imgcopy::store::Promise;
use imgcopy::store::compress::Coding;

use super::options::{CopyArgs, MakingArgs};
use super::told::Fatal;

/// How layers and manifests change on their way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Making {
    pub(super) format: Option<Format>,
    pub(super) compression: Option<Coding>,
    pub(super) recompress: bool,
    pub(super) preserve_digests: bool,
    /// What was asked for and makes no difference here.
    pub(super) idle: Vec<String>,
}

/// What skopeo's `--format` means.
///
/// # Errors
/// Docker's first manifests are not written, and what nobody knows is none.
pub(super) fn format(typed: Option<&str>) -> Result<Option<Format>, Fatal> {
    match typed {
        None | Some("") => Ok(None),
        Some("oci") => Ok(Some(Format::Oci)),
        Some("v2s2") => Ok(Some(Format::V2s2)),
        Some("v2s1") => Err(Fatal::no_option(
            "--format v2s1",
            "Docker's first manifests are not written, use v2s2",
        )),
        Some(other) => Err(Fatal::new(format!(
            "unknown format \"{other}\". Choose one of the supported formats: 'oci', 'v2s1', or 'v2s2'"
        ))),
    }
}

/// Whether all of an index was asked for.
///
/// # Errors
/// If it was said twice, or in words that nobody knows.
pub(super) fn wants_all(args: &CopyArgs) -> Result<bool, Fatal> {
    match args.multi_arch.as_deref() {
        None => Ok(args.all),
        Some(_) if args.all => Err(Fatal::new(
            "Cannot use --all and --multi-arch flags together",
        )),
        Some("system") => Ok(false),
        Some("all") => Ok(true),
        Some("index-only") => Err(Fatal::no_option(
            "--multi-arch index-only",
            "an index goes with its images",
        )),
        Some(other) => Err(Fatal::new(format!(
            "unknown multi-arch option \"{other}\". Choose one of the supported options: 'system', 'all', or 'index-only'"
        ))),
    }
}

/// Which images are copied of what was found: of an index that for a platform, and a single image
/// whatever it is for, as skopeo has it.
pub(super) fn selection(found: &MediaType, all: bool, platform: Platform) -> Selection {
    match found.kind() {
        MediaKind::Index if !all => Selection::One(platform),
        _ => Selection::All,
    }
}

/// What a place wants of layers (`DesiredLayerCompression` in containers/image).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// None that are plain.
    Compressed,
    /// Whatever there is.
    Anything,
    /// Plain ones.
    Plain,
}

/// What a place wants if it is not told otherwise.
fn wants(args: &MakingArgs, destination: &Reference) -> Result<Wants, Fatal> {
    let accepts_plain = args.dest_oci_accept_uncompressed_layers;
    Ok(match destination {
        Reference::Dir { .. } => match (args.dest_compress, args.dest_decompress) {
            (true, true) => {
                return Err(Fatal::new(format!(
                    "initializing destination {destination}: Cannot compress and decompress at the same time"
                )));
            }
            (true, false) => Wants::Compressed,
            (false, true) => Wants::Plain,
            (false, false) => Wants::Anything,
        },
        Reference::DockerArchive { .. } | Reference::DockerDaemon { .. } => Wants::Plain,
        Reference::OciDir { .. } | Reference::OciArchive { .. } if accepts_plain => Wants::Anything,
        _ => Wants::Compressed,
    })
}

/// What the options mean between these places.
///
/// # Errors
/// If what they ask for cannot be done.
pub(super) fn making(
    args: &MakingArgs,
    promise: Promise,
    source: &Reference,
    destination: &Reference,
) -> Result<Making, Fatal> {
    let mut idle = Vec::new();
    let is_dir = matches!(destination, Reference::Dir { .. });
    for (given, option) in [
        (args.dest_compress, "--dest-compress"),
        (args.dest_decompress, "--dest-decompress"),
    ] {
        if given && !is_dir {
            idle.push(format!(
                "{option} can only be used if the destination transport is 'dir'"
            ));
        }
    }
    let wants = wants(args, destination)?;
    let asked = coding(args)?;
    // A digest cannot stay if a layer changes.
    let wants = match args.preserve_digests {
        true => Wants::Anything,
        false => wants,
    };
    let (compression, recompress) = match wants {
        Wants::Compressed => (
            Some(asked.unwrap_or(Coding::GZIP)),
            args.dest_compress_format.is_some(),
        ),
        Wants::Anything => (Some(Coding::PLAIN), false),
        Wants::Plain => (Some(Coding::PLAIN), is_dir),
    };
    let compression =
        compression.filter(|_| !matches!(destination, Reference::DockerArchive { .. }));
    let is_zstd = compression.is_some_and(|it| it.compression() == Compression::Zstd);
    let format = match (format(args.format.as_deref())?, destination) {
        (Some(format), _) => Some(format),
        (None, Reference::OciDir { .. } | Reference::OciArchive { .. }) => Some(Format::Oci),
        (None, Reference::DockerArchive { .. }) => None,
        // Docker's manifests have no word for it.
        (None, _) if is_zstd => Some(Format::Oci),
        // What `docker save` wrote was Docker's.
        (None, _) if matches!(source, Reference::DockerArchive { .. }) => Some(Format::V2s2),
        (None, _) => None,
    };
    Ok(Making {
        format,
        compression,
        recompress,
        // Without a digest that is promised there is none to keep.
        preserve_digests: args.preserve_digests && promise == Promise::Digest,
        idle,
    })
}

/// How layers are compressed, if that was said.
fn coding(args: &MakingArgs) -> Result<Option<Coding>, Fatal> {
    let method = match args.dest_compress_format.as_deref() {
        None => None,
        Some("gzip") => Some(Compression::Gzip),
        Some("zstd") => Some(Compression::Zstd),
        Some(known @ ("bzip2" | "xz" | "zstd:chunked")) => {
            return Err(Fatal::no_option(
                &format!("--dest-compress-format {known}"),
                "layers are compressed by gzip or zstd",
            ));
        }
        Some(other) => {
            return Err(Fatal::new(format!(
                "cannot find compressor for \"{other}\""
            )));
        }
    };
    let coding = match (method, args.dest_compress_level) {
        (None, None) => return Ok(None),
        (method, level) => Coding::new(method.unwrap_or(Compression::Gzip), level),
    };
    coding.map(Some).map_err(|error: Error| Fatal::from(error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::skopeo::Cli;
    use crate::skopeo::options::Verb;

    fn made(options: &str, source: &str, destination: &str) -> Making {
        let words = ["skopeo", "copy"].into_iter();
        let words = words.chain(options.split_whitespace());
        let Some(Verb::Copy(args)) = Cli::try_parse_from(words).unwrap().verb else {
            panic!("it is a copy");
        };
        let parsed = |text: &str| text.parse::<Reference>().unwrap();
        let promise = match source.starts_with("docker-archive") {
            true => Promise::ImageId,
            false => Promise::Digest,
        };
        making(&args.making, promise, &parsed(source), &parsed(destination))
            .unwrap_or_else(|fatal| panic!("{fatal:?}"))
    }

    #[test]
    fn places_want_what_containers_image_says_that_they_want() {
        let (gzip, plain) = (Some(Coding::GZIP), Some(Coding::PLAIN));
        let (oci, v2s2) = (Some(Format::Oci), Some(Format::V2s2));
        let zstd = Coding::new(Compression::Zstd, None).ok();
        let (dir, docker, archive) = ("dir:d", "docker://h.example/x", "docker-archive:a.tar");
        for (options, from, to, format, compression, recompress) in [
            ("", dir, docker, None, gzip, false),
            ("", archive, docker, v2s2, gzip, false),
            ("", docker, dir, None, plain, false),
            ("", archive, dir, v2s2, plain, false),
            ("", docker, "oci:o", oci, gzip, false),
            ("", docker, "oci-archive:o", oci, gzip, false),
            ("", docker, archive, None, None, false),
            ("--format oci", docker, dir, oci, plain, false),
            ("--preserve-digests", docker, docker, None, plain, false),
            ("--dest-compress", docker, dir, None, gzip, false),
            ("--dest-decompress", docker, dir, None, plain, true),
            (
                "--dest-compress-format zstd",
                docker,
                docker,
                oci,
                zstd,
                true,
            ),
            (
                "--dest-compress-format zstd",
                docker,
                dir,
                None,
                plain,
                false,
            ),
            (
                "--dest-oci-accept-uncompressed-layers",
                docker,
                "oci:o",
                oci,
                plain,
                false,
            ),
        ] {
            let making = made(options, from, to);
            let expected = (format, compression, recompress);
            let got = (making.format, making.compression, making.recompress);
            assert_eq!(got, expected, "{options} {from} {to}");
            assert!(making.idle.is_empty(), "{options} {to}");
        }
        assert_eq!(made("--dest-compress", dir, docker).idle.len(), 1);
        assert!(made("--preserve-digests", dir, docker).preserve_digests);
        assert!(!made("--preserve-digests", archive, docker).preserve_digests);
    }

    #[test]
    fn a_single_image_is_wanted_whatever_it_is_for() {
        let select = |kind: &str, all| selection(&kind.into(), all, Platform::of_this_machine());
        let one = Selection::One(Platform::of_this_machine());
        assert_eq!(select(MediaType::OCI_INDEX, false), one);
        assert_eq!(select(MediaType::DOCKER_INDEX, false), one);
        assert_eq!(select(MediaType::OCI_INDEX, true), Selection::All);
        assert_eq!(select(MediaType::OCI_MANIFEST, false), Selection::All);
    }
}
