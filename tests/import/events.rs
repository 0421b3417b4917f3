//! `dma` and `iommu` events: what they say, and what has to be asked for.

use iova::kernel::FlushQueue;
use iova::units::{Granule, Pfn, PfnRange};
use iovasim::import::{DomainChoice, Options, RecordSource};

use super::{Imported, ftrace, read, refused, told};

const MASK_32: u64 = 0xffff_ffff;

/// Requests to the DMA API of devices with 32-bit masks.
fn mapped() -> Options {
    Options {
        mask: Some(MASK_32),
        flush_queue: Some(FlushQueue::None),
        ..Options::default()
    }
}

fn with(lines: &[&str], options: &Options) -> Imported {
    read(ftrace(lines), options).unwrap_or_else(|error| panic!("{error}"))
}

const PAGE: &str = "7 0 dma_map_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=ffffa400 size=5000 phys_addr=13caec400 attrs=";

#[test]
fn pages_begin_within_a_page() {
    let imported = with(
        &[
            PAGE,
            "7 1 dma_unmap_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=ffffa400 size=5000 attrs=",
            "7 0 dma_map_page: nvme dir=TO_DEVICE dma_addr=ffffffffffffffff size=8 phys_addr=13caecff8 attrs=",
            "7 0 dma_alloc: nvme dir=BIDIRECTIONAL dma_addr=0 size=512 virt_addr=0000000000000000 flags=GFP attrs=",
            "7 0 dma_alloc: nvme dir=BIDIRECTIONAL dma_addr=fffff000 size=512 virt_addr=00000000acc1f6ac flags=GFP attrs=",
            "7 0 dma_free: nvme dir=BIDIRECTIONAL dma_addr=fffff000 size=512 virt_addr=00000000acc1f6ac attrs=",
        ],
        &mapped(),
    );
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 map 0: 6024 bytes up to 0xffffffff for 0000:00:04.0 pci -> 0xffffa",
            "cpu 1 dom 0 unmap 0",
            "cpu 0 dom 1 map 1: 4096 bytes up to 0xffffffff for nvme -> failed",
            "cpu 0 dom 1 map 2: 512 bytes up to 0xffffffff for nvme -> failed",
            "cpu 0 dom 1 map 3: 512 bytes up to 0xffffffff for nvme -> 0xfffff",
            "cpu 0 dom 1 unmap 3"
        ]
    );
    assert_eq!(imported.report.failed, 2);
}

#[test]
fn requests_to_the_allocator_have_a_limit() {
    let options = Options {
        limit: Some(Pfn(0xfffff)),
        ..Options::default()
    };
    assert_eq!(
        told(&with(&[PAGE], &options)),
        ["cpu 0 dom 0 alloc 0: 2 up to 0xfffff Fast { flush: true } -> 0xffffa"]
    );
}

#[test]
fn what_events_do_not_carry_is_asked_for() {
    let error = |options: &Options| match read(ftrace(&[PAGE]), options) {
        Ok(_) => panic!("not refused"),
        Err(error) => error,
    };
    assert!(refused(ftrace(&[PAGE])).contains("--limit PFN"));
    let mut options = Options {
        mask: Some(MASK_32),
        ..Options::default()
    };
    assert!(error(&options).contains("--flush-queue"));
    options.limit = Some(Pfn(1));
    assert!(error(&options).contains("not both"));
    options = mapped();
    options.mask = Some(u64::MAX);
    let nvme = PAGE.replace("0000:00:04.0", "nvme");
    let asked = read(ftrace(&[&nvme]), &options)
        .map(|_| ())
        .expect_err("pci unknown");
    assert!(asked.contains("--pci"), "{asked}");
    options.pci = Some(false);
    assert!(read(ftrace(&[&nvme]), &options).is_ok());
    let map = "7 0 map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096";
    let asked = read(ftrace(&[map]), &mapped())
        .map(|_| ())
        .expect_err("domain unknown");
    assert!(asked.contains("--domain one"), "{asked}");
}

#[test]
fn scatter_lists_are_unmapped_by_their_physical_addresses() {
    let imported = with(
        &[
            "7 0 dma_map_sg: usb dir=TO_DEVICE nents=3/3 ents=2/2 dma_addrs={0xffff0800,0xffff3000} sizes={0x2000,0x1001} phys_addrs={0x1800,0x5000,0x9000} attrs=",
            "7 0 dma_map_sg: usb dir=TO_DEVICE nents=2/4 ents=1/1 [TRUNCATED] dma_addrs={0xfffe0000} sizes={0x4000} phys_addrs={0x1800,0x5000} attrs=",
            "7 0 dma_unmap_sg: usb dir=TO_DEVICE phys_addrs={0x1800,0x5000,0x9000} attrs=",
            "7 0 dma_unmap_sg: usb dir=TO_DEVICE phys_addrs={0x1800,0x5000,0x6000,0x7000} attrs=",
            "7 0 dma_unmap_sg: usb dir=TO_DEVICE phys_addrs={0x1800,0x5000,0x6000,0x7000} attrs=",
        ],
        &mapped(),
    );
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 map 0: 16385 bytes up to 0xffffffff for usb -> 0xffff0",
            "cpu 0 dom 0 map 1: 16384 bytes up to 0xffffffff for usb -> 0xfffe0",
            "cpu 0 dom 0 unmap 0",
            "cpu 0 dom 0 unmap 1"
        ]
    );
    assert_eq!(imported.report.frees_unknown, 1);
}

#[test]
fn a_list_that_is_cut_off_has_no_size() {
    let lines = [
        PAGE,
        "7 0 dma_map_sg: usb dir=TO_DEVICE nents=300/300 ents=128/300 [TRUNCATED] dma_addrs={0xffff0000} sizes={0x1000} phys_addrs={0x1000} attrs=",
        "7 0 dma_map_sg_err: usb dir=TO_DEVICE dma_addrs={0x1000} err=-5 attrs=",
    ];
    let error = read(ftrace(&lines), &mapped())
        .map(|_| ())
        .expect_err("cut off");
    assert!(
        error.starts_with("recording:2: ") && error.contains("lost 172 events"),
        "{error}"
    );
    let options = Options {
        allow_lost: true,
        ..mapped()
    };
    let imported = with(&lines, &options);
    assert_eq!(imported.events.len(), 1);
    assert_eq!(
        (imported.report.lost, imported.report.refused_lists),
        (1, 1)
    );
}

#[test]
fn an_unmapping_may_be_printed_after_its_place_was_handed_out_again() {
    let map = |id: &str| {
        format!(
            "7 {id} dma_map_page: nvme dir=X dma_addr=fffff000 size=8 phys_addr=1000 attrs="
        )
    };
    let unmap = "7 0 dma_unmap_page: nvme dir=X dma_addr=fffff000 size=8 attrs=";
    let imported = with(&[&map("0"), &map("1"), unmap, unmap, unmap], &mapped());
    let events = told(&imported);
    assert_eq!(events[1], "cpu 1 dom 0 unmap 0");
    assert_eq!(events[3..], ["cpu 0 dom 0 unmap 1"]);
    assert_eq!(
        (imported.report.frees_late, imported.report.frees_unknown),
        (1, 1)
    );

    let map = |id: &str| {
        format!(
            "7 {id} dma_map_sg: usb dir=X nents=1/1 ents=1/1 dma_addrs={{0xfffff000}} sizes={{0x8}} phys_addrs={{0x{id}000}} attrs="
        )
    };
    let unmap = |id| format!("7 0 dma_unmap_sg: usb dir=X phys_addrs={{0x{id}000}} attrs=");
    let lines = [&map("1"), &map("2"), &unmap("1"), &unmap("2")];
    let imported = with(&lines.map(String::as_str), &mapped());
    assert_eq!(told(&imported)[3..], ["cpu 0 dom 0 unmap 1"]);
    assert_eq!(
        (imported.report.frees_late, imported.report.frees_unknown),
        (1, 0)
    );
}

#[test]
fn devices_are_domains_or_their_groups_are() {
    let groups = [
        "1 0 add_device_to_group: IOMMU: groupID=12 device=0000:00:1f.0",
        "1 0 add_device_to_group: IOMMU: groupID=12 device=0000:00:1f.2",
        "1 0 add_device_to_group: IOMMU: groupID=3 device=0000:00:04.0",
    ];
    let maps = [
        "7 0 dma_map_page: 0000:00:1f.0 dir=X dma_addr=fffff000 size=8 phys_addr=1000 attrs=",
        "7 0 dma_map_page: 0000:00:1f.2 dir=X dma_addr=ffffe000 size=8 phys_addr=1000 attrs=",
        "7 0 dma_map_page: 0000:00:04.0 dir=X dma_addr=fffff000 size=8 phys_addr=1000 attrs=",
    ];
    let domains = |imported: &Imported| {
        let numbers = imported.events.iter().map(|event| event.dom);
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(domains(&with(&maps, &mapped())), [0, 1, 2]);
    let grouped = [groups, maps].concat();
    assert_eq!(domains(&with(&grouped, &mapped())), [0, 0, 1]);

    let chosen = |choice: DomainChoice| Options {
        domain: Some(choice),
        ..mapped()
    };
    let one = with(&maps, &chosen(DomainChoice::One));
    assert_eq!(domains(&one), [0, 0, 0, 0]);
    let device = DomainChoice::Device("0000:00:1f.2".to_owned());
    let imported = with(&grouped, &chosen(device));
    assert_eq!(imported.events.len(), 2);
    assert_eq!(imported.report.other_domains, 1);
    let refused = |choice| {
        let imported = read(ftrace(&maps), &chosen(choice));
        imported.map(|_| ()).expect_err("refused")
    };
    assert!(
        refused(DomainChoice::Device("nvme".to_owned()))
            .contains("the recording has 0000:00:04.0")
    );
    assert!(refused(DomainChoice::Pointer(1)).contains("--domain DEVICE"));
}

#[test]
fn devices_without_an_iommu_are_left_out() {
    let direct = "7 0 dma_map_page: eth dir=X dma_addr=1000 size=8 phys_addr=1000 attrs=";
    let imported = with(&[direct, PAGE], &mapped());
    assert_eq!(told(&imported).len(), 1);
    assert_eq!(imported.report.other_domains, 1);
    assert!(imported.report.notes.join(";").contains("eth has no IOMMU"));
    assert!(refused(ftrace(&[direct])).contains("no records of the allocator"));
}

fn iommu() -> Options {
    Options {
        domain: Some(DomainChoice::One),
        ..mapped()
    }
}

fn map(task: &str, start: u64, end: u64) -> String {
    let size = end - start;
    format!("{task} map: IOMMU: iova={start:#018x} - {end:#018x} paddr=0x1000 size={size}")
}

fn unmap(task: &str, start: u64, end: u64) -> String {
    let size = end - start;
    format!(
        "{task} unmap: IOMMU: iova={start:#018x} - {end:#018x} size={size} unmapped_size={size}"
    )
}

fn iommu_events(lines: &[String]) -> Imported {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    with(&lines, &iommu())
}

#[test]
fn the_maps_that_one_unmap_covers_are_one_allocation() {
    let imported = iommu_events(&[
        map("7 0", 0x8000, 0xa000),
        map("8 1", 0x2000, 0x3000),
        map("7 0", 0xa000, 0xb000),
        map("7 0", 0xb000, 0xc000),
        map("8 1", 0x3000, 0x4000),
        unmap("9 0", 0x8000, 0xb000),
        unmap("9 0", 0xb000, 0xc000),
        unmap("9 0", 0x2000, 0x3000),
        unmap("9 0", 0x3000, 0x4000),
        unmap("9 0", 0x3000, 0x4000),
    ]);
    assert_eq!(
        told(&imported),
        [
            "cpu 0 dom 0 map 0: 12288 bytes up to 0xffffffff for no device -> 0x8",
            "cpu 1 dom 0 map 1: 4096 bytes up to 0xffffffff for no device -> 0x2",
            "cpu 0 dom 0 map 2: 4096 bytes up to 0xffffffff for no device -> 0xb",
            "cpu 1 dom 0 map 3: 4096 bytes up to 0xffffffff for no device -> 0x3",
            "cpu 0 dom 0 unmap 0",
            "cpu 0 dom 0 unmap 2",
            "cpu 0 dom 0 unmap 1",
            "cpu 0 dom 0 unmap 3"
        ]
    );
    assert_eq!(
        (imported.report.parts, imported.report.frees_unknown),
        (1, 1)
    );
}

#[test]
fn what_is_never_unmapped_belongs_together_if_it_looks_so() {
    let imported = iommu_events(&[
        map("7 0", 0x8000, 0xa000),
        map("7 0", 0xa000, 0xb000),
        map("8 0", 0xb000, 0xc000),
        map("7 0", 0xc000, 0xd000),
    ]);
    assert_eq!(told(&imported).len(), 3);
    assert!(told(&imported)[0].contains("12288 bytes"));
}

#[test]
fn addresses_of_several_domains_may_be_the_same() {
    let imported = iommu_events(&[
        map("7 0", 0x8000, 0x9000),
        map("8 0", 0x8000, 0x9000),
        map("8 0", 0x9000, 0xa000),
        unmap("8 0", 0x8000, 0xa000),
        unmap("7 0", 0x8000, 0x9000),
    ]);
    let events = told(&imported);
    assert!(events[1].contains("8192 bytes"));
    assert_eq!(events[2..], ["cpu 0 dom 0 unmap 1", "cpu 0 dom 0 unmap 0"]);
    assert_eq!(imported.report.mapped_twice, 0);
    let imported = iommu_events(&[map("7 0", 0x8000, 0x9000), map("8 0", 0x8000, 0x9000)]);
    assert_eq!(imported.report.mapped_twice, 1);
    assert_eq!(imported.report.live, 2);
}

#[test]
fn iommu_events_have_reserved_ranges_and_granules_too() {
    let lines = [map("7 0", 0x8000, 0x9000)];
    let options = Options {
        reserved: vec![PfnRange::new(Pfn(1), Pfn(2)).expect("a range")],
        ..iommu()
    };
    let imported = read(ftrace(&[&lines[0]]), &options).expect("a recording");
    assert_eq!(told(&imported)[0], "cpu 0 dom 0 reserve 0x1-0x2");
    let options = Options {
        granule: Granule::from_bytes(65536),
        ..iommu()
    };
    let error = read(ftrace(&[&lines[0]]), &options)
        .map(|_| ())
        .expect_err("misaligned");
    assert!(error.contains("another --granule"), "{error}");
}

#[test]
fn the_most_exact_records_are_read_unless_others_are_wanted() {
    let lines = [
        PAGE,
        "7 0 map: IOMMU: iova=0x00000000ffffa000 - 0x00000000ffffc000 paddr=0x0 size=8192",
    ];
    let imported = with(&lines, &mapped());
    assert_eq!(imported.report.record_source, Some(RecordSource::Dma));
    let options = Options {
        record_source: Some(RecordSource::Iommu),
        ..iommu()
    };
    let imported = with(&lines, &options);
    assert!(told(&imported)[0].contains("8192 bytes"));
    let options = Options {
        record_source: Some(RecordSource::Probes),
        ..iommu()
    };
    let error = read(ftrace(&lines), &options)
        .map(|_| ())
        .expect_err("no probes");
    assert!(error.contains("no records of probes"), "{error}");
}

#[test]
fn malformed_events_are_named() {
    for (line, expected) in [
        (
            "7 0 dma_map_page: nvme dir=X dma_addr=xyz size=8 attrs=",
            "`dma_addr` of `dma_map_page`: found `xyz`",
        ),
        (
            "7 0 dma_map_page: nvme dir=X size=8 attrs=",
            "without `dma_addr=`",
        ),
        (
            "7 0 dma_map_page: nvme dir=X dma_addr=1000 size=0 attrs=",
            "at least one",
        ),
        (
            "7 0 dma_map_sg: nvme dir=X ents=1/1 dma_addrs={0x5000} sizes={0x1,0x2} phys_addrs={} attrs=",
            "as many as `dma_addrs`",
        ),
        (
            "7 0 dma_map_sg: nvme dir=X ents=1 dma_addrs={0x5000} sizes={0x1} phys_addrs={} attrs=",
            "shown and all entries",
        ),
        (
            "7 0 dma_map_sg: nvme dir=X ents=1/1 dma_addrs=0x5000 sizes={0x1} phys_addrs={} attrs=",
            "numbers in braces",
        ),
        (
            "7 0 dma_unmap_sg: nvme dir=X attrs=",
            "without `phys_addrs=`",
        ),
    ] {
        let first = PAGE.replace("0000:00:04.0", "nvme");
        let error = read(ftrace(&[&first, line]), &mapped())
            .map(|_| ())
            .expect_err("malformed");
        assert!(
            error.starts_with("recording:2: ") && error.contains(expected),
            "{error}"
        );
    }
    let error = read(ftrace(&["7 0 map: IOMMU: iova=0x1000 size=0"]), &iommu());
    assert!(error.map(|_| ()).expect_err("empty").contains("at least 1"));
}
