//! `record`: a shell script that records a running kernel.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use iovasim::import::record_script::RecordScript;

use super::common::Terminal;
use super::files;
use super::status::{Failure, Verdict};

/// Print a shell script that records the kernel's allocator, for `import`
///
/// The script needs only a POSIX shell, tracefs and root. It sets up probes on the allocator's
/// functions, writes their events to a file, and cleans up when it ends or is interrupted. The
/// recording is exact, including limits and failures.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: on the failing machine, until a request fails or an hour has passed
  iovasim record --until-failure --seconds 3600 > record.sh")]
pub(crate) struct Args {
    /// The file for the script to write
    #[arg(long, value_name = "FILE", default_value = "iova.trace.txt")]
    file: String,
    /// Stop after N seconds [default: when interrupted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Stop when a request fails
    #[arg(long)]
    until_failure: bool,
    /// The size of each CPU's buffer in KiB
    #[arg(long, value_name = "N", default_value_t = RecordScript::default().buffer_kib,
          value_parser = clap::value_parser!(u64).range(1..))]
    buffer_kib: u64,
    /// Write the script to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, _: Terminal) -> Result<Verdict, Failure> {
    let script = RecordScript {
        output: args.file.clone(),
        seconds: args.seconds,
        until_failure: args.until_failure,
        buffer_kib: args.buffer_kib,
    };
    files::write_text(args.output.as_deref(), &script.to_string())?;
    Ok(Verdict::Done)
}
