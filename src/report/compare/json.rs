//! A comparison for programs: one versioned document.

use serde::Serialize;

use super::{Comparison, words};

/// The version of the document.
pub const VERSION: u64 = 1;

#[derive(Serialize)]
struct Document<'a> {
    iovasim: &'static str,
    version: u64,
    program: &'static str,
    /// Whether nothing is forbidden.
    passes: bool,
    /// Whether nothing differs.
    equal: bool,
    /// How many changes are forbidden.
    forbidden: usize,
    /// The verdict in words.
    verdict: String,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// The document, indented, with a newline at its end.
pub fn text(comparison: &Comparison) -> String {
    crate::report::document(&Document {
        iovasim: "comparison",
        version: VERSION,
        program: env!("CARGO_PKG_VERSION"),
        passes: comparison.passes(),
        equal: comparison.is_equal(),
        forbidden: comparison.forbidden(),
        verdict: words::verdict(comparison),
        comparison,
    })
}
