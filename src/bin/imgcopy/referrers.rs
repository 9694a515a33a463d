//! What belongs to an image and goes with it: the options for it.

use clap::{Args, ValueEnum};

use imgcopy::copy::{Companions, When};

/// What belongs to an image and goes with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signatures and other referrers")]
pub(crate) struct CompanionArgs {
    /// When signatures, attestations and SBOMs of the image are looked for and copied, too
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Referrers::Changed)]
    referrers: Referrers,

    /// Only referrers of this artifact type; may be given several times
    #[arg(long, value_name = "TYPE", hide_short_help = true)]
    referrer_type: Vec<String>,

    /// Leave signatures out
    #[arg(long)]
    remove_signatures: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Referrers {
    /// When the image is new at the destination or has changed
    Changed,
    /// Also when it has not
    Always,
    /// Never
    Never,
}

impl CompanionArgs {
    pub(crate) fn companions(&self) -> Companions {
        Companions {
            when: match self.referrers {
                Referrers::Changed => When::Changed,
                Referrers::Always => When::Always,
                Referrers::Never => When::Never,
            },
            types: self.referrer_type.clone(),
            signatures: !self.remove_signatures,
        }
    }
}
