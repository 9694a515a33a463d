//! Which images of an index are meant: the options for it.

use clap::{ArgAction, Args, ValueEnum};

use imgcopy::copy::{Selection, Subset};
use imgcopy::error::{Error, ErrorKind, Result};
use imgcopy::image::Platform;

/// Which images of an index are copied.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct SelectionArgs {
    /// Copy the image for OS/ARCHITECTURE[/VARIANT][:VERSION] only; several make a smaller index
    #[arg(
        long,
        value_name = "PLATFORM",
        action = ArgAction::Append,
        conflicts_with_all = ["override_os", "override_arch", "override_variant", "all", "multi_arch"]
    )]
    platform: Vec<Platform>,

    /// What becomes of an index of which not everything is copied [default: image for one platform, trim for several]
    #[arg(long, value_enum, value_name = "HOW", requires = "platform")]
    index: Option<IndexForm>,

    /// Copy everything of an index: the default, and skopeo's word for it
    #[arg(short, long, conflicts_with = "multi_arch")]
    all: bool,

    /// As skopeo's: everything, or the image for this machine
    #[arg(long, value_enum, value_name = "HOW")]
    multi_arch: Option<MultiArch>,

    /// Copy the image for another operating system than this machine's
    #[arg(long, value_name = "OS", hide_short_help = true)]
    override_os: Option<String>,

    /// Copy the image for another CPU than this machine's
    #[arg(long, value_name = "ARCHITECTURE", hide_short_help = true)]
    override_arch: Option<String>,

    /// Copy the image for this variant of the CPU
    #[arg(long, value_name = "VARIANT", hide_short_help = true)]
    override_variant: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IndexForm {
    /// No index: the image itself
    Image,
    /// A new index without the others; its digest changes
    Trim,
    /// The index as it is, naming images that are not there
    Sparse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MultiArch {
    All,
    System,
}

impl SelectionArgs {
    /// Whether everything of an index was asked for in so many words.
    pub(crate) fn wants_all(&self) -> bool {
        self.all || self.multi_arch == Some(MultiArch::All)
    }

    /// What was asked for.
    ///
    /// # Errors
    /// `Invalid` if it makes no sense.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let overrides = Overrides {
            os: self.override_os.as_deref(),
            architecture: self.override_arch.as_deref(),
            variant: self.override_variant.as_deref(),
        };
        if self.wants_all() {
            return Ok(Selection::All);
        }
        if let Some(platform) = overrides.platform()? {
            return Ok(Selection::One(platform));
        }
        if self.multi_arch == Some(MultiArch::System) {
            return Ok(Selection::One(Platform::of_this_machine()));
        }
        let how = match (self.platform.as_slice(), self.index) {
            ([], _) => return Ok(Selection::All),
            ([one], None | Some(IndexForm::Image)) => return Ok(Selection::One(one.clone())),
            (_, Some(IndexForm::Image)) => {
                let what = "several platforms need an index: --index trim or --index sparse";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            (_, None | Some(IndexForm::Trim)) => Subset::Trim,
            (_, Some(IndexForm::Sparse)) => Subset::Sparse,
        };
        let platforms = self.platform.clone();
        Ok(Selection::Some { platforms, how })
    }
}

/// Which image of an index is meant.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    /// The image of an index for OS/ARCHITECTURE[/VARIANT][:VERSION] [default: this machine's]
    #[arg(
        long,
        value_name = "PLATFORM",
        conflicts_with_all = ["override_os", "override_arch", "override_variant"]
    )]
    pub(crate) platform: Option<Platform>,

    /// The image of an index for another operating system than this machine's
    #[arg(long, value_name = "OS")]
    pub(crate) override_os: Option<String>,

    /// The image of an index for another CPU than this machine's
    #[arg(long, value_name = "ARCHITECTURE")]
    pub(crate) override_arch: Option<String>,

    /// The image of an index for this variant of the CPU, such as v7
    #[arg(long, value_name = "VARIANT")]
    pub(crate) override_variant: Option<String>,
}

impl PlatformArgs {
    /// The platform that was asked for.
    ///
    /// # Errors
    /// `Invalid` if what was typed is no platform.
    pub(crate) fn asked(&self) -> Result<Option<Platform>> {
        let overrides = Overrides {
            os: self.override_os.as_deref(),
            architecture: self.override_arch.as_deref(),
            variant: self.override_variant.as_deref(),
        };
        match &self.platform {
            Some(platform) => Ok(Some(platform.clone())),
            None => overrides.platform(),
        }
    }
}

/// skopeo's `--override-*`.
pub(crate) struct Overrides<'a> {
    pub(crate) os: Option<&'a str>,
    pub(crate) architecture: Option<&'a str>,
    pub(crate) variant: Option<&'a str>,
}

impl Overrides<'_> {
    /// The platform, if any part of it is overridden. As with skopeo, what is not is this
    /// machine's; but another CPU has no variant of this one.
    pub(crate) fn platform(&self) -> Result<Option<Platform>> {
        if [self.os, self.architecture, self.variant]
            .iter()
            .all(Option::is_none)
        {
            return Ok(None);
        }
        let here = Platform::of_this_machine();
        let own_variant = match self.architecture {
            Some(_) => "",
            None => here.variant.as_str(),
        };
        let os = self.os.unwrap_or(&here.os);
        let architecture = self.architecture.unwrap_or(&here.architecture);
        let text = match self.variant.unwrap_or(own_variant) {
            "" => format!("{os}/{architecture}"),
            variant => format!("{os}/{architecture}/{variant}"),
        };
        text.parse().map(Some)
    }
}
