//! The kernel log in which a driver lists a domain's ranges after a failure.
//!
//! ```text
//! [  812.482014] iova dump: 12 ffffff80d2a4c5c0 0xfd100000 0x100000 0xfd1fffff
//! ```
//!
//! Such lists are written by vendors' own code, so only their order is relied upon: an index that
//! counts up, the range's record (or not), then its first address, its size and its end, in bytes.
//! Words before, brackets, commas and the names of the fields may be anything. What makes a line
//! one of a list is that the end, inclusive or not, or as the address of the last page, agrees with
//! start and size.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::import::error::Problem;
use crate::import::number::nanoseconds;
use crate::import::options::Options;
use crate::import::report::{DomainReport, Report};
use crate::trace::event::{Event, Op};
use iova::kernel::Snapshot;
use iova::units::{Cpu, Granule, Nanos, Pages, Pfn, PfnRange};

/// One line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    index: u64,
    start: u64,
    size: u64,
}

/// What a line that could be of a list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Listed(Listed),
    /// An index and three numbers that do not fit together.
    Contradicts {
        index: u64,
    },
}

/// The range that a line lists, if it is such a line.
pub(crate) fn range(text: &str) -> Option<Listed> {
    match row(text)? {
        Row::Listed(listed) => Some(listed),
        Row::Contradicts { .. } => None,
    }
}

fn row(text: &str) -> Option<Row> {
    const FIELDS: [&str; 11] = [
        "pfn_lo",
        "pfn_hi",
        "lo",
        "hi",
        "size",
        "start",
        "end",
        "index",
        "idx",
        "iova",
        // A pointer before the kernel has the entropy to print it.
        "____ptrval____",
    ];
    let separator = |c: char| c.is_whitespace() || ",;:|=[](){}<>~-".contains(c);
    let words = text.split(separator).filter(|word| !word.is_empty());
    let mut numbers: Vec<&str> = words
        .rev()
        .filter(|word| !FIELDS.contains(word))
        .take_while(|word| is_number(word))
        .take(5)
        .collect();
    numbers.reverse();
    let [before @ .., start, size, end] = &numbers[..] else {
        return None;
    };
    let index = match before {
        [.., index, record] if record.len() >= 8 => index,
        [.., index] => index,
        [] => return None,
    };
    let plain = index.len() <= 6 && index.bytes().all(|b| b.is_ascii_digit());
    let index = plain.then(|| index.parse().ok())??;
    Some(match start_and_size(start, size, end) {
        Some((start, size)) => Row::Listed(Listed { index, start, size }),
        None => Row::Contradicts { index },
    })
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        || word.bytes().all(|b| b.is_ascii_digit())
}

/// The start and the size whose sum is the end, whatever base they are printed in.
fn start_and_size(start: &str, size: &str, end: &str) -> Option<(u64, u64)> {
    let read = |text: &str, base| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => u64::from_str_radix(text, base).ok(),
    };
    let bases = [(16, 16), (16, 10), (10, 10)];
    bases.into_iter().find_map(|(addresses, sizes)| {
        let (start_at, size) = (read(start, addresses)?, read(size, sizes)?);
        let end_at = read(end, addresses)?;
        let length = end_at.checked_sub(start_at)?;
        let inclusive = length.checked_add(1) == Some(size);
        // The last page's own address: a multiple of the page, less than a page short.
        let last_page = size
            .checked_sub(length)
            .is_some_and(|page| page.is_power_of_two() && page <= 65536 && length % page == 0);
        (size > 0 && (inclusive || length == size || last_page)).then_some((start_at, size))
    })
}

/// Nanoseconds of the `[seconds.micros]` that begins a line of the log.
fn printed_at(text: &str) -> Option<u64> {
    let open = text.find('[')?;
    let stamp = text[open + 1..].split(']').next()?.trim();
    nanoseconds(stamp)
}

/// Makes a `restore` of each list.
#[derive(Debug)]
pub(crate) struct Importer {
    granule: Granule,
    max32: Pages,
    cached32: Option<Pfn>,
    cached: Option<Pfn>,
    allow_lost: bool,
    began_at: Option<u64>,
    start: Option<u64>,
    now: u64,
    last_index: u64,
    ranges: Vec<PfnRange>,
    lists: u64,
}

impl Importer {
    pub(crate) fn new(granule: Granule, options: &Options) -> Importer {
        Importer {
            granule,
            max32: options.max32.unwrap_or(Pages(granule.dma32().0)),
            cached32: options.cached32,
            cached: options.cached,
            allow_lost: options.allow_lost,
            began_at: None,
            start: None,
            now: 0,
            last_index: 0,
            ranges: Vec::new(),
            lists: 0,
        }
    }

    pub(crate) fn take(
        &mut self,
        text: &str,
        events: &mut VecDeque<Event>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        self.now = printed_at(text).unwrap_or(self.now).max(self.now);
        if let Some(lost) = dropped(text) {
            if !self.allow_lost {
                return Err(Problem::Lost {
                    count: lost.to_string(),
                    cpu: "of the log's own lines".to_owned(),
                });
            }
            report.lost += lost;
            return Ok(());
        }
        let listed = match row(text) {
            Some(Row::Listed(listed)) => listed,
            Some(Row::Contradicts { index })
                if !self.ranges.is_empty() && index == self.last_index + 1 =>
            {
                return Err(Problem::Ask(format!(
                    "range {index} of the list: its end does not agree with its start and size"
                )));
            }
            _ => return Ok(()),
        };
        report.record("range");
        if !self.ranges.is_empty() && listed.index != self.last_index + 1 {
            if listed.index > self.last_index + 1 && !self.allow_lost {
                return Err(Problem::Lost {
                    count: (listed.index - self.last_index - 1).to_string(),
                    cpu: format!("of the list before its range {}", listed.index),
                });
            }
            if listed.index > self.last_index {
                report.lost += listed.index - self.last_index - 1;
            } else {
                self.restore(events, report)?;
            }
        }
        self.began_at.get_or_insert(self.now);
        self.last_index = listed.index;
        self.ranges.extend(self.pages(listed)?);
        Ok(())
    }

    /// The pfns of a listed range; none of the anchor.
    fn pages(&self, listed: Listed) -> Result<Option<PfnRange>, Problem> {
        let Listed { index, start, size } = listed;
        let granule = self.granule.bytes();
        let anchor = !(granule - 1);
        if start >= anchor {
            return Ok(None);
        }
        if start % granule != 0 || size % granule != 0 {
            return Err(Problem::Ask(format!(
                "range {index} of the list: {size} bytes at {start:#x} are not whole granules of \
                 {granule} bytes; another --granule?"
            )));
        }
        let lo = start >> self.granule.shift();
        Ok(PfnRange::new(
            Pfn(lo),
            Pfn(lo.saturating_add((size >> self.granule.shift()) - 1)),
        ))
    }

    pub(crate) fn finish(
        &mut self,
        events: &mut VecDeque<Event>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        self.restore(events, report)?;
        if self.lists == 0 {
            return Err(Problem::Empty("a domain's ranges"));
        }
        report.domains = vec![DomainReport {
            number: Some(0),
            name: format!("{} lists of ranges", self.lists),
            ..DomainReport::default()
        }];
        Ok(())
    }

    /// The end of a list.
    fn restore(
        &mut self,
        events: &mut VecDeque<Event>,
        report: &mut Report,
    ) -> Result<(), Problem> {
        if self.ranges.is_empty() {
            return Ok(());
        }
        let mut nodes = std::mem::take(&mut self.ranges);
        nodes.sort_unstable();
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].overlaps(pair[1])) {
            let (one, other) = (pair[0], pair[1]);
            return Err(Problem::Ask(format!(
                "two ranges of one list overlap: pfns {one} and {other}; two lists in one?"
            )));
        }
        for (what, cached) in [("--cached32", self.cached32), ("--cached", self.cached)] {
            if let Some(pfn) = cached
                && !nodes.iter().any(|node| node.lo() == pfn)
            {
                return Err(Problem::Ask(format!(
                    "{what} {pfn}: no range of the list begins there"
                )));
            }
        }
        let began = self.began_at.take().unwrap_or(0);
        let start = *self.start.get_or_insert(began);
        self.lists += 1;
        report.restores += 1;
        report.events += 1;
        events.push_back(Event {
            at: Nanos(began.saturating_sub(start)),
            cpu: Cpu(0),
            dom: 0,
            op: Op::Restore {
                snapshot: Arc::new(Snapshot {
                    nodes,
                    cached32: self.cached32,
                    cached: self.cached,
                    max32: self.max32,
                }),
            },
        });
        Ok(())
    }
}

/// `** 12 printk messages dropped **`.
fn dropped(text: &str) -> Option<u64> {
    let (before, _) = text.split_once(" printk messages dropped")?;
    before.rsplit(' ').next()?.parse().ok()
}
