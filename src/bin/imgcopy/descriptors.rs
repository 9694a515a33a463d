//! How many files and connections may be open at once.

use std::fs::File;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Takes all that the system allows: the soft limit is as low as it is only for programs that use
/// `select`. A sync of many hosts has some tens of connections to each.
pub(crate) fn allow_all() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If not, it works as far as it goes.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Keeps some open that are needed in the end, whatever connections have been made until then.
pub(crate) struct Reserve {
    _files: Vec<File>,
}

impl Reserve {
    /// As many as a report or a look at a name needs. They are free once this is dropped.
    pub(crate) fn new() -> Self {
        let files = (0..4).filter_map(|_| File::open("/dev/null").ok());
        Self {
            _files: files.collect(),
        }
    }
}
