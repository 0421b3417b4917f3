//! Probes: calls from entries and returns, ids, domains, CPUs.

use iova::units::{Granule, Pfn, PfnRange};
use iovasim::import::{DomainChoice, Options};

use super::{ftrace, plain, read, refused, told};

#[test]
fn a_call_is_its_entry_and_its_return() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: (alloc_iova_fast+0x4/0x2b0) iovad=0xa size=23 limit=0xfffff flush=1",
        "7 0 alloc_iova: (alloc_iova+0x4/0x280) iovad=0xa size=32 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: (alloc_iova_fast+0xf0/0x2b0 <- alloc_iova) iova=0x51 lo=0xfffe0 hi=0xfffff",
        "7 0 alloc_iova_fast_ret: (iommu_dma_alloc_iova+0xd4/0x120 <- alloc_iova_fast) pfn=0xfffe0",
        "7 0 free_iova_fast: (free_iova_fast+0x4/0x140) iovad=0xa pfn=0xfffe0 size=23",
    ]));
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 alloc 0: 23 up to 0xfffff Fast { flush: true } -> 0xfffe0",
            "cpu 0 dom 0 free 0"
        ]
    );
    assert_eq!(imported.events[1].at.0, 4000);
    assert_eq!(imported.report.nested, 1);
    assert_eq!(imported.report.lines, 5);
}

#[test]
fn perf_and_trace_cmd_print_addresses_alone() {
    let calls = [
        "alloc_iova_fast: (ffffffff8933b5b4) iovad=0xff size=1 limit=1048575 flush=0",
        "alloc_iova: (ffffffff8933a9a4) iovad=0xff size=1 limit=1048575 align=1",
        "alloc_iova_ret: (ffffffff8933a9a4 <- ffffffff8933b6a0) iova=0x5 lo=77 hi=77",
        "alloc_iova_fast_ret: (ffffffff8933b5b4 <- ffffffff89337c64) pfn=77",
        "alloc_iova: (ffffffff8933a9a4) iovad=0xff size=9 limit=1048575 align=0",
        "alloc_iova_ret: (ffffffff8933a9a4 <- ffffffff89337c70) iova=0x5 lo=60 hi=68",
    ];
    let perf = calls
        .map(|call| format!(" w:0 12 [001] 20.410924: iova:{call}\n"))
        .concat();
    let report = calls
        .map(|call| format!("w:0-12 [001] 20.410924: {call}\n"))
        .concat();
    let expected = [
        "cpu 1 dom 0 alloc 0: 1 up to 0xfffff Fast { flush: false } -> 0x4d",
        "cpu 1 dom 0 alloc 1: 9 up to 0xfffff Direct { align: false } -> 0x3c",
    ];
    assert_eq!(told(&plain(perf)), expected);
    assert_eq!(told(&plain(report)), expected);
}

#[test]
fn failures_are_answers() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=1 limit=9 flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x0",
        "7 0 alloc_iova: iovad=0xa size=1 limit=9 align=1",
        "7 0 alloc_iova_ret: iova=0x0 lo=0x0 hi=0x0",
    ]));
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 alloc 0: 1 up to 0x9 Fast { flush: true } -> failed",
            "cpu 0 dom 0 alloc 1: 1 up to 0x9 Direct { align: true } -> failed"
        ]
    );
    assert_eq!((imported.report.allocs, imported.report.failed), (2, 2));
}

#[test]
fn a_search_that_is_tried_again_after_a_flush_is_one_call() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=64 limit=0xfffff flush=1",
        "7 0 alloc_iova: iovad=0xa size=64 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: iova=0x0 lo=0x0 hi=0x0",
        "7 0 alloc_iova: iovad=0xa size=64 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: iova=0x5 lo=0x40 hi=0x7f",
        "7 0 alloc_iova_fast_ret: pfn=0x40",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=64",
        "7 0 free_iova: iovad=0xa pfn=0x40",
    ]));
    assert_eq!(told(&imported).len(), 2);
    assert_eq!(imported.report.nested, 3);
}

#[test]
fn direct_allocations_are_freed_directly() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: (0xffffffffc039eea6 <- alloc_iova) iova=0x51 lo=0x40 hi=0x43",
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: (0xffffffffc039eea6 <- alloc_iova) iova=0x52 lo=0x30 hi=0x33",
        "7 0 free_iova: iovad=0xa pfn=0x42",
        "7 0 __free_iova: iovad=0xa iova=0x52 lo=0x30 hi=0x33",
        "7 0 free_iova: iovad=0xa pfn=0x99",
    ]));
    assert_eq!(
        told(&imported)[2..],
        [
            "cpu 0 dom 0 free 0",
            "cpu 0 dom 0 free 1",
            "cpu 0 dom 0 free_pfn 0x99"
        ]
    );
}

#[test]
fn direct_allocations_without_a_place_go_by_their_record() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: (0xffffffffc039eea6 <- alloc_iova) iova=0x51",
        "7 0 __free_iova: iovad=0xa iova=0x51",
        "7 0 __free_iova: iovad=0xa iova=0x99",
    ]));
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 alloc 0: 4 up to 0xfffff Direct { align: true }",
            "cpu 0 dom 0 free 0"
        ]
    );
    assert_eq!(
        (imported.report.unplaced, imported.report.frees_unknown),
        (1, 1)
    );
}

#[test]
fn frees_that_free_calls_make_are_left_out_in_old_kernels_too() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=64 limit=0xfffff flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x40",
        "7 0 alloc_iova_fast: iovad=0xa size=64 limit=0xfffff flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x80",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=64",
        "8 1 free_iova_fast: iovad=0xa pfn=0x80 size=64",
        "7 0 free_iova: iovad=0xa pfn=0x40",
        "8 1 free_iova: iovad=0xa pfn=0x80",
        "8 1 __free_iova: iovad=0xa iova=0x9 lo=0x80 hi=0xbf",
        "7 0 __free_iova: iovad=0xa iova=0x8",
    ]));
    assert_eq!(
        told(&imported)[2..],
        ["cpu 0 dom 0 free 0", "cpu 1 dom 0 free 1"]
    );
    assert_eq!(imported.report.nested, 4);
}

#[test]
fn interrupts_run_between_a_tasks_lines() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast: iovad=0xb size=2 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 alloc_iova_fast_ret: pfn=0x10",
    ]));
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 1 alloc 0: 2 up to 0xfffff Fast { flush: false } -> 0x20",
            "cpu 0 dom 0 alloc 1: 1 up to 0xfffff Fast { flush: false } -> 0x10"
        ]
    );
}

#[test]
fn tasks_move_and_idle_tasks_are_many() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0",
        "0 0 alloc_iova_fast: iovad=0xa size=2 limit=0xfffff flush=0",
        "0 1 alloc_iova_fast: iovad=0xa size=3 limit=0xfffff flush=0",
        "0 0 alloc_iova_fast_ret: pfn=0x20",
        "7 1 alloc_iova_fast_ret: pfn=0x10",
        "0 1 alloc_iova_fast_ret: pfn=0x30",
    ]));
    let mut events = told(&imported);
    events.sort();
    let sizes = ["1 up", "2 up", "3 up"];
    for (place, size) in ["-> 0x10", "-> 0x20", "-> 0x30"].iter().zip(sizes) {
        let found = events
            .iter()
            .find(|event| event.ends_with(place))
            .expect("an answer");
        assert!(found.contains(size), "{found}");
    }
    assert_eq!(imported.report.migrated, 1);
}

#[test]
fn probes_at_exits_alone_have_it_all_on_one_line() {
    let symbols = [
        "7 0 alloc_iova: (alloc_iova_fast+0xf0/0x2b0 <- alloc_iova) iovad=0xa size=64 limit=99999 align=1 iova=0x5 lo=0x40 hi=0x7f",
        "7 0 alloc_iova_fast: (iommu_dma_alloc_iova+0xd4/0x120 <- alloc_iova_fast) iovad=0xa size=64 limit=99999 flush=1 pfn=0x40",
        "7 0 free_iova: (free_iova_fast+0xf0/0x2b0 <- free_iova) iovad=0xa pfn=0x40",
        "7 0 free_iova_fast: (iommu_dma_free_iova+0xd4/0x120 <- free_iova_fast) iovad=0xa pfn=0x40 size=64",
        "7 0 alloc_iova: (0xffffffffc039eea6 <- alloc_iova) iovad=0xa size=64 limit=99999 align=0 iova=0x5 lo=0x40 hi=0x7f",
        "7 0 free_iova: (0xffffffffc039eea6 <- free_iova) iovad=0xa pfn=0x40",
    ];
    let addresses = symbols.map(|line| {
        line.replace(
            "(alloc_iova_fast+0xf0/0x2b0 <- alloc_iova)",
            "(ffffffff81000000 <- ffffffff810010f0)",
        )
        .replace(
            "(iommu_dma_alloc_iova+0xd4/0x120 <- alloc_iova_fast)",
            "(ffffffff81001000 <- ffffffff81009000)",
        )
        .replace(
            "(free_iova_fast+0xf0/0x2b0 <- free_iova)",
            "(ffffffff81002000 <- ffffffff810030f0)",
        )
        .replace(
            "(iommu_dma_free_iova+0xd4/0x120 <- free_iova_fast)",
            "(ffffffff81003000 <- ffffffff81009000)",
        )
        .replace(
            "(0xffffffffc039eea6 <- alloc_iova)",
            "(ffffffff81000000 <- ffffffffc039eea6)",
        )
        .replace(
            "(0xffffffffc039eea6 <- free_iova)",
            "(ffffffff81002000 <- ffffffffc039eea6)",
        )
    });
    for lines in [symbols.map(str::to_owned), addresses] {
        let imported = plain(ftrace(&lines.each_ref().map(String::as_str)));
        assert_eq!(
            told(&imported),
            [
                "cpu 0 dom 0 alloc 0: 64 up to 0x1869f Fast { flush: true } -> 0x40",
                "cpu 0 dom 0 free 0",
                "cpu 0 dom 0 alloc 1: 64 up to 0x1869f Direct { align: false } -> 0x40",
                "cpu 0 dom 0 free 1"
            ]
        );
        assert_eq!(imported.report.nested, 2);
    }
}

#[test]
fn probes_may_be_called_as_tools_call_them() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast__entry: iovad=0xa size=1 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast__exit: pfn=0x20",
    ]));
    assert_eq!(told(&imported).len(), 1);
}

#[test]
fn a_missed_free_shows_when_its_place_is_handed_out_again() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 1 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x22",
    ]));
    assert_eq!(
        told(&imported)[1..],
        [
            "cpu 1 dom 0 free 0",
            "cpu 1 dom 0 alloc 1: 1 up to 0xfffff Fast { flush: false } -> 0x22"
        ]
    );
    assert_eq!(imported.report.frees_missed, 1);
}

#[test]
fn missed_entries_and_returns_are_counted() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "8 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=1",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 alloc_iova_ret: iova=0x0",
        "7 0 free_iova_fast: iovad=0xa pfn=0x80 size=64",
    ]));
    assert_eq!(told(&imported).len(), 1);
    let report = imported.report;
    assert_eq!((report.returns_unmatched, report.entries_unmatched), (2, 1));
    assert_eq!((report.open_at_end, report.frees_unknown), (1, 1));
    let text = report.to_string();
    assert!(text.contains("1 calls still open at the end"), "{text}");
}

#[test]
fn calls_do_not_wait_for_one_that_never_returns() {
    let mut lines = vec!["8 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0"];
    for _ in 0..2 {
        lines.push("7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0");
        lines.push("7 0 alloc_iova_fast_ret: pfn=0x20");
        lines.push("7 0 free_iova_fast: iovad=0xa pfn=0x20 size=4");
    }
    let later = ftrace(&lines[4..]).replace(" 1.0", " 9.0");
    let text = ftrace(&lines[..4]) + &later;
    let mut imported =
        iovasim::import::import("f", || Ok(text.as_bytes()), &Options::default())
            .expect("a recording");
    assert_eq!(imported.by_ref().count(), 4);
    assert_eq!(imported.report().open_at_end, 1);
}

#[test]
fn events_do_not_wait_for_the_end_of_the_recording() {
    let mut text = ftrace(&["8 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0"]);
    for second in 2..9 {
        let call = ftrace(&[
            "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
            "7 0 alloc_iova_fast_ret: pfn=0x20",
            "7 0 free_iova_fast: iovad=0xa pfn=0x20 size=4",
        ]);
        text += &call.replace(" 1.0", &format!(" {second}.0"));
    }
    let mut imported =
        iovasim::import::import("f", || Ok(text.as_bytes()), &Options::default())
            .expect("a recording");
    assert!(imported.next().is_some());
    assert_eq!(imported.report().lines, 3);
}

#[test]
fn a_task_has_four_calls_open_at_most() {
    let entry = "8 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0";
    let mut lines = vec![entry; 5];
    lines.extend(["8 1 alloc_iova_fast_ret: pfn=0x20"; 1]);
    let imported = plain(ftrace(&lines));
    assert_eq!(imported.report.entries_unmatched, 1);
    assert_eq!(imported.report.open_at_end, 3);
}

#[test]
fn a_direct_free_is_not_taken_for_one_that_an_earlier_free_made() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x40",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=4",
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=1",
        "7 0 alloc_iova_ret: (0xffffffffc039eea6 <- alloc_iova) iova=0x51 lo=0x40 hi=0x43",
        "7 0 free_iova: iovad=0xa pfn=0x40",
    ]));
    assert_eq!(told(&imported)[3], "cpu 0 dom 0 free 1");
    assert_eq!(imported.report.nested, 0);
}

#[test]
fn frees_of_another_size_are_counted() {
    let imported = plain(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=3 limit=0xfffff flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x40",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=4",
        "7 0 alloc_iova_fast: iovad=0xa size=3 limit=0xfffff flush=1",
        "7 0 alloc_iova_fast_ret: pfn=0x40",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=5",
    ]));
    assert_eq!(told(&imported).len(), 4);
    assert_eq!(imported.report.frees_resized, 1);
}

#[test]
fn a_call_that_returns_after_others_stopped_waiting_still_counts() {
    let text = ftrace(&[
        "8 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
    ]) + &ftrace(&[
        "7 0 free_iova_fast: iovad=0xa pfn=0x20 size=4",
        "8 1 alloc_iova_fast_ret: pfn=0x24",
    ])
    .replace(" 1.0", " 9.0");
    let events = told(&plain(text));
    assert_eq!(events.len(), 3);
    assert!(events[2].ends_with("-> 0x24"));
}

#[test]
fn what_was_live_before_can_be_allocated_first() {
    let text = ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=2",
        "7 0 free_iova_fast: iovad=0xa pfn=0x30 size=3",
        "7 0 free_iova_fast: iovad=0xb pfn=0x40 size=33",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=2",
    ]);
    let without = plain(&text);
    assert_eq!(told(&without).len(), 1);
    assert_eq!(without.report.frees_unknown, 4);
    assert!(
        without
            .report
            .to_string()
            .contains("4 frees of ranges not allocated on record")
    );

    let options = Options {
        state_before: true,
        ..Options::default()
    };
    let allocated = read(&text, &options).expect("a recording");
    assert_eq!(
        told(&allocated),
        [
            "cpu 0 dom 0 alloc 0: 2 up to 0x41 Fast { flush: false }",
            "cpu 0 dom 0 alloc 1: 3 up to 0x33 Fast { flush: false }",
            "cpu 0 dom 0 alloc 2: 4 up to 0xfffff Fast { flush: false } -> 0x20",
            "cpu 0 dom 0 free 0",
            "cpu 0 dom 0 free 1",
            "cpu 0 dom 1 alloc 3: 33 up to 0x60 Fast { flush: false }",
            "cpu 0 dom 1 free 3"
        ]
    );
    let report = allocated.report;
    assert_eq!(
        (report.live_before, report.allocs, report.frees_unknown),
        (3, 1, 1)
    );
}

#[test]
fn what_the_caches_hand_out_unseen_lay_in_them_before() {
    let text = ftrace(&[
        "1 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
        "7 1 alloc_iova_fast: iovad=0xa size=3 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x20",
        "7 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x30",
        "7 1 free_iova_fast: iovad=0xa pfn=0x20 size=3",
        "7 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x20",
        "7 0 free_iova_fast: iovad=0xa pfn=0x50 size=4",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x50",
        "7 0 free_iova_fast: iovad=0xa pfn=0x52 size=4",
        "7 0 alloc_iova: iovad=0xa size=4 limit=0xfffff align=0",
        "7 0 alloc_iova_ret: (0xffffffffc039eea6 <- alloc_iova) iova=0x1 lo=0x60 hi=0x63",
    ]);
    let options = Options {
        state_before: true,
        ..Options::default()
    };
    let imported = read(text, &options).expect("a recording");
    assert_eq!(
        told(&imported)[..7],
        [
            "cpu 1 dom 0 alloc 0: 4 up to 0x53 Fast { flush: false }",
            "cpu 1 dom 0 alloc 1: 4 up to 0x33 Fast { flush: false }",
            "cpu 1 dom 0 alloc 2: 3 up to 0x23 Fast { flush: false }",
            "cpu 1 dom 0 free 1",
            "cpu 1 dom 0 free 2",
            "cpu 1 dom 0 alloc 3: 3 up to 0xfffff Fast { flush: false } -> 0x20",
            "cpu 1 dom 0 alloc 4: 4 up to 0xfffff Fast { flush: false } -> 0x30",
        ]
    );
    assert_eq!(
        (imported.report.live_before, imported.report.cached_before),
        (3, 2)
    );
}

#[test]
fn a_domain_made_on_record_has_nothing_live_before() {
    let text = ftrace(&[
        "7 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 free_iova_fast: iovad=0xa pfn=0x40 size=2",
    ]);
    let options = Options {
        state_before: true,
        reserved: vec![PfnRange::new(Pfn(1), Pfn(2)).expect("a range")],
        ..Options::default()
    };
    let imported = read(text, &options).expect("a recording");
    assert_eq!(told(&imported).len(), 1);
    assert_eq!(imported.report.frees_unknown, 1);
}

#[test]
fn an_address_that_is_used_again_is_another_domain() {
    let imported = plain(ftrace(&[
        "7 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
        "7 0 reserve_iova: iovad=0xa lo=0xa0 hi=0xbf",
        "7 0 reserve_iova_ret: (f+0x1/0x2 <- reserve_iova) iova=0x1",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 put_iova_domain: iovad=0xa",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
    ]));
    let events = told(&imported);
    assert_eq!(events[0], "cpu 0 dom 0 reserve 0xa0-0xbf");
    for (event, domain) in events[1..].iter().zip(0..) {
        assert!(
            event.starts_with(&format!("cpu 0 dom {domain} alloc")),
            "{event}"
        );
    }
    assert_eq!(imported.report.frees_missed, 0);
}

const TWO_LAYOUTS: &[&str] = &[
    "7 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
    "7 0 init_iova_domain: iovad=0xb granule=65536 start_pfn=16",
    "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
    "7 0 alloc_iova_fast_ret: pfn=0x20",
    "7 0 alloc_iova_fast: iovad=0xb size=8 limit=0xfffff flush=0",
    "7 0 alloc_iova_fast_ret: pfn=0x20",
];

#[test]
fn a_trace_has_one_layout() {
    let error = refused(ftrace(TWO_LAYOUTS));
    assert!(error.contains("--domain NUMBER"), "{error}");
    assert!(error.contains("1 (0xb) has 65536 and 0x10"), "{error}");
}

#[test]
fn domains_can_be_chosen() {
    for choice in ["1", "0xb"] {
        let options = Options {
            domain: Some(choice.parse().expect("a domain")),
            ..Options::default()
        };
        let imported = read(ftrace(TWO_LAYOUTS), &options).expect("a recording");
        assert_eq!(
            imported.header.granule,
            Granule::from_bytes(65536).expect("a granule")
        );
        assert_eq!(imported.header.start_pfn, Pfn(16));
        assert_eq!(
            told(&imported),
            ["cpu 0 dom 0 alloc 0: 8 up to 0xfffff Fast { flush: false } -> 0x20"]
        );
        assert_eq!(imported.report.other_domains, 1);
    }
}

#[test]
fn a_domain_that_is_not_on_record_is_an_error() {
    let refused = |choice| {
        let options = Options {
            domain: Some(choice),
            ..Options::default()
        };
        match read(ftrace(TWO_LAYOUTS), &options) {
            Ok(_) => panic!("not refused"),
            Err(error) => error,
        }
    };
    assert!(refused(DomainChoice::Ordinal(2)).contains("0xa 0xb"));
    assert!(refused(DomainChoice::Pointer(12)).contains("no such domain"));
    assert!(refused(DomainChoice::One).contains("by their pointers"));
    assert!(refused(DomainChoice::Device("nvme".to_owned())).contains("by their pointers"));
}

#[test]
fn what_is_reserved_is_so_in_every_domain() {
    let options = Options {
        reserved: vec![PfnRange::new(Pfn(0xfee00), Pfn(0xfeeff)).expect("a range")],
        granule: Granule::from_bytes(4096),
        start_pfn: Some(Pfn(1)),
        cpus: Some(4),
        ..Options::default()
    };
    let text = ftrace(&[
        "7 0 free_iova_fast: iovad=0xa pfn=0x30 size=1",
        "7 0 alloc_iova_fast: iovad=0xb size=1 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
    ]);
    let imported = read(text, &options).expect("a recording");
    assert_eq!(
        told(&imported)[..2],
        [
            "cpu 0 dom 0 reserve 0xfee00-0xfeeff",
            "cpu 0 dom 1 reserve 0xfee00-0xfeeff"
        ]
    );
    assert_eq!(imported.header.cpus, 4);
    assert_eq!(imported.report.notes, [] as [&str; 0]);
}

#[test]
fn what_is_assumed_is_said() {
    let notes = plain(ftrace(&[
        "7 2 alloc_iova_fast: iovad=0xb size=1 limit=0xfffff flush=0",
        "7 2 alloc_iova_fast_ret: pfn=0x20",
        "7 2 map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096",
    ]))
    .report
    .notes
    .join("; ");
    assert!(notes.contains("granule 4096, start_pfn 0x1"), "{notes}");
    assert!(notes.contains("how many CPUs there are: 3"), "{notes}");
    assert!(
        notes.contains("`iommu` events are on record too"),
        "{notes}"
    );
}

#[test]
fn options_that_contradict_the_recording_are_errors() {
    let text = [TWO_LAYOUTS[0], TWO_LAYOUTS[2], TWO_LAYOUTS[3]];
    let granule = Options {
        granule: Granule::from_bytes(65536),
        ..Options::default()
    };
    let error = read(ftrace(&text), &granule)
        .map(|_| ())
        .expect_err("a contradiction");
    assert!(error.contains("the recording says granule 4096"), "{error}");
    let cpus = Options {
        cpus: Some(1),
        ..Options::default()
    };
    let busy = ftrace(&text).replace("[000]", "[003]");
    let error = read(busy, &cpus).map(|_| ()).expect_err("a contradiction");
    assert!(error.contains("has a CPU 3"), "{error}");
    assert!(refused(ftrace(&TWO_LAYOUTS[..1])).contains("found no record of the allocator"));
}

#[test]
fn cpus_go_once_and_come_back_when_they_are_heard_of() {
    let imported = plain(ftrace(&[
        "7 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x20",
        "9 0 iova_cpuhp_dead: (iova_cpuhp_dead+0x0/0x10) cpu=1",
        "9 0 iova_cpuhp_dead: (iova_cpuhp_dead+0x0/0x10) cpu=1",
        "7 0 free_iova_fast: iovad=0xa pfn=0x20 size=4",
        "7 1 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 1 alloc_iova_fast_ret: pfn=0x20",
        "9 0 iova_cpuhp_dead: (iova_cpuhp_dead+0x0/0x10) cpu=5",
    ]));
    assert_eq!(
        told(&imported)[1..],
        [
            "cpu 1 dom 0 CpuDead",
            "cpu 0 dom 0 free 0",
            "cpu 1 dom 0 CpuUp",
            "cpu 1 dom 0 alloc 1: 4 up to 0xfffff Fast { flush: false } -> 0x20",
            "cpu 5 dom 0 CpuDead"
        ]
    );
    assert_eq!(imported.header.cpus, 6);
}

#[test]
fn use_before_the_probes_were_set_is_noticed() {
    let imported = plain(ftrace(&[
        "1 0 init_iova_domain: iovad=0xa granule=4096 start_pfn=1",
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "7 0 alloc_iova: iovad=0xb size=4 limit=0xfffff align=0",
        "7 0 alloc_iova_ret: iova=0x1 lo=0x20 hi=0x23",
    ]));
    assert!(!imported.report.domains[0].from_start);
    assert!(
        imported
            .report
            .notes
            .join("; ")
            .contains("domain 0 handed out a cached range")
    );
}

#[test]
fn probes_without_returns_are_asked_for() {
    let error = refused(ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
    ]));
    assert!(error.contains("add a return probe"), "{error}");
}

#[test]
fn arguments_that_are_missing_or_wrong_are_named() {
    let call = "7 0 alloc_iova_fast_ret: pfn=0x1";
    let cases = [
        (
            "iovad=0xa size=4 limit=0xfffff",
            "`alloc_iova_fast` without `flush=`",
        ),
        (
            "iovad=0xa size=four limit=0xfffff flush=0",
            "`size` of `alloc_iova_fast`: found `four`, expected a number",
        ),
        (
            "iovad=0xa size=0 limit=0xfffff flush=0",
            "found `0`, expected at least one page",
        ),
    ];
    for (arguments, expected) in cases {
        let entry = format!("7 0 alloc_iova_fast: {arguments}");
        let error = refused(ftrace(&[&entry, call]));
        assert!(error.starts_with("recording:1: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn losses_are_errors_unless_allowed() {
    let call = ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
    ]);
    let allow = Options {
        allow_lost: true,
        ..Options::default()
    };
    for (marker, count, counted) in [
        ("CPU:1 [LOST 12 EVENTS]\n", "lost 12 events on CPU 1", 12),
        ("CPU:1 [EVENTS DROPPED]\n", "an unknown number of events", 0),
        (
            "# entries-in-buffer/entries-written: 2/9   #P:2\n",
            "lost 7 events",
            7,
        ),
    ] {
        let text = marker.to_owned() + &call;
        let error = refused(&text);
        assert!(
            error.contains(count) && error.contains("--allow-lost"),
            "{error}"
        );
        let imported = read(&text, &allow).expect("allowed");
        assert_eq!(imported.report.lost, counted);
        assert_eq!(imported.events.len(), 1);
    }
}

#[test]
fn two_recordings_in_one_file_are_refused() {
    let one = "# entries-in-buffer/entries-written: 2/2   #P:2\n".to_owned()
        + &ftrace(&[
            "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
            "7 0 alloc_iova_fast_ret: pfn=0x20",
        ]);
    assert_eq!(plain(&one).header.cpus, 2);
    let error = refused(one.clone() + &one);
    assert!(
        error.starts_with("recording:4: a second recording"),
        "{error}"
    );
}

#[test]
fn times_may_go_back_a_little_between_cpus() {
    let lines = ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "8 1 free_iova_fast: iovad=0xa pfn=0x20 size=4",
    ]);
    let imported = plain(lines.replace("1.000002", "0.999990"));
    assert_eq!(imported.report.times_back, 1);
    assert_eq!(imported.report.time_back_max_ns, 11_000);
    assert_eq!(imported.events[1].at, imported.events[0].at);
    let error = refused(lines.replace("1.000002", "0.800000"));
    assert!(
        error.starts_with("recording:3: time goes back by 200001000 ns"),
        "{error}"
    );
}

#[test]
fn a_cpus_own_times_never_go_back() {
    let lines = ftrace(&[
        "7 0 alloc_iova_fast: iovad=0xa size=4 limit=0xfffff flush=0",
        "7 0 alloc_iova_fast_ret: pfn=0x20",
        "8 0 free_iova_fast: iovad=0xa pfn=0x20 size=4",
    ]);
    let error = refused(lines.replace("1.000002", "1.000000"));
    assert!(
        error.contains("time goes back by 1000 ns on one CPU"),
        "{error}"
    );
}
