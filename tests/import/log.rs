//! Kernel logs in which a domain's ranges are listed.

use iova::units::{Granule, Pages, Pfn};
use iovasim::import::{Form, Options, RecordSource};

use super::{plain, read, refused, told};

#[test]
fn a_list_is_a_restore() {
    let text = "\
[  811.000001] mtk-iommu: something else happened 12 times
[  812.482014] iova dump:
[  812.482015] 0: ffffff80d2a4c5c0 0xfd100000 0x100000 0xfd1fffff
[  812.482016] 1: ffffff80d2a4c600 0xfe000000 0x2000 0xfe001fff
[  812.482017] 2: ffffff80d2a4c640 0xfffffffffffff000 0x1000 0xffffffffffffffff
[  812.482018] end of dump
";
    let imported = plain(text);
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 restore 0xfd100-0xfd1ff 0xfe000-0xfe001 cached32 anchor cached anchor max32 0x100000"
        ]
    );
    assert_eq!(imported.events[0].at.0, 0);
    assert_eq!(imported.report.form, Some(Form::KernelLog));
    assert_eq!(imported.report.record_source, Some(RecordSource::Ranges));
    assert_eq!((imported.report.lines, imported.report.restores), (6, 1));
}

#[test]
fn lists_are_written_in_many_ways() {
    for line in [
        "0 0xfd100000 0x100000 0xfd1fffff",
        "0 fd100000 100000 fd1fffff",
        "0 4245684224 1048576 4246732799",
        "0 0xfd100000 1048576 0xfd1fffff",
        "0 0xfd100000 0x100000 0xfd200000",
        "0 0xfd100000 0x100000 0xfd1ff000",
        "<3>[ 1.5] [T12] 0: (____ptrval____) 0xfd100000 0x100000 0xfd1fffff",
        "<3>[ 1.5] index=0 iova=ffffff80d2a4c5c0 pfn_lo=0xfd100000, size=0x100000, pfn_hi=0xfd1fffff",
        "Mar 01 10:00:00 board kernel: [ 1.5] |0| 00000000a1b2c3d4 | fd100000 | 100000 | fd1fffff |",
        "kernel: [0] ffffff80d2a4c5c0 [0xfd100000 0x100000 0xfd1fffff]",
    ] {
        let text = format!("hello\n{line}\n");
        let events = told(&plain(&text));
        assert!(
            events[0].contains("restore 0xfd100-0xfd1ff cached32"),
            "{line}: {events:?}"
        );
    }
}

#[test]
fn several_lists_are_several_restores() {
    let imported = plain(
        "[  1.000000] 0 0x8000 0x1000 0x8fff\n\
         [  1.000000] 1 0x2000 0x1000 0x2fff\n\
         [  3.500000] 0 0x4000 0x1000 0x4fff\n",
    );
    let events = told(&imported);
    assert!(
        events[0].contains("restore 0x2-0x2 0x8-0x8 cached32"),
        "{events:?}"
    );
    assert!(events[1].contains("restore 0x4-0x4 cached32"));
    assert_eq!(imported.events[1].at.0, 2_500_000_000);
}

#[test]
fn cached_positions_and_granules_are_options() {
    let options = Options {
        granule: Granule::from_bytes(65536),
        start_pfn: Some(Pfn(2)),
        cached32: Some(Pfn(8)),
        cached: Some(Pfn(9)),
        max32: Some(Pages(7)),
        ..Options::default()
    };
    let text = "0 0x80000 0x10000 0x8ffff\n1 0x90000 0x10000 0x9ffff\n";
    let imported = read(text, &options).expect("a log");
    assert_eq!(
        told(&imported),
        ["cpu 0 dom 0 restore 0x8-0x8 0x9-0x9 cached32 0x8 cached 0x9 max32 0x7"]
    );
    assert_eq!(imported.header.start_pfn, Pfn(2));
    let wrong = Options {
        cached: Some(Pfn(10)),
        ..options.clone()
    };
    let error = read(text, &wrong).map(|_| ()).expect_err("no such range");
    assert!(error.contains("--cached 0xa: no range"), "{error}");
    let error = read("0 0x80000 0x1000 0x80fff\n", &options)
        .map(|_| ())
        .expect_err("pieces");
    assert!(error.contains("another --granule"), "{error}");
}

#[test]
fn lists_with_holes_or_contradictions_are_refused() {
    let lines = |second: &str| format!("0 0x8000 0x1000 0x8fff\n{second}\n");
    let error = refused(lines("2 0x9000 0x1000 0x9fff"));
    assert!(
        error.contains("lost 1 events of the list before its range 2"),
        "{error}"
    );
    let error = refused(lines("1 0x9000 0x3000 0x9fff"));
    assert!(
        error.starts_with("recording:2: range 1 of the list"),
        "{error}"
    );
    let error = refused(lines("1 0x8000 0x1000 0x8fff"));
    assert!(error.contains("two ranges of one list overlap"), "{error}");
    let error = refused(lines("** 7 printk messages dropped **"));
    assert!(error.contains("lost 7 events"), "{error}");
    let allow = Options {
        allow_lost: true,
        ..Options::default()
    };
    let imported = read(
        lines("** 7 printk messages dropped **\n3 0x9000 0x1000 0x9fff"),
        &allow,
    );
    let imported = imported.expect("allowed");
    assert_eq!(imported.report.lost, 9);
    assert!(told(&imported)[0].contains("0x8-0x8 0x9-0x9"));
}

#[test]
fn a_log_without_a_list_is_nothing() {
    for text in ["", "hello\n", "[ 1.5] 12 34\n", "0 1 2 4\n"] {
        assert!(refused(text).contains("no records of"), "{text}");
    }
}

#[test]
fn a_log_without_a_list_is_an_error() {
    let options = Options {
        form: Some(Form::KernelLog),
        ..Options::default()
    };
    let error = read("[ 1.5] usb 1-1: new device\n", &options);
    let error = error.map(|_| ()).expect_err("nothing to import");
    assert!(error.contains("no records of a domain's ranges"), "{error}");
}
