//! Which change would have granted a refused request: every release, every single change of the
//! allocator, and changes of the machine or the request.
//!
//! Another allocator or another domain replays the trace from its start. A change of the request
//! alone is tried on the state just before it.

use iova::kernel::allocator_list;
use iova::kernel::changes::TABLE;
use iova::kernel::{Allocator, FlushQueue};
use iova::measure::cause::Judge;
use iova::measure::{Cause, Decision};
use iova::op::{Op, Path};
use iova::replay::{Replay, Request, Slot, ViolationKind};
use iova::units::Pfn;
use serde::Serialize;

use crate::diagnose::names::plain_name;
use crate::diagnose::replaying;
use crate::diagnose::requests::Requests;
use crate::trace::event::Header;

/// What was tried, and what it did to the request.
#[derive(Clone, Debug, Serialize)]
pub struct Remedies {
    /// Every group of releases, the oldest first.
    pub releases: Vec<Tried>,
    /// Every single change, applied or reverted.
    pub changes: Vec<Tried>,
    /// The smallest change of each kind of the machine or the request.
    pub machine: Vec<Tried>,
}

/// A change and its effect on the request.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The allocator's name, or the change in words.
    pub name: String,
    /// Whether a change of the kernel is applied, or reverted.
    pub applied: Option<bool>,
    /// The commit of a change of the kernel, 12 digits.
    pub commit: Option<&'static str>,
    /// The first release that has the change.
    pub first_release: Option<String>,
    pub summary: Option<&'static str>,
    pub verdict: Verdict,
}

/// The answer to the request under a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Verdict {
    Granted {
        pfn: u64,
    },
    Refused {
        cause: Cause,
    },
    /// The kernel would have crashed or hung at that event.
    Aborted {
        event: u64,
        kind: ViolationKind,
    },
    /// There is no such allocator or domain.
    Impossible {
        why: String,
    },
}

impl Verdict {
    pub fn grants(&self) -> bool {
        matches!(self, Verdict::Granted { .. })
    }
}

/// Tries all changes on the request of an event; `before` is the state just before it.
pub(super) fn find(
    requests: &Requests,
    allocator: &Allocator,
    event: u64,
    before: &Replay,
) -> Remedies {
    let case = Case {
        requests,
        allocator,
        event,
        before,
    };
    Remedies {
        releases: case.releases(),
        changes: case.changes(),
        machine: case.machine(),
    }
}

struct Case<'a> {
    requests: &'a Requests,
    allocator: &'a Allocator,
    event: u64,
    before: &'a Replay,
}

impl Case<'_> {
    fn request(&self) -> &Request {
        &self.requests.requests[usize::try_from(self.event).unwrap_or(usize::MAX)]
    }

    fn releases(&self) -> Vec<Tried> {
        let all = allocator_list::parse(["all"]).unwrap_or_default();
        let tried = all.iter().map(|allocator| Tried {
            name: allocator.name().to_owned(),
            applied: None,
            commit: None,
            first_release: None,
            summary: None,
            verdict: self.replayed(&self.requests.header, allocator),
        });
        tried.collect()
    }

    fn changes(&self) -> Vec<Tried> {
        let rows = TABLE.iter().map(|row| {
            let sign = if self.allocator.rules().has(row.change) {
                '~'
            } else {
                '+'
            };
            let name = format!("{}{sign}{}", plain_name(self.allocator), row.slug);
            Tried {
                applied: Some(sign == '+'),
                commit: row.commit,
                first_release: row.first.map(|release| release.to_string()),
                summary: Some(row.summary),
                verdict: self.named(&name),
                name,
            }
        });
        rows.collect()
    }

    fn named(&self, name: &str) -> Verdict {
        match name.parse::<Allocator>() {
            Ok(allocator) => self.replayed(&self.requests.header, &allocator),
            Err(error) => Verdict::Impossible {
                why: error.to_string(),
            },
        }
    }

    /// The answer to the request if the whole trace is replayed.
    fn replayed(&self, header: &Header, allocator: &Allocator) -> Verdict {
        let mut replay = match replaying::fresh(header, allocator) {
            Ok(replay) => replay,
            Err(error) => {
                return Verdict::Impossible {
                    why: error.to_string(),
                };
            }
        };
        let earlier = usize::try_from(self.event).unwrap_or(usize::MAX);
        for request in &self.requests.requests[..earlier] {
            if let Err(aborted) = replay.apply(request) {
                return Verdict::Aborted {
                    event: aborted.event,
                    kind: aborted.kind,
                };
            }
        }
        answer(replay, self.request())
    }

    /// The answer to another request in place of the refused one.
    fn instead(&self, op: Op<Slot>) -> Verdict {
        let request = Request {
            op,
            ..*self.request()
        };
        answer(self.before.clone(), &request)
    }

    fn machine(&self) -> Vec<Tried> {
        let header = &self.requests.header;
        let mut tried = Vec::new();
        tried.extend(self.alignment());
        tried.extend(self.wider_limit());
        tried.extend(self.request_path());
        tried.extend(self.lower_start());
        if header.flush_queue != FlushQueue::None {
            let strict = Header {
                flush_queue: FlushQueue::None,
                ..header.clone()
            };
            let verdict = self.replayed(&strict, self.allocator);
            tried.push(machine(
                "strict unmapping (no flush queue)".to_owned(),
                verdict,
            ));
        }
        let is_pci = |request: &Request| matches!(request.op, Op::Map { pci: true, .. });
        // Releases without the option answer as before.
        if !header.forcedac && self.requests.requests.iter().any(is_pci) {
            let forced = Header {
                forcedac: true,
                ..header.clone()
            };
            let verdict = self.replayed(&forced, self.allocator);
            tried.push(machine("iommu.forcedac=1".to_owned(), verdict));
        }
        tried
    }

    /// The largest cap of the alignment that grants the request.
    fn alignment(&self) -> Option<Tried> {
        let granule = self.requests.header.granule;
        let pages = match self.request().op {
            Op::Alloc {
                path: Path::Direct { align: false },
                ..
            } => return None,
            Op::Alloc { pages, .. } => pages,
            Op::Map { bytes, .. } => granule.pages(bytes),
            _ => return None,
        };
        // The cap counts pages of 4 KiB.
        let order = (pages.order() + granule.shift()).saturating_sub(12).min(63);
        let name = |cap: u32| format!("{}+align-cap-{cap}", self.allocator.name());
        let verdicts = (0..order).rev().map(|cap| (cap, self.named(&name(cap))));
        let (cap, verdict) = first_that_grants(verdicts)?;
        let bytes = power_of_two(cap + 12);
        Some(machine(
            format!("alignment of at most {bytes} (align-cap-{cap})"),
            verdict,
        ))
    }

    /// The fewest more address bits of the request that grant it.
    fn wider_limit(&self) -> Option<Tried> {
        let shift = self.requests.header.granule.shift();
        let op = &self.request().op;
        let bits = |highest: u64| 64 - highest.leading_zeros();
        let now = match op {
            Op::Alloc { limit, .. } => bits(limit.0) + shift,
            Op::Map { mask, .. } => bits(*mask),
            _ => return None,
        };
        let with = |bits: u32| {
            let highest = u64::MAX >> (64 - bits);
            let mut op = op.clone();
            match &mut op {
                Op::Alloc { limit, .. } => *limit = Pfn(highest >> shift),
                Op::Map { mask, .. } => *mask = highest,
                _ => {}
            }
            (bits, self.instead(op))
        };
        let verdicts = (now + 1..=64).map(with);
        let (bits, verdict) = first_that_grants(verdicts)?;
        let name = format!("an address limit of {bits} bits for this request");
        Some(machine(name, verdict))
    }

    /// The same request by another function or with another flag.
    fn request_path(&self) -> Vec<Tried> {
        let Op::Alloc { path, .. } = self.request().op else {
            return Vec::new();
        };
        let with = |new: Path| {
            let mut op = self.request().op.clone();
            if let Op::Alloc { path, .. } = &mut op {
                *path = new;
            }
            self.instead(op)
        };
        let (flush, unaligned) = (Path::Fast { flush: true }, Path::Direct { align: false });
        let mut tried = Vec::new();
        if matches!(
            path,
            Path::Fast { flush: false } | Path::Direct { align: true }
        ) {
            let name = "alloc_iova_fast() with flush_rcache".to_owned();
            tried.push(machine(name, with(flush)));
        }
        if path != unaligned {
            let name = "alloc_iova() without size_aligned".to_owned();
            tried.push(machine(name, with(unaligned)));
        }
        tried
    }

    /// The highest `start_pfn`, halved time and again, that grants the request.
    fn lower_start(&self) -> Option<Tried> {
        let header = &self.requests.header;
        let halves = std::iter::successors(Some(header.start_pfn.0 / 2), |it| Some(it / 2));
        let verdicts = halves.take_while(|&it| it > 0).map(|start| {
            let lower = Header {
                start_pfn: Pfn(start),
                ..header.clone()
            };
            (start, self.replayed(&lower, self.allocator))
        });
        let (start, verdict) = first_that_grants(verdicts)?;
        Some(machine(
            format!("a domain that starts at pfn {start:#x}"),
            verdict,
        ))
    }
}

/// The first that grants the request, or the last of all.
fn first_that_grants<T>(tried: impl Iterator<Item = (T, Verdict)>) -> Option<(T, Verdict)> {
    let mut last = None;
    for one in tried {
        let grants = one.1.grants();
        last = Some(one);
        if grants {
            break;
        }
    }
    last
}

/// 2^`order` bytes: `64 KiB`.
fn power_of_two(order: u32) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = UNITS.get(order as usize / 10).unwrap_or(&"ZiB");
    format!("{} {unit}", 1 << (order % 10))
}

fn machine(name: String, verdict: Verdict) -> Tried {
    Tried {
        name,
        applied: None,
        commit: None,
        first_release: None,
        summary: None,
        verdict,
    }
}

/// The answer of an allocator to one more request.
fn answer(mut replay: Replay, request: &Request) -> Verdict {
    match replay.apply(request) {
        Err(aborted) => Verdict::Aborted {
            event: aborted.event,
            kind: aborted.kind,
        },
        Ok(answer) => match Decision::of(&mut Judge::default(), &replay, request, answer) {
            Decision::Granted(pfn) => Verdict::Granted { pfn: pfn.0 },
            Decision::Refused(refused) => Verdict::Refused {
                cause: refused.cause,
            },
            Decision::NotAsked => Verdict::Impossible {
                why: "no request for addresses".to_owned(),
            },
        },
    }
}
