//! What all domains share: virtual time, the CPUs, injected faults, and work put off.

use iova::kernel::Memory;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    ReclaimDepot { domain: usize, order: usize },
    FlushTimer { domain: usize, cpu: usize },
}

#[derive(Clone, Debug)]
struct PutOff {
    due: u64,
    work: Work,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The due time of the work that runs, or the time of the request.
    pub(crate) now: u64,
    pub(crate) online: Vec<bool>,
    pub(crate) iova_faults: u64,
    pub(crate) magazine_faults: u64,
    /// In the order in which it was scheduled.
    put_off: Vec<PutOff>,
}

impl Machine {
    pub(crate) fn new(cpus: usize) -> Machine {
        Machine {
            now: 0,
            online: vec![true; cpus],
            iova_faults: 0,
            magazine_faults: 0,
            put_off: Vec::new(),
        }
    }

    pub(crate) fn schedule(&mut self, millis: u64, work: Work) {
        let due = self.now.saturating_add(millis * 1_000_000);
        self.put_off.push(PutOff { due, work });
    }

    /// Takes the work that was due first, if that is by `time`; time stands there then. Of
    /// several due at once the one scheduled first.
    pub(crate) fn next_due(&mut self, time: u64) -> Option<Work> {
        let first = self.put_off.iter().map(|it| it.due).min()?;
        if first > time {
            return None;
        }
        let at = self.put_off.iter().position(|it| it.due == first)?;
        self.now = first;
        Some(self.put_off.remove(at).work)
    }

    /// Whether an allocation of memory fails.
    pub(crate) fn fails(&mut self, what: Memory) -> bool {
        let faults = match what {
            Memory::Iova => &mut self.iova_faults,
            Memory::Magazine => &mut self.magazine_faults,
        };
        let fails = *faults > 0;
        *faults = faults.saturating_sub(1);
        fails
    }

    pub(crate) fn online(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.online.len()).filter(|&cpu| self.online[cpu])
    }
}
