//! `--memory-limit`: where the program needs more memory, it ends with a message and exit status 2.
//!
//! The system holds the limit (`RLIMIT_DATA`), so that it covers the compressors' C code too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGABRT;
use signal_hook::flag::register_conditional_shutdown;

use super::status::Failure;

/// Limits the program to that many bytes.
pub(crate) fn limit(bytes: u64) -> Result<(), Failure> {
    let maximum = getrlimit(Resource::Data).maximum;
    let limit = Rlimit {
        current: Some(bytes),
        maximum,
    };
    // The standard library prints "memory allocation of N bytes failed" and aborts.
    let ends = register_conditional_shutdown(SIGABRT, 2, Arc::new(AtomicBool::new(true)));
    let limited = setrlimit(Resource::Data, limit).map_err(io::Error::from);
    ends.and(limited)
        .map_err(|error| Failure::bad(format!("--memory-limit: cannot set it: {error}")))
}
