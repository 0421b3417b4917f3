//! Progress on a terminal: how many events, how fast, and how much of the file is read.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use iovasim::report::number::grouped;

/// How many events pass between two looks at the clock.
const LOOK_EVERY: u64 = 1 << 12;

/// How often the line is written anew, which is also when it is first shown.
const PERIOD: Duration = Duration::from_millis(200);

/// A line of progress on standard error, which is wiped out at the end.
pub(crate) struct Progress {
    shown: Option<Shown>,
}

struct Shown {
    began: Instant,
    written: Instant,
    events: u64,
    read: Arc<AtomicU64>,
    size: Option<u64>,
    dirty: bool,
}

impl Progress {
    /// Progress through an input of that size; nothing is ever shown unless `show`.
    #[expect(clippy::disallowed_methods, reason = "progress is shown by the clock")]
    pub(crate) fn new(show: bool, size: Option<u64>) -> Progress {
        let now = show.then(Instant::now);
        Progress {
            shown: now.map(|now| Shown {
                began: now,
                written: now,
                events: 0,
                read: Arc::default(),
                size,
                dirty: false,
            }),
        }
    }

    /// The same bytes, counted as they are read.
    pub(crate) fn count(&self, bytes: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match &self.shown {
            None => bytes,
            Some(shown) => Box::new(Counted {
                bytes,
                read: Arc::clone(&shown.read),
            }),
        }
    }

    pub(crate) fn event(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.events += 1;
            if shown.events.is_multiple_of(LOOK_EVERY) {
                shown.look();
            }
        }
    }
}

impl Shown {
    #[expect(clippy::disallowed_methods, reason = "progress is shown by the clock")]
    fn look(&mut self) {
        let now = Instant::now();
        if now - self.written < PERIOD {
            return;
        }
        self.written = now;
        self.dirty = true;
        let millis = (now - self.began).as_millis().max(1);
        let rate = u128::from(self.events) * 1000 / millis;
        let read = self.read.load(Ordering::Relaxed);
        let size = self.size.filter(|&size| size > 0);
        let share = size.map(|size| u128::from(read) * 100 / u128::from(size));
        let share = share.map_or(String::new(), |percent| format!(", {percent} %"));
        let (events, rate) = (grouped(self.events), grouped(rate));
        let _ = write!(
            io::stderr().lock(),
            "\r\x1b[K{events} events, {rate}/s{share}"
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.as_ref().is_some_and(|shown| shown.dirty) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Shows how many runs of a study are done, until all are.
pub(crate) fn runs(done: usize, all: usize) {
    let line = if done < all {
        format!("{done} of {all} runs")
    } else {
        String::new()
    };
    let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
}

/// Wipes the line out, so that something else can be printed.
pub(crate) fn wipe() {
    let _ = write!(io::stderr().lock(), "\r\x1b[K");
}

struct Counted {
    bytes: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
