//! Unfinished files of a run that is interrupted, which are removed before it ends.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Remembers a file that is to be removed if the run is interrupted.
pub(crate) fn began(path: &Path) {
    with_unfinished(|paths| paths.push(path.to_owned()));
}

/// Forgets a file that is finished or gone.
pub(crate) fn ended(path: &Path) {
    with_unfinished(|paths| paths.retain(|it| it != path));
}

fn with_unfinished(act: impl FnOnce(&mut Vec<PathBuf>)) {
    act(&mut UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner));
}

/// From now on a signal that ends the program removes unfinished files first. Where signals
/// cannot be caught, such files stay.
pub(crate) fn remove_unfinished_files() {
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else {
        return;
    };
    thread::spawn(move || {
        for signal in signals.forever() {
            with_unfinished(|paths| {
                for path in paths {
                    let _ = std::fs::remove_file(path);
                }
                let _ = emulate_default_handler(signal);
            });
        }
    });
}
