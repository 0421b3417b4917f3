//! The figures of a trace as a page of text.

use std::fmt;

use super::{NeverFreed, Stats};
use iova::kernel::FlushQueue;
use iova::units::{Nanos, Pages};

/// How many rows of limits, CPUs, domains and never freed ranges are shown; the rest in one.
const ROWS_MAX: usize = 10;

/// The width of the longest bar.
const BAR: u64 = 30;

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        self.sizes(f)?;
        self.limits(f)?;
        self.lifetimes(f)?;
        self.traffic(f)?;
        self.load_over_time(f)?;
        self.leaks(f)
    }
}

impl Stats {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        for (what, text) in [
            ("trace", &header.name),
            ("kernel", &header.kernel),
            ("source", &header.source),
        ] {
            if let Some(text) = text {
                writeln!(f, "{what}: {text}")?;
            }
        }
        let queue = match header.flush_queue {
            FlushQueue::None => "no flush queue",
            FlushQueue::PerCpu => "a flush queue per CPU",
            FlushQueue::Single => "a single flush queue",
        };
        writeln!(
            f,
            "{} events in {}; {} CPUs, {} domains with requests, granule {}, start_pfn {}, {queue}",
            self.events,
            Span(self.ended),
            header.cpus,
            self.domains.len(),
            header.granule.bytes(),
            header.start_pfn,
        )?;
        for (at, (op, count)) in self.ops.iter().enumerate() {
            write!(f, "{}{op} {count}", if at == 0 { "  " } else { ", " })?;
        }
        if !self.ops.is_empty() {
            writeln!(f)?;
        }
        let requests = self.requests;
        let total = requests.total();
        writeln!(
            f,
            "{total} requests: {} fast, {} direct, {} map",
            requests.fast, requests.direct, requests.map
        )?;
        if requests.answered == 0 {
            writeln!(f, "  answers are not on record: all count as granted")
        } else {
            writeln!(
                f,
                "  {} answers on record, {} of them failures ({})",
                requests.answered,
                requests.failed,
                Share(requests.failed, requests.answered)
            )
        }
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:>20} {:>12} {:>8} {:>16}",
            "pages a request", "requests", "", "pages"
        )?;
        let total = self.requests.total();
        for (&order, asked) in &self.sizes {
            let sizes = match order {
                0 => "1".to_owned(),
                1 => "2".to_owned(),
                64 => format!("over {}", 1_u64 << 63),
                _ => format!("{} - {}", (1_u64 << (order - 1)) + 1, 1_u64 << order),
            };
            let share = Share(asked.requests, total).to_string();
            writeln!(
                f,
                "{sizes:>20} {:>12} {share:>8} {:>16}",
                asked.requests, asked.pages
            )?;
        }
        Ok(())
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:>20} {:>12}", "highest pfn allowed", "requests")?;
        let mut limits: Vec<_> = self.limits.iter().collect();
        limits.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (limit, count) in limits.iter().take(ROWS_MAX) {
            writeln!(f, "{:>20} {count:>12}", limit.to_string())?;
        }
        let rest: u64 = limits.iter().skip(ROWS_MAX).map(|(_, count)| **count).sum();
        if rest > 0 {
            let others = format!("{} others", limits.len() - ROWS_MAX);
            writeln!(f, "{others:>20} {rest:>12}")?;
        }
        Ok(())
    }

    fn lifetimes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:>20} {:>12}", "lived for", "ranges")?;
        let most = self.lifetimes.values().copied().max().unwrap_or(0);
        for (&decade, &count) in &self.lifetimes {
            let lived = if decade == 0 {
                "no time".to_owned()
            } else {
                let [from, to] =
                    [decade - 1, decade].map(|digits| 10_u64.saturating_pow(digits));
                format!("{} - {}", Span(Nanos(from)), Span(Nanos(to)))
            };
            writeln!(f, "{lived:>20} {count:>12}{}", Bar(count, most))?;
        }
        writeln!(f, "{:>20} {:>12}", "never freed", self.load.ranges)
    }

    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = self
            .cpus
            .iter()
            .map(|(cpu, traffic)| (u64::from(cpu.0), *traffic));
        let domains = self
            .domains
            .iter()
            .map(|(domain, traffic)| (*domain, *traffic));
        for (what, rows) in [
            ("CPU", cpus.collect::<Vec<_>>()),
            ("domain", domains.collect::<Vec<_>>()),
        ] {
            writeln!(f, "\n{what:>20} {:>12} {:>12}", "requests", "frees")?;
            for (number, traffic) in rows.iter().take(ROWS_MAX) {
                writeln!(
                    f,
                    "{number:>20} {:>12} {:>12}",
                    traffic.requests, traffic.frees
                )?;
            }
            let rest = rows.iter().skip(ROWS_MAX);
            let (requests, frees) = rest.fold((0, 0), |(requests, frees), (_, traffic)| {
                (requests + traffic.requests, frees + traffic.frees)
            });
            if rows.len() > ROWS_MAX {
                let others = format!("{} others", rows.len() - ROWS_MAX);
                writeln!(f, "{others:>20} {requests:>12} {frees:>12}")?;
            }
        }
        let frees = self.cpus.values().map(|traffic| traffic.frees).sum();
        let share = Share(self.frees_elsewhere, frees);
        writeln!(f, "{share} of the frees on another CPU than the request")
    }

    fn load_over_time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nlive: at most {} ranges, at most {} pages; by slices of {}, at the end of each",
            self.load_max.ranges,
            self.load_max.pages,
            Span(self.timeline.length())
        )?;
        writeln!(
            f,
            "{:>20} {:>12} {:>12} {:>12}",
            "from", "ranges", "pages", "at most"
        )?;
        for (number, slice) in (0..).zip(self.timeline.slices()) {
            let from = Span(Nanos(self.timeline.length().0.saturating_mul(number)));
            writeln!(
                f,
                "{:>20} {:>12} {:>12} {:>12}{}",
                from.to_string(),
                slice.end.ranges,
                slice.end.pages,
                slice.max.pages,
                Bar(slice.max.pages, self.load_max.pages)
            )?;
        }
        Ok(())
    }

    fn leaks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.never_freed();
        if groups.is_empty() {
            return writeln!(f, "\nall is freed");
        }
        writeln!(
            f,
            "\nnever freed, most pages first\n{:>20} {:>12} {:>12} {:>12} {:>12}  device",
            "domain", "pages each", "ranges", "pages", "oldest from"
        )?;
        for group in groups.iter().take(ROWS_MAX) {
            let NeverFreed {
                dom,
                dev,
                size: Pages(size),
                ranges,
                oldest,
            } = group;
            writeln!(
                f,
                "{dom:>20} {size:>12} {ranges:>12} {:>12} {:>12}  {}",
                group.pages(),
                Span(*oldest).to_string(),
                dev.as_deref().unwrap_or("-")
            )?;
        }
        if groups.len() > ROWS_MAX {
            let rest = &groups[ROWS_MAX..];
            let ranges: u64 = rest.iter().map(|group| group.ranges).sum();
            let pages: u128 = rest.iter().map(NeverFreed::pages).sum();
            let others = format!("{} others", rest.len());
            writeln!(f, "{others:>20} {:>12} {ranges:>12} {pages:>12}", "")?;
        }
        Ok(())
    }
}

/// A part of a whole in percent, with one digit after the point; `-` of nothing.
struct Share(u64, u64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share(part, whole) = *self;
        if whole == 0 {
            return f.write_str("-");
        }
        let permille = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
        write!(f, "{}.{} %", permille / 10, permille % 10)
    }
}

/// A space and a bar as long as a part of the most; at least one mark if there is anything, nothing
/// if not.
struct Bar(u64, u64);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bar(part, most) = *self;
        let length = u128::from(part) * u128::from(BAR) / u128::from(most.max(1));
        let length = length.max(u128::from(part > 0));
        if length > 0 {
            f.write_str(" ")?;
        }
        (0..length).try_for_each(|_| f.write_str("#"))
    }
}

/// A length of time in the unit that fits it.
struct Span(Nanos);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.0;
        let (unit, name) = match nanos {
            0..1000 => return write!(f, "{nanos} ns"),
            1000..1_000_000 => (1000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let thousandths = u128::from(nanos) * 1000 / unit;
        let (whole, rest) = (thousandths / 1000, thousandths % 1000);
        if rest == 0 {
            write!(f, "{whole} {name}")
        } else {
            let text = format!("{whole}.{rest:03}");
            write!(f, "{} {name}", text.trim_end_matches('0'))
        }
    }
}
