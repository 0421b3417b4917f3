//! A shell script that records a kernel's allocator for [`import`](crate::import).
//!
//! The script needs a POSIX shell and tracefs, nothing else: whoever has the failing machine may
//! not be able to install anything there. It probes entries and return values alone, so that it
//! needs no knowledge of the kernel's structures; what it records is exact, limits and failures
//! included, but for the places of direct allocations, which go by their records' addresses.

use std::fmt;

/// The script from its settings on.
const BODY: &str = include_str!("record.sh");

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordScript {
    /// The file to write on that machine.
    pub output: String,
    /// When to stop; never by itself if none.
    pub seconds: Option<u64>,
    /// Stop too when `alloc_iova_fast` fails, within a second.
    pub until_failure: bool,
    /// The size of each CPU's buffer; it is emptied all the time.
    pub buffer_kib: u64,
}

impl Default for RecordScript {
    fn default() -> RecordScript {
        RecordScript {
            output: "iova.trace.txt".to_owned(),
            seconds: None,
            until_failure: false,
            buffer_kib: 8192,
        }
    }
}

/// The script.
impl fmt::Display for RecordScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = self.output.replace('\'', "'\\''");
        // A name that begins with a hyphen must not be taken for an option.
        let here = if output.starts_with('-') { "./" } else { "" };
        write!(
            f,
            "#!/bin/sh\n\
             # Records the kernel's IOVA allocator for `iovasim import`. Run it as root.\n\n\
             output='{here}{output}'\n\
             seconds={}\n\
             until_failure={}\n\
             buffer_kib={}\n\n\
             {BODY}",
            self.seconds.unwrap_or(0),
            u8::from(self.until_failure),
            self.buffer_kib,
        )
    }
}
