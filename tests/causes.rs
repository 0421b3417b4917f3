//! The cause of every failure of random traces, against a judge that looks at every page.

use iova::kernel::rbtree::NodeId;
use iova::kernel::{Allocator, DomainConfig, DomainOptions, FlushQueue, Memory};
use iova::kernel::{Asked, Domain, Refusal};
use iova::measure::Cause;
use iova::measure::cause::{self, Judge};
use iova::op::{Op, Path};
use iova::replay::{Device, Dom, Replay, Request, Slot};
use iova::units::{Cpu, Nanos, Pages, Pfn};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

const START: u64 = (1 << 20) - 500;
const CPUS: u64 = 3;

/// Every page of the window: used by somebody, held back, or free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Used,
    HeldBack,
    Free,
}

fn pages(domain: &Domain, limit: u64) -> Vec<Page> {
    let mut pages = vec![Page::Free; usize::try_from(limit + 1).expect("a small window")];
    let ranges = domain.space().ranges();
    let magazines = domain.rcache();
    let cached = magazines.in_magazines().chain(magazines.in_depots());
    let held: Vec<Pfn> = cached
        .map(|(_, pfn)| pfn)
        .chain(domain.queued().map(|entry| entry.pfn))
        .collect();
    for id in ranges.iter().filter(|&id| id != NodeId::ANCHOR) {
        let (lo, hi) = (ranges.lo(id), ranges.hi(id));
        let is_held = held.iter().any(|pfn| (lo..=hi).contains(pfn));
        for pfn in lo.0..=hi.0.min(limit) {
            let index = usize::try_from(pfn).expect("a small window");
            pages[index] = if is_held { Page::HeldBack } else { Page::Used };
        }
    }
    pages
}

fn fits(pages: &[Page], asked: Asked, free: impl Fn(Page) -> bool) -> bool {
    let size = usize::try_from(asked.size.0).expect("a small size");
    let multiple = if asked.aligned {
        size.next_power_of_two()
    } else {
        1
    };
    let start = usize::try_from(START).expect("a small window");
    let places = (start..pages.len()).filter(|place| place % multiple == 0);
    places
        .filter(|place| place + size <= pages.len())
        .any(|place| pages[place..place + size].iter().all(|&page| free(page)))
}

fn naive(domain: &Domain, asked: Asked, refusal: Refusal) -> Cause {
    if refusal == Refusal::NoMemory {
        return Cause::NoMem;
    }
    let pages = pages(domain, asked.limit.0);
    if fits(&pages, asked, |page| page == Page::Free) {
        let shortcut = refusal == Refusal::Shortcut;
        return if shortcut {
            Cause::Shortcut
        } else {
            Cause::Missed
        };
    }
    if fits(&pages, asked, |page| page != Page::Used) {
        return Cause::Cached;
    }
    let start = usize::try_from(START).expect("a small window");
    let unused = pages[start..]
        .iter()
        .filter(|&&page| page != Page::Used)
        .count();
    if unused as u64 >= asked.size.0 {
        Cause::Fragmented
    } else {
        Cause::Exhausted
    }
}

/// Requests near exhaustion of a small window, on all paths.
struct Traffic {
    rng: TestRng,
    live: Vec<(Slot, bool)>,
    slots: u32,
    at: u64,
}

impl Traffic {
    fn below(&mut self, bound: u64) -> u64 {
        u64::from(self.rng.next_u32()) % bound
    }

    fn next(&mut self) -> Request {
        self.at += self.below(2_000_000);
        let cpu = Cpu(u16::try_from(self.below(CPUS)).expect("few CPUs"));
        let op = match self.below(20) {
            0 => Op::NoMem {
                what: Memory::Iova,
                count: 1,
            },
            1..=10 if self.live.len() > 40 => {
                let index = usize::try_from(self.below(self.live.len() as u64)).expect("few");
                let (slot, mapped) = self.live.swap_remove(index);
                if mapped {
                    Op::Unmap { id: slot }
                } else {
                    Op::Free { id: slot }
                }
            }
            choice => self.request(choice % 4),
        };
        Request {
            at: Nanos(self.at),
            cpu,
            dom: Dom(0),
            op,
        }
    }

    fn request(&mut self, path: u64) -> Op<Slot> {
        let slot = Slot(self.slots);
        self.slots += 1;
        self.live.push((slot, path == 0));
        let pages = if self.below(3) == 0 {
            1 + self.below(40)
        } else {
            1 + self.below(8)
        };
        let limit = Pfn((1 << 20) - 1 - self.below(2) * self.below(150));
        match path {
            0 => {
                let mask = (limit.0 << 12) + 4095;
                Op::Map {
                    id: slot,
                    bytes: pages * 4096,
                    mask,
                    dev: Device(0),
                    pci: false,
                    got: (),
                }
            }
            1 => {
                let align = self.below(2) == 0;
                Op::Alloc {
                    id: slot,
                    pages: Pages(pages),
                    limit,
                    path: Path::Direct { align },
                    got: (),
                }
            }
            _ => {
                let flush = self.below(3) != 0;
                Op::Alloc {
                    id: slot,
                    pages: Pages(pages),
                    limit,
                    path: Path::Fast { flush },
                    got: (),
                }
            }
        }
    }
}

#[test]
fn causes_agree_with_a_judge_that_looks_at_every_page() {
    let allocators = [
        "linux-5.10",
        "old",
        "new",
        "linux-7.2~retry",
        "maple-2026",
        "best-fit",
    ];
    let mut judged_as = [0u64; Cause::ALL.len()];
    for (index, name) in allocators.into_iter().enumerate() {
        let allocator: Allocator = name.parse().expect("an allocator");
        for flush_queue in [FlushQueue::None, FlushQueue::PerCpu] {
            let config = DomainConfig::new(
                &allocator,
                DomainOptions {
                    start_pfn: Pfn(START),
                    flush_queue,
                    ..DomainOptions::default()
                },
            )
            .expect("a domain");
            let seed = [u8::try_from(index).expect("few allocators"); 32];
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
            let mut traffic = Traffic {
                rng,
                live: Vec::new(),
                slots: 0,
                at: 0,
            };
            let mut replay = Replay::new(config, u32::try_from(CPUS).expect("few CPUs"));
            let mut judge = Judge::default();
            for event in 0..4000 {
                let request = traffic.next();
                let Some(answer) = replay.apply(&request).expect("nothing aborted") else {
                    continue;
                };
                let Err(refusal) = answer.result else {
                    continue;
                };
                let asked = answer.asked;
                let domain = &replay.domains()[0];
                let judged = cause::judge(&config, domain, asked, refusal);
                let expected = naive(domain, asked, refusal);
                assert_eq!(judged, expected, "{name}, event {event}: {request:?}");
                judged_as[judged as usize] += 1;
                // As if other requests failed before anything changes.
                for pages in [1, 2, 7, 8, 33, 100, asked.size.0].repeat(2) {
                    let asked = Asked {
                        size: Pages(pages),
                        ..asked
                    };
                    let judged = judge.judge(&config, (Dom(0), domain), asked, refusal);
                    let expected = naive(domain, asked, refusal);
                    assert_eq!(judged, expected, "{name}, event {event}: {asked:?}");
                }
            }
        }
    }
    for cause in Cause::ALL {
        assert!(
            judged_as[cause as usize] > 0,
            "no failure was {}",
            cause.name()
        );
    }
}
