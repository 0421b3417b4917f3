//! Every message of the checker, and its ids against a list that forgets nothing.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

use crate::trace::read::Reader;
use iova::op::{Got, Path};
use iova::units::{Pages, Pfn};

/// Admits a trace's events, given without their braces, with the header's fields before them.
fn admit(header: &str, events: &[&str]) -> Result<(Checker, Vec<Request>), String> {
    let header = format!("\"iovasim\":\"trace\",\"version\":1{header}");
    let lines = std::iter::once(header.as_str()).chain(events.iter().copied());
    let text: String = lines.flat_map(|line| ["{", line, "}\n"]).collect();
    let reader = Reader::new("a", Cursor::new(text)).unwrap();
    let mut checker = Checker::remembering(reader.header(), 2);
    let mut requests = Vec::new();
    for event in reader {
        let (place, event) = event.map_err(|error| error.to_string())?;
        let request = checker.admit(place, &event);
        requests.push(request.map_err(|error| error.in_file("a").to_string())?);
    }
    Ok((checker, requests))
}

const ALLOC: &str = r#""op":"alloc","id":7,"pages":1,"limit":9"#;
const MAP: &str = r#""op":"map","id":7,"bytes":1,"mask":9"#;
const FREE: &str = r#""op":"free","id":7"#;
const UNMAP: &str = r#""op":"unmap","id":7"#;
const AGAIN: &str = r#""op":"double_free","id":7"#;
const OTHER: &str = r#""op":"alloc","id":8,"pages":1,"limit":9"#;
const FREE_OTHER: &str = r#""op":"free","id":8"#;
const DEAD: &str = r#""op":"cpu_dead","cpu":1"#;
const UP: &str = r#""op":"cpu_up","cpu":1"#;

#[test]
fn what_contradicts_the_events_before_is_said() {
    let cases: [(&[&str], &str); 21] = [
        (
            &[FREE],
            "a:2: `free` of id 7, which is not live; was the trace cut at the start?",
        ),
        (
            &[ALLOC, FREE, FREE],
            "a:4: `free` of id 7, which is not live (freed at line 3); is a `double_free` meant?",
        ),
        (
            &[ALLOC, ALLOC],
            "a:3: `alloc` of id 7, which is still allocated (since line 2)",
        ),
        (
            &[ALLOC, MAP],
            "a:3: `map` of id 7, which is still allocated (since line 2)",
        ),
        (
            &[MAP, FREE],
            "a:3: `free` of id 7, which was mapped at line 2, expected `unmap`",
        ),
        (
            &[ALLOC, UNMAP],
            "a:3: `unmap` of id 7, which was allocated at line 2, expected `free`",
        ),
        (
            &[ALLOC, r#""op":"free","id":7,"dom":5"#],
            "a:3: `dom` of `free` of id 7 is 5, expected 0, the domain that allocated it",
        ),
        (
            &[MAP, r#""op":"unmap","id":7,"dom":5"#],
            "a:3: `dom` of `unmap` of id 7 is 5, expected 0, the domain that allocated it",
        ),
        (
            &[AGAIN],
            "a:2: `double_free` of id 7, which was never allocated",
        ),
        (
            &[ALLOC, AGAIN],
            "a:3: `double_free` of id 7, which is still allocated (since line 2) and was not freed before",
        ),
        (
            &[ALLOC, FREE, OTHER, FREE_OTHER, OTHER, FREE_OTHER, AGAIN],
            "a:8: `double_free` of id 7, which was never allocated, or was freed more than 2 frees ago",
        ),
        (
            &[
                ALLOC, FREE, OTHER, FREE_OTHER, OTHER, FREE_OTHER, ALLOC, AGAIN,
            ],
            "a:9: `double_free` of id 7, which is still allocated (since line 8) and was not freed before, or \
             more than 2 frees ago",
        ),
        (
            &[
                r#""op":"free_pfn","pfn":1,"t":5"#,
                r#""op":"free_pfn","pfn":1,"t":4"#,
            ],
            "a:3: `t` goes backwards: 4, after 5",
        ),
        (
            &[r#""op":"free_pfn","pfn":1,"cpu":2"#],
            "a:2: `cpu` is 2, expected less than 2, the header's `cpus`",
        ),
        (
            &[r#""op":"cpu_up","cpu":2"#],
            "a:2: `cpu` is 2, expected less than 2, the header's `cpus`",
        ),
        (
            &[DEAD, r#""op":"free_pfn","pfn":1,"cpu":1"#],
            "a:3: `cpu` is 1, which is offline since line 2; expected an online CPU",
        ),
        (
            &[DEAD, DEAD],
            "a:3: `cpu` is 1, which is offline since line 2; expected an online CPU",
        ),
        (&[UP], "a:2: `cpu_up` of cpu 1, which is already online"),
        (
            &[DEAD, UP, UP],
            "a:4: `cpu_up` of cpu 1, which is already online",
        ),
        (
            &[DEAD, r#""op":"cpu_dead","cpu":0"#],
            "a:3: cannot take cpu 0 offline: it is the last one online",
        ),
        (
            &[r#""op":"cpu_dead""#],
            "a:2: `cpu` is missing in `cpu_dead`, expected an integer from 0 to 65535",
        ),
    ];
    for (events, expected) in cases {
        let message = admit(r#","cpus":2"#, events).unwrap_err();
        assert_eq!(message, expected, "of {events:?}");
    }
}

#[test]
fn a_cpu_that_is_online_again_may_ask() {
    let asks = r#""op":"free_pfn","pfn":1,"cpu":1"#;
    assert!(admit(r#","cpus":2"#, &[asks, DEAD, UP, asks, DEAD, UP]).is_ok());
}

#[test]
fn an_event_without_cpu_runs_on_the_lowest_one_online() {
    const DEAD_0: &str = r#""op":"cpu_dead","cpu":0"#;
    let restore = r#""op":"restore","nodes":[],"cached32":null,"cached":null,"max32":9"#;
    let reserve = r#""op":"reserve","lo":1,"hi":2"#;
    let events = [
        ALLOC,
        FREE,
        DEAD_0,
        reserve,
        ALLOC,
        DEAD,
        FREE,
        AGAIN,
        restore,
        r#""op":"free_pfn","pfn":5"#,
        r#""op":"cpu_up","cpu":0"#,
        reserve,
    ];
    let (_, requests) = admit(r#","cpus":3"#, &events).unwrap();
    let cpus: Vec<_> = requests.iter().map(|request| request.cpu.0).collect();
    assert_eq!(cpus, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0]);
    let explicit = admit(
        r#","cpus":2"#,
        &[DEAD_0, r#""op":"free_pfn","pfn":1,"cpu":0"#],
    );
    assert_eq!(
        explicit.unwrap_err(),
        "a:3: `cpu` is 0, which is offline since line 2; expected an online CPU"
    );
}

#[test]
fn a_shortage_of_memory_needs_no_cpu() {
    let nomem = r#""op":"nomem","what":"iova","cpu":1"#;
    assert!(admit(r#","cpus":2"#, &[DEAD, nomem]).is_ok());
}

#[test]
fn domains_and_devices_are_numbered_as_they_are_mentioned() {
    let events = [
        r#""op":"map","id":1,"bytes":1,"mask":9,"dom":70,"dev":"eth1""#,
        r#""op":"map","id":2,"bytes":1,"mask":9,"dom":5,"dev":"eth1""#,
        r#""op":"map","id":3,"bytes":1,"mask":9,"dom":70,"dev":"""#,
        r#""op":"map","id":4,"bytes":1,"mask":9,"dom":70"#,
        r#""op":"map","id":5,"bytes":1,"mask":9,"dom":70,"dev":"eth1""#,
    ];
    let (checker, requests) = admit("", &events).unwrap();
    assert_eq!(checker.domains(), [70, 5]);
    let of_request = |request: &Request| match request.op {
        Op::Map { dev: device, .. } => (request.dom.0, device.0),
        _ => panic!("a map asks for something else"),
    };
    let numbers: Vec<_> = requests.iter().map(of_request).collect();
    assert_eq!(numbers, [(0, 0), (1, 1), (0, 2), (0, 2), (0, 0)]);
}

#[test]
fn a_double_free_names_the_last_life_that_ended() {
    let (_, requests) = admit("", &[ALLOC, FREE, ALLOC, AGAIN, FREE, AGAIN, AGAIN]).unwrap();
    let slots: Vec<_> = requests.iter().map(slot_of).collect();
    assert_eq!(slots, [0, 0, 1, 0, 1, 1, 1]);
}

fn slot_of(request: &Request) -> u32 {
    match request.op {
        Op::Alloc { id: slot, .. }
        | Op::Free { id: slot }
        | Op::Map { id: slot, .. }
        | Op::Unmap { id: slot }
        | Op::DoubleFree { id: slot } => slot.0,
        _ => panic!("no id in {request:?}"),
    }
}

proptest! {
    #[test]
    fn slots_are_distinct_among_what_is_live_or_remembered(
        steps in prop::collection::vec((0..6_u64, prop::bool::weighted(0.3)), 0..200),
        last in prop::option::of(0..9_usize),
    ) {
        let mut checker = Checker::remembering(&Header::default(), last.unwrap_or(usize::MAX));
        // Lives in the order of their ends; the live ones have no end yet.
        let mut live: Vec<(u64, u32)> = Vec::new();
        let mut ended: Vec<(u64, u32)> = Vec::new();
        let mut peak = 0;
        for (number, (id, again)) in (0..).zip(steps) {
            let was_live = live.iter().position(|life| life.0 == id);
            let op = match was_live {
                _ if again => Op::DoubleFree { id },
                Some(_) => Op::Free { id },
                None => Op::Alloc {
                    id,
                    pages: Pages(1),
                    limit: Pfn(9),
                    path: Path::Fast { flush: true },
                    got: Got::Unrecorded,
                },
            };
            let event = Event { at: Nanos(0), cpu: Cpu(0), dom: 0, op };
            let slot = checker.admit(Place::Event(number), &event).map(|request| slot_of(&request));
            let first = ended.len().saturating_sub(last.unwrap_or(usize::MAX));
            let remembered = &ended[first..];
            if again {
                let expected = remembered.iter().rev().find(|life| life.0 == id);
                prop_assert_eq!(slot.ok(), expected.map(|life| life.1));
            } else if let Some(index) = was_live {
                let life = live.remove(index);
                prop_assert_eq!(slot.unwrap(), life.1);
                ended.push(life);
            } else {
                let slot = slot.unwrap();
                prop_assert!(live.iter().chain(remembered).all(|life| life.1 != slot));
                live.push((id, slot));
                peak = peak.max(live.len() + remembered.len() + 1);
                prop_assert!((slot as usize) < peak, "more slots than lives to tell apart");
            }
        }
    }
}
