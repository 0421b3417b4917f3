//! Frees that the probes missed, inferred from `iommu:unmap` events.
//!
//! Each test is a scenario after [`Lines::strict`], which shows the recording to be without a flush
//! queue: then an unmap that no free follows is a missed free. Which domain it was in follows from
//! the allocations at that address, before and after.

use iovasim::import::{DomainChoice, Options};

use super::{Imported, ftrace, plain, read, told};

/// A recording's lines: `pid cpu event: arguments`.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Strict: a range that is mapped, unmapped and freed, many times over.
    fn strict() -> Lines {
        let mut lines = Lines::default();
        for _ in 0..20 {
            lines.alloc("5 0", "0xd", 0x900, 1);
            lines.unmap("5 0", 0x900, 1);
            lines.free("5 0", "0xd", 0x900, 1);
        }
        lines
    }

    fn alloc(&mut self, who: &str, domain: &str, pfn: u64, pages: u64) {
        self.push(&format!(
            "{who} alloc_iova_fast: iovad={domain} size={pages} limit=0xfffff flush=0"
        ));
        self.push(&format!("{who} alloc_iova_fast_ret: pfn={pfn:#x}"));
        let (start, bytes) = (pfn << 12, pages << 12);
        self.push(&format!(
            "{who} map: IOMMU: iova={start:#018x} - {:#018x} paddr=0x1000 size={bytes}",
            start + bytes
        ));
    }

    fn unmap(&mut self, who: &str, pfn: u64, pages: u64) {
        let (start, bytes) = (pfn << 12, pages << 12);
        self.push(&format!(
            "{who} unmap: IOMMU: iova={start:#018x} - {:#018x} size={bytes} unmapped_size={bytes}",
            start + bytes
        ));
    }

    fn free(&mut self, who: &str, domain: &str, pfn: u64, pages: u64) {
        self.push(&format!(
            "{who} free_iova_fast: iovad={domain} pfn={pfn:#x} size={pages}"
        ));
    }

    fn push(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }

    fn text(&self) -> String {
        let lines: Vec<&str> = self.0.iter().map(String::as_str).collect();
        ftrace(&lines)
    }

    fn imported(&self) -> Imported {
        plain(self.text())
    }
}

/// What happened after [`Lines::strict`]: by CPU and domain, `got PFN` and `free ID`.
fn after(imported: &Imported) -> Vec<String> {
    let short = |event: String| {
        let (head, rest) = event.split_once(" dom ").unwrap_or_default();
        let domain = rest.split(' ').next().unwrap_or_default();
        match event.split_once(" -> ") {
            Some((_, pfn)) => format!("{head} dom {domain} got {pfn}"),
            None => event.clone(),
        }
    };
    told(imported).into_iter().skip(40).map(short).collect()
}

#[test]
fn a_missed_free_is_put_where_its_range_was_unmapped() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xa", 0x21, 1);
    lines.unmap("8 1", 0x20, 1);
    lines.unmap("8 1", 0x21, 1);
    lines.free("8 1", "0xa", 0x21, 1);
    lines.alloc("7 0", "0xa", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(
        after(&imported),
        [
            "cpu 0 dom 1 got 0x20",
            "cpu 0 dom 1 got 0x21",
            "cpu 1 dom 1 free 20",
            "cpu 1 dom 1 free 21",
            "cpu 0 dom 1 got 0x20",
        ]
    );
    let unmapped = lines
        .0
        .iter()
        .position(|line| line.starts_with("8 1 unmap"));
    let freed = imported.events[42].at.0;
    assert_eq!(Some(freed), unmapped.map(|at| at as u64 * 1000));
    let report = &imported.report;
    assert_eq!((report.frees_unmapped, report.frees_missed), (1, 0));
    assert_eq!(report.unmaps_unowned, 0);
    let text = report.to_string();
    assert!(
        text.contains("1 inferred frees (placed where `iommu`"),
        "{text}"
    );
    assert!(
        text.contains("and used for frees that the probes missed"),
        "{text}"
    );
}

#[test]
fn a_missed_free_shows_though_its_place_is_not_handed_out_again() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 3);
    lines.unmap("7 0", 0x20, 3);
    let imported = lines.imported();
    assert_eq!(after(&imported)[1..], ["cpu 0 dom 1 free 20"]);
    assert_eq!(imported.report.live, 0);
}

#[test]
fn the_dma_layer_may_ask_for_a_power_of_two() {
    let mut lines = Lines::strict();
    lines.push("7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0");
    lines.push("7 0 alloc_iova_fast_ret: pfn=0x20");
    lines.unmap("7 0", 0x20, 3);
    assert_eq!(after(&lines.imported())[1..], ["cpu 0 dom 1 free 20"]);
}

#[test]
fn an_interrupt_between_an_unmap_and_its_free_is_not_a_miss() {
    let mut lines = Lines::strict();
    for pfn in 0x20..0x23 {
        lines.alloc("7 0", "0xa", pfn, 1);
    }
    lines.unmap("7 0", 0x20, 1);
    // The interrupt: one free on record, one missed.
    lines.unmap("7 0", 0x21, 1);
    lines.free("7 0", "0xa", 0x21, 1);
    lines.unmap("7 0", 0x22, 1);
    lines.free("7 0", "0xa", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(
        after(&imported)[3..],
        [
            "cpu 0 dom 1 free 21",
            "cpu 0 dom 1 free 22",
            "cpu 0 dom 1 free 20",
        ]
    );
    assert_eq!(imported.report.frees_unmapped, 1);
}

#[test]
fn a_call_may_be_interrupted_by_the_free_of_what_it_gets() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xa", 0x21, 1);
    lines.push("7 0 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0");
    lines.unmap("7 0", 0x21, 1);
    lines.free("7 0", "0xa", 0x21, 1);
    lines.unmap("7 0", 0x20, 1);
    lines.push("7 0 alloc_iova_fast_ret: pfn=0x20");
    lines.unmap("7 0", 0x20, 1);
    lines.free("7 0", "0xa", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(
        after(&imported)[2..],
        [
            "cpu 0 dom 1 free 21",
            "cpu 0 dom 1 free 20",
            "cpu 0 dom 1 got 0x20",
            "cpu 0 dom 1 free 22",
        ]
    );
    assert_eq!(imported.report.frees_unmapped, 1);
    assert_eq!(imported.report.frees_missed, 0);
}

#[test]
fn a_range_that_is_freed_on_record_later_was_not_unmapped() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    lines.free("7 0", "0xa", 0x20, 1);
    assert_eq!(
        after(&lines.imported())[2..],
        ["cpu 0 dom 2 free 21", "cpu 0 dom 1 free 20"]
    );
}

#[test]
fn a_range_of_another_size_was_not_unmapped() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 2);
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    assert_eq!(after(&lines.imported())[2..], ["cpu 0 dom 2 free 21"]);
}

#[test]
fn a_range_whose_place_is_handed_out_again_was_unmapped() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 1", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    assert_eq!(
        after(&lines.imported())[2..],
        ["cpu 1 dom 2 free 21", "cpu 0 dom 2 got 0x20"]
    );
}

#[test]
fn what_one_unmap_ended_is_left_out_for_the_others() {
    // The first can be of domain 1 alone; so the second, of domain 2.
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 1", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(
        after(&imported)[1..],
        [
            "cpu 0 dom 1 free 20",
            "cpu 0 dom 2 got 0x20",
            "cpu 1 dom 2 free 21",
        ]
    );
}

#[test]
fn an_unmap_that_may_be_of_two_domains_is_left_out() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(after(&imported).len(), 2);
    assert_eq!(imported.report.live, 2);
    assert_eq!(imported.report.frees_unmapped, 0);
    assert_eq!(imported.report.unmaps_unowned, 1);
    let text = imported.report.to_string();
    assert!(
        text.contains("1 `iommu` unmappings without a recorded free"),
        "{text}"
    );

    // Both places are handed out again after two such unmaps: either can be of either.
    lines.unmap("7 0", 0x20, 1);
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(imported.report.unmaps_unowned, 2);
    assert_eq!(imported.report.frees_missed, 2);
}

#[test]
fn a_range_of_a_domain_that_is_gone_was_not_unmapped() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.push("7 0 put_iova_domain: iovad=0xa");
    lines.alloc("7 0", "0xb", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(after(&imported)[2..], ["cpu 0 dom 2 free 21"]);
}

#[test]
fn a_chosen_domain_has_its_missed_frees_alone() {
    let mut lines = Lines::strict();
    lines.alloc("7 0", "0xa", 0x20, 1);
    lines.unmap("7 0", 0x20, 1);
    lines.alloc("7 0", "0xb", 0x30, 1);
    lines.unmap("7 0", 0x30, 1);
    let options = Options {
        domain: Some(DomainChoice::Ordinal(2)),
        ..Options::default()
    };
    let imported = read(lines.text(), &options).expect("a recording");
    let got = told(&imported);
    assert!(got[0].ends_with("-> 0x30"), "{got:?}");
    assert_eq!(got[1..], ["cpu 0 dom 0 free 0"]);
}

#[test]
fn with_a_flush_queue_an_unmap_is_no_free() {
    // Frees come in the order of the unmaps, after more of them; the last have not come yet.
    let mut lines = Lines::default();
    for round in 0..20 {
        for pfn in 0x20..0x24 {
            lines.alloc("7 0", "0xa", pfn + 4 * round, 1);
            lines.unmap("7 0", pfn + 4 * round, 1);
        }
        for pfn in (0x20..0x24).filter(|_| round < 19) {
            lines.free("7 0", "0xa", pfn + 4 * round, 1);
        }
    }
    let imported = lines.imported();
    assert_eq!(imported.report.live, 4);
    assert_eq!(imported.report.frees_unmapped, 0);
    assert!(imported.report.to_string().contains("too, and not used"));
}

#[test]
fn a_free_that_waits_for_a_timer_is_from_a_flush_queue() {
    let mut text = String::new();
    for second in 1..=20 {
        let mut lines = Lines::default();
        lines.alloc("7 0", "0xa", 0x20, 1);
        lines.unmap("7 0", 0x20, 1);
        text += &lines.text().replace(" 1.00", &format!(" {second}.00"));
        let mut lines = Lines::default();
        lines.free("0 0", "0xa", 0x20, 1);
        text += &lines.text().replace(" 1.00", &format!(" {second}.02"));
    }
    let mut last = Lines::default();
    last.alloc("7 0", "0xa", 0x20, 1);
    last.unmap("7 0", 0x20, 1);
    text += &last.text().replace(" 1.0", " 30.0");
    // The same in one context, in which the timer may run too.
    for text in [text.replace("task-0", "task-7"), text] {
        let imported = plain(text);
        assert_eq!(imported.report.live, 1);
        assert_eq!(imported.report.frees_unmapped, 0);
    }
}

#[test]
fn many_unmaps_without_frees_are_not_held() {
    let mut lines = Lines::default();
    lines.alloc("7 0", "0xa", 0x20, 1);
    for pfn in 0..2000 {
        lines.unmap("7 0", 0x1000 + pfn, 1);
    }
    for _ in 0..40_000 {
        lines.unmap("7 0", 0x30, 1);
        lines.free("7 0", "0xa", 0x30, 1);
    }
    lines.unmap("7 0", 0x20, 1);
    let imported = lines.imported();
    assert_eq!(imported.report.frees_unmapped, 0);
    assert_eq!(imported.report.live, 1);
}
