//! From a trace to a scenario that behaves like it and names nothing.
//!
//! What a vendor may not share is the trace; what a maintainer needs is its behaviour. A
//! profile keeps how many buffers of which sizes were asked for and freed in each slice of
//! time, by whom (clients: requests alike in domain, level, limit, size and lifetime), on
//! which CPUs, and how old what was freed was. It keeps no address, no name of a device or of
//! anything else, no time of day, and no request of its own: a scenario draws them anew.
//!
//! * `history`: what a trace's requests were, from its events.
//! * `clients`: which of them belong together.
//! * `activity`: what a client did in each slice.
//! * `scenario`: the scenario of it.
//!
//! What it gives up: which client's request follows which, within a slice; more than one order
//! of frees a client; CPUs that go and come, and other faults, which are counted as left out.

mod activity;
mod clients;
mod history;
mod scenario;

use std::collections::BTreeMap;

use crate::trace::event::{Event, Header};
use activity::Activity;
use clients::Client;
use history::{History, Key};
use iova::kernel::Allocator;
use iova::units::{Nanos, PfnRange};

/// Takes in a trace, event by event. Memory grows with its requests: about 150 bytes each.
#[derive(Clone, Debug)]
pub struct Profiler {
    header: Header,
    history: History,
}

/// The behaviour of a trace.
#[derive(Clone, Debug)]
pub struct Profile {
    header: Header,
    keys: Vec<Key>,
    clients: Vec<(Client, Activity)>,
    /// How long it took from its first event to the last request or free.
    lasts: Nanos,
    requests: u64,
    /// How long each slice is.
    slice_lengths: Vec<Nanos>,
    /// The reserved ranges of the busiest domain, packed between the limits in use.
    reserved: Vec<PfnRange>,
    /// The busiest domain's number in the trace.
    busiest: u64,
    left_out: BTreeMap<&'static str, u64>,
}

/// The name, allocators and seeds of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    pub name: &'a str,
    /// Its allocators, the one to compare with first.
    pub allocators: &'a [Allocator],
    /// How many seeds it has.
    pub seeds: u64,
}

impl Profiler {
    /// For a trace with that header.
    pub fn new(header: &Header) -> Profiler {
        Profiler {
            header: header.clone(),
            history: History::new(header.granule),
        }
    }

    /// Takes the next event, one that a [`Checker`](crate::trace::check::Checker) admits.
    pub fn observe(&mut self, event: &Event) {
        self.history.observe(event);
    }

    /// The behaviour of the trace; `None` if it has no requests.
    pub fn finish(self) -> Option<Profile> {
        let Profiler {
            header,
            mut history,
        } = self;
        history.free_refused();
        let begun = history.begun?;
        let last = history.acts.last()?.at;
        let (clients, of_life) = clients::find(&history);
        let slices = activity::slices(&history.acts, begun);
        let activities = activity::of_clients(&history, &clients, &of_life, &slices);
        let busiest = history.busiest();
        Some(Profile {
            reserved: history.reserved_packed(busiest, header.start_pfn),
            header,
            clients: clients.into_iter().zip(activities).collect(),
            lasts: Nanos(last.0 - begun.0),
            requests: history.lives.len() as u64,
            slice_lengths: slices.iter().map(|slice| slice.lasts).collect(),
            keys: history.keys,
            busiest,
            left_out: history.left_out,
        })
    }
}

impl Profile {
    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Events that the profile does not keep, by operation.
    pub fn left_out(&self) -> &BTreeMap<&'static str, u64> {
        &self.left_out
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::scenario::{Scenario, ScenarioFile};
    use crate::trace::Place;
    use crate::trace::arbitrary;
    use crate::trace::check::Checker;
    use crate::trace::event::Op;
    use crate::trace::stats::Stats;
    use crate::workload::invalid::LIVE_MAX;
    use iova::op::Got;
    use iova::units::{Cpu, Pages, Pfn};

    fn profile(header: &Header, events: &[Event]) -> Option<Profile> {
        let mut profiler = Profiler::new(header);
        for event in events {
            profiler.observe(event);
        }
        profiler.finish()
    }

    fn scenario(profile: &Profile) -> (String, Scenario) {
        let file = profile.scenario(&Naming {
            name: "a \"profile\"",
            allocators: &["new".parse().expect("an allocator")],
            seeds: 2,
        });
        let text = file.to_text();
        let mut no_trace = |_: &Path| Err("a profile names no trace".into());
        let scenario = Scenario::parse(&text, Path::new("profile"), &mut no_trace);
        (text, scenario.unwrap_or_else(|error| panic!("{error}")))
    }

    fn alloc(at: u64, id: u64, pages: u64, got: Got) -> Event {
        Event {
            at: Nanos(at),
            cpu: Cpu(0),
            dom: 3,
            op: Op::Alloc {
                id,
                pages: Pages(pages),
                limit: Pfn(0xf_ffff),
                path: iova::op::Path::Fast { flush: true },
                got,
            },
        }
    }

    fn free(at: u64, id: u64) -> Event {
        Event {
            op: Op::Free { id },
            ..alloc(at, id, 1, Got::Unrecorded)
        }
    }

    /// What of a stream a profile keeps exactly.
    fn counted(events: impl Iterator<Item = Event>) -> (u64, u64, u64) {
        events.fold(
            (0, 0, 0),
            |(allocs, pages_asked, frees), event| match event.op {
                Op::Alloc { pages, .. } => (allocs + 1, pages_asked + pages.0, frees),
                _ => (allocs, pages_asked, frees + 1),
            },
        )
    }

    #[test]
    fn counts_and_sizes_are_those_of_the_trace() {
        let mut events = Vec::new();
        for number in 0..500 {
            events.push(alloc(number * 10, number, 1 + number % 40, Got::Unrecorded));
            if number >= 20 {
                events.push(free(number * 10 + 5, number - 20));
            }
        }
        let profile = profile(&Header::default(), &events).expect("requests");
        let (_, scenario) = scenario(&profile);
        for seed in [1, 2] {
            let generated = counted(scenario.events(seed));
            assert_eq!(generated, counted(events.iter().cloned()));
        }
        let busy = scenario.events(1).map(|event| event.dom);
        assert_eq!(busy.max(), Some(0));
    }

    /// Buffers live for 2 acts; every third request was refused and would have lived as long.
    #[test]
    fn what_was_refused_loads_the_space_as_what_was_granted() {
        let mut events = Vec::new();
        for number in 0..300 {
            let refused = number % 3 == 2;
            let got = if refused {
                Got::Failed
            } else {
                Got::Pfn(Pfn(7))
            };
            events.push(alloc(number * 10, number, 4, got));
            if !refused {
                events.push(free(number * 10 + 5, number));
            }
        }
        let profile = profile(&Header::default(), &events).expect("requests");
        let (_, scenario) = scenario(&profile);
        let (allocs, _, frees) = counted(scenario.events(1));
        // The last is refused, and the trace ends before its buffer would be freed.
        assert_eq!((allocs, frees), (300, 299));
    }

    #[test]
    fn nothing_is_named() {
        let mut event = alloc(1_234_567_890_123, 77_777, 5, Got::Pfn(Pfn(0xabcde)));
        event.op = Op::Map {
            id: 77_777,
            bytes: 5 << 12,
            mask: u64::from(u32::MAX),
            pci: true,
            dev: Some("0000:03:00.0".into()),
            got: Got::Pfn(Pfn(0xabcde)),
        };
        let header = Header {
            name: Some("secret".to_owned()),
            source: Some("secret".to_owned()),
            kernel: Some("secret".to_owned()),
            ..Header::default()
        };
        let profile = profile(&header, &[event]).expect("a request");
        let (text, _) = scenario(&profile);
        for word in [
            "secret",
            "0000:03",
            "1234567890",
            "77777",
            "abcde",
            "703710",
        ] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }

    /// A 64-bit PCI window above 4 GiB must not cover the 32-bit space of the profile.
    #[test]
    fn reserved_ranges_keep_their_side_of_4_gib_and_of_the_limits() {
        let reserve = |lo, hi| Event {
            op: Op::Reserve {
                range: iova::units::PfnRange::new(Pfn(lo), Pfn(hi)).expect("a range"),
            },
            ..alloc(0, 0, 1, Got::Unrecorded)
        };
        let mut wide = alloc(9, 2, 1, Got::Unrecorded);
        if let Op::Alloc { limit, .. } = &mut wide.op {
            *limit = Pfn(0xfff_ffff);
        }
        let mut low = alloc(9, 3, 1, Got::Unrecorded);
        if let Op::Alloc { limit, .. } = &mut low.op {
            *limit = Pfn(0x7_ffff);
        }
        let events = [
            reserve(0xf_ee00, 0xf_eeff),
            reserve(0x14_0000, 0x93_ffff),
            reserve(0x7_fff0, 0x8_000f),
            alloc(9, 1, 1, Got::Unrecorded),
            wide,
            low,
        ];
        let profile = profile(&Header::default(), &events).expect("requests");
        let reserved = profile.reserved.iter().map(|it| (it.lo().0, it.hi().0));
        assert_eq!(
            reserved.collect::<Vec<_>>(),
            [
                (1, 0x10),
                (0x8_0000, 0x8_000f),
                (0x8_0010, 0x8_010f),
                (0x10_0000, 0x8f_ffff),
            ]
        );
    }

    #[test]
    fn a_trace_that_asks_for_nothing_has_no_profile() {
        assert!(profile(&Header::default(), &[]).is_none());
    }

    proptest! {
        /// Whatever the checker admits becomes a scenario that can be read, with as many
        /// requests.
        #[test]
        fn any_trace_has_a_profile_that_is_a_scenario(
            header in arbitrary::header(),
            events in proptest::collection::vec(arbitrary::event(), 0..60),
        ) {
            // Beyond the highest pfn of its granule a scenario has no domain.
            prop_assume!(header.start_pfn.0 <= u64::MAX >> header.granule.shift());
            let mut checker = Checker::new(&header);
            let mut stats = Stats::new(&header);
            let mut admitted = Vec::new();
            for (number, mut event) in (0..).zip(events) {
                // What happens at the end of time cannot happen before the end of a scenario.
                event.at.0 /= 2;
                if checker.admit(Place::Event(number), &event).is_ok() {
                    stats.observe(&event);
                    admitted.push(event);
                }
            }
            let Some(profile) = profile(&header, &admitted) else {
                return Ok(());
            };
            prop_assume!(profile.requests() < LIVE_MAX);
            let file = profile.scenario(&Naming {
                name: "any",
                allocators: &["new".parse().expect("an allocator")],
                seeds: 1,
            });
            let text = file.to_text();
            prop_assert_eq!(&ScenarioFile::from_text(&text, Path::new("p")), &Ok(file));
            let mut no_trace = |_: &Path| Err("a profile names no trace".into());
            let read = Scenario::parse(&text, Path::new("p"), &mut no_trace);
            match read {
                Ok(scenario) => {
                    let requests = scenario.events(1).filter(|event| {
                        matches!(event.op, Op::Alloc { .. } | Op::Map { .. })
                    });
                    prop_assert_eq!(requests.count() as u64, profile.requests());
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
