//! Device names, each kept once.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::error::{Error, Kind};

/// The memory that all device names of a trace may take, in bytes.
const BYTES_MAX: u32 = 64 << 20;

/// The memory of a name beside its text: the set's entry, the counts, the table of devices.
const OVERHEAD: u64 = 64;

/// Adds a name to the memory that names take; an error if that is too much.
pub(super) fn charge(bytes: &mut u64, name: &str) -> Result<(), Error> {
    *bytes += name.len() as u64 + OVERHEAD;
    if *bytes > BYTES_MAX.into() {
        let what = "bytes of device names";
        let most = BYTES_MAX;
        return Err(Kind::TooMany { what, most }.into());
    }
    Ok(())
}

/// The device names that were seen so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Looked up by name and never iterated over, as its order is not the trace's.
    seen: FxHashSet<Arc<str>>,
    bytes: u64,
}

impl Names {
    /// The name as it is kept; it is copied where it is seen first. An error if the names take
    /// too much memory.
    pub(super) fn intern(&mut self, name: &str) -> Result<Arc<str>, Error> {
        if let Some(name) = self.seen.get(name) {
            return Ok(Arc::clone(name));
        }
        charge(&mut self.bytes, name)?;
        let name: Arc<str> = Arc::from(name);
        self.seen.insert(Arc::clone(&name));
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let mut names = Names::default();
        let [first, again, other] =
            ["eth1", "eth1", "eth2"].map(|name| names.intern(name).expect("few names"));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((&*first, &*other), ("eth1", "eth2"));
    }

    #[test]
    fn names_without_end_are_refused() {
        let mut names = Names::default();
        let long = "x".repeat(20 << 20);
        let name = |number: u32| format!("{number}{long}");
        for number in [1, 2, 3, 3, 2, 1] {
            assert!(names.intern(&name(number)).is_ok());
        }
        let error = names.intern(&name(4)).expect_err("80 MiB of names");
        let expected = "more than 67108864 bytes of device names, expected fewer";
        assert_eq!(error.to_string(), expected);
        assert!(names.intern(&name(1)).is_ok());
    }
}
