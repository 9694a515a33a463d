//! What can be typed after `skopeo sync`.

use std::path::PathBuf;

use clap::Args;

use crate::skopeo::options::SecretArgs;
use crate::skopeo::sides::{Dest, SideArgs, Src};
use crate::skopeo::usage::go_int;

#[derive(Args)]
#[command(
    args_override_self = true,
    after_help = "SOURCE is a repository or an image of a registry (docker), a directory (dir) or a file (yaml).\n\nExample:\n  skopeo sync --src docker --dest dir --scoped registry.example.com/busybox /media/usb"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(in crate::skopeo) struct SyncArgs {
    #[arg(value_name = "SOURCE DESTINATION")]
    pub(in crate::skopeo) places: Vec<String>,

    /// SOURCE transport type: docker, dir or yaml
    #[arg(
        short,
        long,
        value_name = "TRANSPORT",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::skopeo) src: String,

    /// DESTINATION transport type: docker or dir
    #[arg(
        short,
        long,
        value_name = "TRANSPORT",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::skopeo) dest: String,

    /// Images at DESTINATION are prefixed with the full path of the source
    #[arg(long)]
    pub(in crate::skopeo) scoped: bool,

    /// String to append to DESTINATION tags
    #[arg(
        long,
        value_name = "SUFFIX",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub(in crate::skopeo) append_suffix: String,

    /// Copy all images if SOURCE-IMAGE is a list
    #[arg(short, long)]
    pub(in crate::skopeo) all: bool,

    /// Run without actually copying data
    #[arg(long)]
    pub(in crate::skopeo) dry_run: bool,

    /// Do not abort the sync if any image copy fails
    #[arg(long)]
    pub(in crate::skopeo) keep_going: bool,

    /// File with credentials
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(in crate::skopeo) authfile: Option<PathBuf>,

    /// Write the digests and names of the copied images to the specified file
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub(in crate::skopeo) digestfile: Option<PathBuf>,

    /// MANIFEST TYPE (oci or v2s2) to use in the destination
    #[arg(short, long, value_name = "TYPE")]
    pub(in crate::skopeo) format: Option<String>,

    /// Preserve digests of images and lists
    #[arg(long)]
    pub(in crate::skopeo) preserve_digests: bool,

    /// Do not copy signatures from SOURCE images
    #[arg(long)]
    pub(in crate::skopeo) remove_signatures: bool,

    /// The number of times to possibly retry
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true, value_parser = go_int)]
    pub(in crate::skopeo) retry_times: u32,

    #[command(flatten)]
    pub(in crate::skopeo) source: SideArgs<Src>,

    #[command(flatten)]
    pub(in crate::skopeo) destination: SideArgs<Dest>,

    #[command(flatten)]
    pub(in crate::skopeo) secrets: SecretArgs,
}
