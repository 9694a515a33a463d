//! What is remembered of layers that were compressed anew: where it is, and `imgcopy cache`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use imgcopy::error::{Attempt as _, Error, ErrorKind};
use imgcopy::store::Recompressed;
use tracing::debug;

use crate::commands::{Ended, Failure};
use crate::render;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CacheArgs {
    /// What is done
    #[arg(value_enum, default_value_t = What::Show)]
    what: What,
}

const EXAMPLES: &str = "\
Examples:
  imgcopy cache show
  imgcopy cache clear

It holds which digest a layer gets by which compression, and which repositories have it, so that nothing
is compressed twice: in $XDG_CACHE_HOME/imgcopy, else ~/.cache/imgcopy. To lose it costs time only. Whoever
can write it can choose the layers of what you compress: a file that others can write is not read.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Where it is, and how much
    Show,
    /// Forget all of it
    Clear,
}

/// The folder (XDG Base Directory Specification); a path that is not absolute counts for nothing.
fn folder() -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let base = named.filter(absolute).or_else(|| home().filter(absolute))?;
    Some(base.join("imgcopy"))
}

/// What is remembered; `None` where nothing can be. No copy fails for that.
pub(crate) fn open() -> Option<Arc<Recompressed>> {
    match Recompressed::open(&folder()?) {
        Ok(memory) => Some(Arc::new(memory)),
        Err(error) => {
            debug!(%error, "nothing is remembered of what is compressed");
            None
        }
    }
}

pub(crate) fn cache(args: &CacheArgs) -> Ended {
    let nowhere = || {
        let told = "there is no place for it: neither XDG_CACHE_HOME nor HOME is set";
        Failure::Failed(Error::new(ErrorKind::NoPlace, told))
    };
    let folder = folder().ok_or_else(nowhere)?;
    if args.what == What::Clear {
        Recompressed::clear(&folder).attempting(|| "cannot clear the cache")?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = || "cannot read the cache";
    let extent = Recompressed::open(&folder).attempting(what)?;
    let extent = extent.extent().attempting(what)?;
    Ok(render::cache(&extent))
}
