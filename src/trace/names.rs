//! Device names, each kept once.

use std::sync::Arc;

use rustc_hash::FxHashSet;

/// The device names that were seen so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Looked up by name and never iterated over, as its order is not the trace's.
    seen: FxHashSet<Arc<str>>,
}

impl Names {
    /// The name as it is kept; it is copied where it is seen first.
    pub(super) fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(name) = self.seen.get(name) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(name);
        self.seen.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let mut names = Names::default();
        let [first, again, other] = ["eth1", "eth1", "eth2"].map(|name| names.intern(name));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((&*first, &*other), ("eth1", "eth2"));
    }
}
