//! Calls that overlapped, in the order that their answers show.

use iovasim::import::{Options, import};

use super::{ftrace, plain, told};

/// What each event did, without its arguments.
fn answers(lines: &[&str]) -> Vec<String> {
    let short = |event: String| match event.split_once(" -> ") {
        Some((_, answer)) => format!("got {answer}"),
        None => event.rsplit("dom 0 ").next().unwrap_or_default().to_owned(),
    };
    told(&plain(ftrace(lines))).into_iter().map(short).collect()
}

const SEARCH_1: [&str; 2] = [
    "8 1 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0",
    "8 1 alloc_iova: iovad=0xa size=1 limit=0xfffff align=1",
];

fn search_0(place: &str) -> [String; 4] {
    [
        "7 0 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0".to_owned(),
        "7 0 alloc_iova: iovad=0xa size=1 limit=0xfffff align=1".to_owned(),
        format!("7 0 alloc_iova_ret: iova=0x1 lo={place} hi={place}"),
        format!("7 0 alloc_iova_fast_ret: pfn={place}"),
    ]
}

fn found_1(place: &str) -> [String; 2] {
    [
        format!("8 1 alloc_iova_ret: iova=0x2 lo={place} hi={place}"),
        format!("8 1 alloc_iova_fast_ret: pfn={place}"),
    ]
}

fn answers_of(parts: &[&[String]]) -> Vec<String> {
    let mut lines: Vec<&str> = SEARCH_1.to_vec();
    lines.extend(parts.iter().copied().flatten().map(String::as_str));
    answers(&lines)
}

#[test]
fn of_two_searches_the_one_with_the_lower_answer_came_later() {
    let between = [search_0("0x99"), search_0("0x98"), search_0("0x96")].concat();
    assert_eq!(
        answers_of(&[&between, &found_1("0x97")]),
        ["got 0x99", "got 0x98", "got 0x97", "got 0x96"]
    );
    assert_eq!(
        answers_of(&[&between, &found_1("0x95")]),
        ["got 0x99", "got 0x98", "got 0x96", "got 0x95"]
    );
    assert_eq!(
        answers_of(&[&between, &found_1("0x9a")]),
        ["got 0x9a", "got 0x99", "got 0x98", "got 0x96"]
    );
}

#[test]
fn searches_of_two_cpus_may_end_in_either_order() {
    for (place, expected) in [
        ("0x98", ["got 0x99", "got 0x98", "got 0x97"]),
        ("0x9b", ["got 0x9b", "got 0x99", "got 0x97"]),
    ] {
        let other = search_0("0x99");
        let parts: [&[String]; 4] =
            [&other[..2], &found_1(place), &other[2..], &search_0("0x97")];
        assert_eq!(answers_of(&parts), expected);
    }
}

#[test]
fn a_search_comes_before_what_another_cpu_frees_meanwhile() {
    let before = search_0("0x99");
    let mut lines: Vec<&str> = before.iter().map(String::as_str).collect();
    lines.extend(SEARCH_1);
    let found = found_1("0x98");
    lines.push("7 0 free_iova_fast: iovad=0xa pfn=0x99 size=1");
    lines.extend(found.iter().map(String::as_str));
    assert_eq!(answers(&lines), ["got 0x99", "got 0x98", "free 0"]);
}

#[test]
fn a_range_is_handed_out_after_it_was_freed() {
    let before = search_0("0x99");
    for frees in [
        vec!["7 0 free_iova_fast: iovad=0xa pfn=0x99 size=1"],
        vec![
            "7 0 free_iova_fast: iovad=0xb pfn=0x99 size=1",
            "7 0 free_iova_fast: iovad=0xa pfn=0x99 size=1",
        ],
    ] {
        let mut lines: Vec<&str> = before.iter().map(String::as_str).collect();
        lines.extend(SEARCH_1);
        let found = found_1("0x99");
        lines.extend(frees);
        lines.extend(found.iter().map(String::as_str));
        assert_eq!(answers(&lines), ["got 0x99", "free 0", "got 0x99"]);
    }
}

#[test]
fn an_answer_from_the_caches_comes_late_but_before_frees_of_its_own_cpu() {
    let first = search_0("0x99");
    let second = search_0("0x90");
    let third = search_0("0x80");
    let mut lines: Vec<&str> = [&first, &second, &third]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    lines.extend([
        "7 0 free_iova_fast: iovad=0xa pfn=0x99 size=1",
        "7 0 alloc_iova_fast: iovad=0xa size=1 limit=0xfffff flush=0",
        "8 1 free_iova_fast: iovad=0xa pfn=0x90 size=1",
        "7 0 free_iova_fast: iovad=0xa pfn=0x80 size=1",
        "7 0 alloc_iova_fast_ret: pfn=0x99",
    ]);
    assert_eq!(
        answers(&lines)[3..],
        ["free 0", "free 1", "got 0x99", "free 2"]
    );
    let last = lines.len() - 1;
    lines[last] = "7 0 alloc_iova_fast_ret: pfn=0x80";
    assert_eq!(
        answers(&lines)[3..],
        ["free 0", "free 1", "free 2", "got 0x80"]
    );
}

#[test]
fn a_search_that_fails_counts_from_its_entry() {
    let mut lines: Vec<&str> = SEARCH_1.to_vec();
    let other = search_0("0x99");
    lines.extend(other.iter().map(String::as_str));
    lines.extend([
        "8 1 alloc_iova_ret: iova=0x0 lo=0x0 hi=0x0",
        "8 1 alloc_iova_fast_ret: pfn=0x0",
    ]);
    assert_eq!(answers(&lines), ["got failed", "got 0x99"]);
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
        import("f", || Ok(text.as_bytes()), &Options::default()).expect("a recording");
    assert!(imported.next().is_some());
    assert_eq!(imported.report().lines, 3);
}
