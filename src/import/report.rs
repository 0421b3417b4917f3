//! The report of an import, which accounts for each line of a recording.

use std::collections::BTreeMap;
use std::fmt;

use super::options::{Form, RecordSource};
use iova::units::PfnRange;

/// The number of inferred ranges that are listed.
const RANGES_SHOWN: usize = 6;

/// The number of skipped lines whose places are listed.
const BAD_LINES_SHOWN: usize = 8;

/// Counts that account for every line; nothing is left out without being counted here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The form that was read.
    pub form: Option<Form>,
    /// The kind of records that was used.
    pub record_source: Option<RecordSource>,
    /// Lines read, comments included; of a trace.dat, what a text would have lines for.
    pub lines: u64,
    /// Records by name, the unused ones included.
    pub records: BTreeMap<String, u64>,
    pub events: u64,
    pub allocs: u64,
    /// Allocations that the recorded kernel refused.
    pub failed: u64,
    /// Calls that the allocator made of itself; no events.
    pub nested: u64,
    /// Entries whose return was not recorded; no events.
    pub entries_unmatched: u64,
    /// Calls that had not returned when the recording ended; no events.
    pub open_at_end: u64,
    /// Returns whose entry was not recorded; no events.
    pub returns_unmatched: u64,
    /// Calls that returned on another CPU than they began on.
    pub migrated: u64,
    /// Frees of ranges that were not allocated on record, and were left out.
    pub frees_unknown: u64,
    /// Ranges that were live or cached before the recording, allocated first; not among `allocs`.
    pub live_before: u64,
    /// Those of them that were cached, and are freed at once.
    pub cached_before: u64,
    /// Ranges handed out while a range on record there was live: its free was not recorded, and is
    /// put before the allocation.
    pub frees_missed: u64,
    /// Frees that were not recorded, and are put where an `iommu` event shows the unmapping.
    pub frees_unmapped: u64,
    /// Unmappings whose free was not recorded, in a domain that cannot be told.
    pub unmaps_unowned: u64,
    /// Unmappings printed after their place was handed out again, and put before that.
    pub frees_late: u64,
    /// Frees of another size than was allocated, by order of size.
    pub frees_resized: u64,
    /// Ranges live at the end.
    pub live: u64,
    /// States of a domain restored.
    pub restores: u64,
    /// Further `map`s of an allocation that has one already; no events.
    pub parts: u64,
    /// `map`s of what is mapped already: there is more than one domain.
    pub mapped_twice: u64,
    /// Scatter lists that were refused, the recording does not say how large they were; no events.
    pub refused_lists: u64,
    /// Allocations whose place the recording does not tell, so that their frees cannot be matched.
    pub unplaced: u64,
    /// Calls in domains that were not asked for.
    pub other_domains: u64,
    /// Lines earlier than a line before them, on another CPU.
    pub times_back: u64,
    /// The longest way back among them, in nanoseconds.
    pub time_back_max_ns: u64,
    /// Events that the tracer lost, as far as it knows.
    pub lost: u64,
    /// Lines that say that events were lost, without a number.
    pub lost_uncounted: u64,
    /// What was taken to be so, since the recording does not say; and what was noticed.
    pub notes: Vec<String>,
    /// Lines that cannot be read, and were skipped.
    pub bad_lines: u64,
    /// The numbers of the first of them.
    pub bad_lines_first: Vec<u64>,
    /// The domains, in the order of their numbers.
    pub domains: Vec<DomainReport>,
}

/// One domain's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainReport {
    /// Its number in the recording, in the order of appearance.
    pub ordinal: u64,
    /// Its number in the trace; none where it was not asked for.
    pub number: Option<u64>,
    /// What the recording calls it: the pointer, the device or the group.
    pub name: String,
    /// Whether its whole allocation is on record: it was made there, and not used unseen after that.
    pub from_start: bool,
    pub allocs: u64,
    pub failed: u64,
    pub frees: u64,
}

impl Report {
    pub(crate) fn record(&mut self, name: &str) {
        if let Some(count) = self.records.get_mut(name) {
            *count += 1;
        } else {
            self.records.insert(name.to_owned(), 1);
        }
    }

    /// Notes the ranges that were occupied throughout, by the domains' ordinals.
    pub(crate) fn infer(&mut self, occupied: &BTreeMap<u64, Vec<PfnRange>>, applied: bool) {
        let mut ranges: Vec<PfnRange> = occupied.values().flatten().copied().collect();
        if ranges.is_empty() {
            return;
        }
        let domains = match occupied.len() {
            1 => "1 domain".to_owned(),
            count => format!("{count} domains"),
        };
        if applied {
            let count = ranges.len();
            self.note(format!("reserved {count} inferred ranges in {domains}"));
            return;
        }
        ranges.sort_unstable_by_key(|range| (range.lo().0.wrapping_sub(range.hi().0), *range));
        ranges.dedup();
        let shown = ranges.iter().take(RANGES_SHOWN);
        let shown = shown.map(|range| format!("--reserved {range}"));
        let shown = shown.collect::<Vec<_>>().join(" ");
        let more = ranges.len().saturating_sub(RANGES_SHOWN);
        let more = if more > 0 {
            format!(" and {more} smaller ranges")
        } else {
            String::new()
        };
        self.note(format!(
            "searches pass over ranges that are never used, in {domains}: reserved before \
             the recording? Import again with --infer-reserved, or with {shown}{more}"
        ));
    }

    /// Counts a line that cannot be read.
    pub(crate) fn bad_line(&mut self, number: u64) {
        self.bad_lines += 1;
        if self.bad_lines_first.len() < BAD_LINES_SHOWN {
            self.bad_lines_first.push(number);
        }
    }

    /// The places of the lines that cannot be read.
    fn bad_places(&self) -> String {
        let numbers = self.bad_lines_first.iter().map(u64::to_string);
        let shown = numbers.collect::<Vec<_>>().join(", ");
        let more = self.bad_lines > self.bad_lines_first.len() as u64;
        format!("{shown}{}", if more { ", ..." } else { "" })
    }

    /// Adds a note, once.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records: u64 = self.records.values().sum();
        match self.form {
            Some(form @ Form::TraceDat) => write!(f, "{records} records of {form}")?,
            Some(form) => write!(f, "{} lines of {form}, {records} records", self.lines)?,
            None => write!(f, "{} lines, {records} records", self.lines)?,
        }
        if let Some(record_source) = self.record_source {
            write!(f, ", using {record_source}")?;
        }
        writeln!(
            f,
            ": {} events; {} allocations, {} failed",
            self.events, self.allocs, self.failed
        )?;
        write!(f, "records:")?;
        for (at, (name, count)) in self.records.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma} {name} {count}")?;
        }
        writeln!(f)?;
        for (count, what) in self.remarks() {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for domain in self.domains.iter().filter(|domain| domain.allocs > 0) {
            writeln!(f, "{domain}")?;
        }
        Ok(())
    }
}

impl Report {
    fn remarks(&self) -> [(u64, String); 21] {
        let text = |text: &str| text.to_owned();
        [
            (
                self.nested,
                text("calls made by the allocator itself (not imported)"),
            ),
            (
                self.entries_unmatched,
                text("calls without a recorded return (not imported)"),
            ),
            (
                self.open_at_end,
                text("calls still open at the end (not imported)"),
            ),
            (
                self.returns_unmatched,
                text("returns without a recorded entry (not imported)"),
            ),
            (self.migrated, text("calls that returned on another CPU")),
            (
                self.frees_unknown,
                text("frees without a recorded allocation (not imported)"),
            ),
            (
                self.live_before,
                format!(
                    "ranges live or cached before the recording, allocated first with inferred limits; \
                     {} of them freed into the rcaches",
                    self.cached_before
                ),
            ),
            (
                self.frees_missed,
                text("inferred frees (placed before the next allocation at that address)"),
            ),
            (
                self.frees_unmapped,
                text("inferred frees (placed where `iommu` events show the unmapping)"),
            ),
            (
                self.unmaps_unowned,
                text(
                    "`iommu` unmappings without a recorded free, in an unknown domain (not \
                     imported)",
                ),
            ),
            (
                self.frees_late,
                text(
                    "unmappings recorded after their range was reallocated (placed before that)",
                ),
            ),
            (
                self.frees_resized,
                text("frees of a different size than the allocation"),
            ),
            (
                self.unplaced,
                text("allocations without a recorded address; their frees cannot be matched"),
            ),
            (
                self.other_domains,
                text("calls in other domains (not imported)"),
            ),
            (
                self.times_back,
                format!(
                    "lines earlier than the line before, on another CPU, by up to {} ns; the lines \
                     keep their order",
                    self.time_back_max_ns
                ),
            ),
            (
                self.parts,
                text("additional maps of the same allocation (not imported)"),
            ),
            (
                self.mapped_twice,
                text(
                    "maps of addresses that are already mapped: there is more than one domain",
                ),
            ),
            (
                self.refused_lists,
                text("failed scatter lists of unknown size (not imported)"),
            ),
            (
                self.bad_lines,
                format!("lines that cannot be read (skipped): {}", self.bad_places()),
            ),
            (self.lost, text("events lost by the tracer")),
            (
                self.lost_uncounted,
                text("places where the tracer lost an unknown number of events"),
            ),
        ]
    }
}

impl fmt::Display for DomainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "domain {number}")?,
            None => write!(f, "not imported: domain {}", self.ordinal)?,
        }
        let began = if self.from_start {
            "recorded from its creation"
        } else {
            "in use before the recording"
        };
        write!(
            f,
            " ({}): {} allocations, {} failed, {} frees; {began}",
            self.name, self.allocs, self.failed, self.frees
        )
    }
}
