//! Reading result files and policies.

use std::io::Read;
use std::path::Path;

use iovasim::report::compare::policy::Policy;
use iovasim::study::{Document, load};
use iovasim::trace::compress;

use super::files;
use super::status::Failure;

/// The most that such a file may hold, in bytes.
const SIZE_MAX: u64 = 1 << 30;

/// Reads a result document.
pub(crate) fn read(path: &Path) -> Result<Document, Failure> {
    let text = text(path)?;
    load::document(&files::input_name(path), &text).map_err(Failure::bad)
}

/// Reads a policy; the default where there is no file.
pub(crate) fn policy(path: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = path else {
        return Ok(Policy::default());
    };
    let text = text(path)?;
    Policy::parse(&text, Path::new(&files::input_name(path))).map_err(Failure::bad)
}

fn text(path: &Path) -> Result<String, Failure> {
    text_of(&files::input_name(path), files::open(path)?)
}

/// The text of an open input, plain or compressed; errors call it `name`.
pub(crate) fn text_of(name: &str, input: files::Input) -> Result<String, Failure> {
    let unreadable = |error| Failure::bad(format!("{name}: cannot read: {error}"));
    let decoder = compress::decoded(input.bytes).map_err(unreadable)?;
    let mut bytes = Vec::new();
    decoder
        .take(SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_MAX {
        let found = format!("{name}: found more than {SIZE_MAX} bytes, expected fewer");
        return Err(Failure::bad(found));
    }
    let not_text = |error| Failure::bad(format!("{name}: no UTF-8 text: {error}"));
    String::from_utf8(bytes).map_err(not_text)
}
