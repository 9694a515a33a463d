//! What can be typed under the name of skopeo. Names and meanings are those of skopeo(1) and the pages
//! that it leads to.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::sides::{Dest, Only, SideArgs, Src};
use super::sync::SyncArgs;
use super::told::Fatal;
use super::usage::{go_duration, go_int};

/// Various operations with container images and container image registries, by imgcopy
#[derive(Parser)]
#[command(
    name = "skopeo",
    disable_version_flag = true,
    args_override_self = true,
    override_usage = "skopeo [flags]\n       skopeo [command]"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,

    /// Version for Skopeo
    #[arg(short, long)]
    pub(super) version: bool,

    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

#[derive(Args)]
pub(super) struct Global {
    /// Timeout for the command execution
    #[arg(long, global = true, value_name = "DURATION", default_value = "0s", hide_default_value = true, value_parser = go_duration)]
    pub(super) command_timeout: Duration,

    /// Enable debug output
    #[arg(long, global = true)]
    pub(super) debug: bool,

    /// Run the tool without any policy check
    #[arg(long, global = true)]
    pub(super) insecure_policy: bool,

    /// Use ARCH instead of the architecture of the machine for choosing images
    #[arg(long, global = true, value_name = "ARCH")]
    pub(super) override_arch: Option<String>,

    /// Use OS instead of the running OS for choosing images
    #[arg(long, global = true, value_name = "OS")]
    pub(super) override_os: Option<String>,

    /// Use VARIANT instead of the running architecture variant for choosing images
    #[arg(long, global = true, value_name = "VARIANT")]
    pub(super) override_variant: Option<String>,

    /// Path to a trust policy file
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) policy: Option<PathBuf>,

    /// Makes no difference: simple signatures are neither read nor written
    #[arg(long = "registries.d", global = true, value_name = "DIR")]
    registries_d: Option<PathBuf>,

    /// Makes no difference: images are not unpacked on their way
    #[arg(long, global = true, value_name = "DIR")]
    tmpdir: Option<PathBuf>,
}

#[derive(Subcommand)]
#[command(rename_all = "kebab-case")]
pub(super) enum Verb {
    /// Copy an IMAGE-NAME from one location to another
    Copy(Box<CopyArgs>),
    /// Delete image IMAGE-NAME
    Delete(Box<OneArgs>),
    /// Inspect image IMAGE-NAME
    Inspect(Box<InspectArgs>),
    /// List tags in the repository specified by the SOURCE-IMAGE
    ListTags(Box<OneArgs>),
    /// Login to a container registry
    Login(LoginArgs),
    /// Logout of a container registry
    Logout(LogoutArgs),
    /// Compute a manifest digest of a file
    ManifestDigest(FileArgs),
    #[command(hide = true)]
    StandaloneSign(Rest),
    #[command(hide = true)]
    StandaloneVerify(Rest),
    #[command(hide = true)]
    GenerateSigstoreKey(Rest),
    /// Synchronize one or more images from one location to another
    Sync(Box<SyncArgs>),
}

/// Whatever follows a verb that is not there.
#[derive(Args)]
pub(super) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

#[derive(Args)]
#[command(args_override_self = true)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(super) struct CopyArgs {
    #[arg(value_name = "IMAGE-NAME")]
    pub(super) references: Vec<String>,

    /// Additional tags (docker-archive)
    #[arg(long, value_name = "NAME", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub(super) additional_tag: Vec<String>,

    /// Copy all images if SOURCE-IMAGE is a list
    #[arg(short, long)]
    pub(super) all: bool,

    /// How to handle multi-architecture images (system or all)
    #[arg(long, value_name = "HOW")]
    pub(super) multi_arch: Option<String>,

    /// File with credentials
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(super) authfile: Option<PathBuf>,

    /// Write the digest of the pushed image to the specified file
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(super) digestfile: Option<PathBuf>,

    /// Suppress output information when copying images
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Do not copy signatures from SOURCE-IMAGE
    #[arg(long)]
    pub(super) remove_signatures: bool,

    /// The number of times to possibly retry
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true, value_parser = go_int)]
    pub(super) retry_times: u32,

    /// Makes no difference: layers that the registry has are not uploaded
    #[arg(long)]
    dest_precompute_digests: bool,

    #[command(flatten)]
    pub(super) making: MakingArgs,

    #[command(flatten)]
    pub(super) source: SideArgs<Src>,

    #[command(flatten)]
    pub(super) destination: SideArgs<Dest>,

    #[command(flatten)]
    pub(super) secrets: SecretArgs,
}

/// How layers and manifests change on their way.
#[derive(Args, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(super) struct MakingArgs {
    /// MANIFEST TYPE (oci or v2s2) to use in the destination
    #[arg(short, long, value_name = "TYPE")]
    pub(super) format: Option<String>,

    /// Preserve digests of images and lists
    #[arg(long)]
    pub(super) preserve_digests: bool,

    /// Compress layers when saving to a directory using the 'dir' transport
    #[arg(long)]
    pub(super) dest_compress: bool,

    /// Decompress layers when saving to a directory using the 'dir' transport
    #[arg(long)]
    pub(super) dest_decompress: bool,

    /// FORMAT to use for the compression: gzip or zstd
    #[arg(long, value_name = "FORMAT")]
    pub(super) dest_compress_format: Option<String>,

    /// LEVEL to use for the compression
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true, value_parser = clap::value_parser!(i32))]
    pub(super) dest_compress_level: Option<i32>,

    /// Allow uncompressed layers when saving to an OCI image using the 'oci' transport
    #[arg(long)]
    pub(super) dest_oci_accept_uncompressed_layers: bool,
}

/// What this version refuses.
#[derive(Args)]
pub(super) struct SecretArgs {
    #[arg(long, hide = true, value_delimiter = ',')]
    decryption_key: Vec<String>,

    #[arg(long, hide = true, value_delimiter = ',')]
    encryption_key: Vec<String>,

    #[arg(long, hide = true, value_delimiter = ',', allow_hyphen_values = true)]
    encrypt_layer: Vec<String>,

    #[arg(long, hide = true)]
    sign_by: Option<String>,

    #[arg(long, hide = true)]
    sign_by_sigstore: Option<String>,

    #[arg(long, hide = true)]
    sign_by_sigstore_private_key: Option<String>,

    #[arg(long, hide = true)]
    sign_identity: Option<String>,

    #[arg(long, hide = true)]
    sign_passphrase_file: Option<String>,
}

impl SecretArgs {
    /// Refuses what is not done.
    ///
    /// # Errors
    /// Naming the first such option.
    pub(super) fn check(&self) -> Result<(), Fatal> {
        let given = [
            ("--decryption-key", !self.decryption_key.is_empty()),
            ("--encryption-key", !self.encryption_key.is_empty()),
            ("--encrypt-layer", !self.encrypt_layer.is_empty()),
            ("--sign-by", self.sign_by.is_some()),
            ("--sign-by-sigstore", self.sign_by_sigstore.is_some()),
            (
                "--sign-by-sigstore-private-key",
                self.sign_by_sigstore_private_key.is_some(),
            ),
            ("--sign-identity", self.sign_identity.is_some()),
            (
                "--sign-passphrase-file",
                self.sign_passphrase_file.is_some(),
            ),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                let why = "imgcopy neither encrypts nor signs";
                Err(Fatal::no_option(option, why))
            }
            None => Ok(()),
        }
    }
}

#[derive(Args)]
#[command(args_override_self = true)]
pub(super) struct OneArgs {
    #[arg(value_name = "IMAGE-NAME")]
    pub(super) references: Vec<String>,

    /// The number of times to possibly retry
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true, value_parser = go_int)]
    pub(super) retry_times: u32,

    #[command(flatten)]
    pub(super) side: SideArgs<Only>,
}

#[derive(Args)]
#[command(args_override_self = true)]
pub(super) struct InspectArgs {
    /// Output configuration
    #[arg(long)]
    pub(super) config: bool,

    /// Format the output to a Go template
    #[arg(short, long, value_name = "TEMPLATE", allow_hyphen_values = true)]
    pub(super) format: Option<String>,

    /// Do not list the available tags from the repository in the output
    #[arg(short, long)]
    pub(super) no_tags: bool,

    /// Output raw manifest or configuration
    #[arg(long)]
    pub(super) raw: bool,

    #[command(flatten)]
    pub(super) one: OneArgs,
}

#[derive(Args)]
pub(super) struct FileArgs {
    #[arg(value_name = "MANIFEST-FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Args)]
#[command(args_override_self = true)]
pub(super) struct LoginArgs {
    #[arg(value_name = "REGISTRY")]
    pub(super) registries: Vec<String>,

    /// File with credentials
    #[arg(long, value_name = "PATH")]
    pub(super) authfile: Option<PathBuf>,

    /// Certificates of the registry
    #[arg(long, value_name = "PATH")]
    pub(super) cert_dir: Option<PathBuf>,

    /// Return the current login user for the registry
    #[arg(long)]
    pub(super) get_login: bool,

    /// Password for registry
    #[arg(short, long, allow_hyphen_values = true)]
    pub(super) password: Option<String>,

    /// Take the password from stdin
    #[arg(long)]
    pub(super) password_stdin: bool,

    /// Require HTTPS and verify certificates when accessing the registry
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = super::usage::go_bool)]
    pub(super) tls_verify: Option<bool>,

    /// Username for registry
    #[arg(short, long, allow_hyphen_values = true)]
    pub(super) username: Option<String>,

    /// Write more detailed information to stdout
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Args)]
#[command(args_override_self = true)]
pub(super) struct LogoutArgs {
    #[arg(value_name = "REGISTRY")]
    pub(super) registries: Vec<String>,

    /// Remove the cached credentials for all registries in the auth file
    #[arg(short, long)]
    pub(super) all: bool,

    /// File with credentials
    #[arg(long, value_name = "PATH")]
    pub(super) authfile: Option<PathBuf>,

    /// Makes no difference: no registry is asked
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = super::usage::go_bool)]
    tls_verify: Option<bool>,
}
