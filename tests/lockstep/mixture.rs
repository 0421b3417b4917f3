//! The parts from which a random trace is drawn: a window of the address space, and the kinds of
//! request, sizes, limits and times of one trace.

use iova::units::Granule;

use crate::random::Random;

/// Where in the address space a trace happens.
pub(crate) struct Place {
    pub(crate) granule: Granule,
    pub(crate) start: u64,
    pub(crate) dma32: u64,
    /// About how many pages the requests have to do with.
    pub(crate) window: u64,
}

impl Place {
    pub(crate) fn draw(random: &mut Random) -> Place {
        let bytes = random.pick(&[4096, 4096, 4096, 16384, 65536, 1]);
        let granule = Granule::from_bytes(bytes).expect("a power of two");
        let dma32 = granule.dma32().0;
        let bits = random.pick(&[2, 4, 5, 6, 8, 10, 13]);
        let window = random.within(1 << (bits - 1), 1 << bits);
        let start = match random.below(10) {
            0 => 0,
            1 | 2 => 1,
            3 => random.below(64),
            4 => random.within(0, dma32),
            5 | 6 => dma32 - window,
            7 => dma32 - random.below(window),
            8 => dma32 + random.below(3),
            _ => dma32 - (2 * window).next_power_of_two(),
        };
        Place {
            granule,
            start,
            dma32,
            window,
        }
    }

    pub(crate) fn size(&self, random: &mut Random, kind: u64) -> u64 {
        match kind {
            0 => 1,
            1 => random.within(1, 4),
            2 => random.within(1, 40),
            3 => random.within(1, self.window),
            4 => 1 << random.below(13),
            5 => (1 << random.below(13)) + 1,
            6 => (1 << random.within(1, 13)) - 1,
            7 => 32 + random.below(3),
            8 => self.window.div_ceil(random.within(1, 5)),
            9 => 1 << random.within(12, 33),
            10 => (1 << random.within(12, 33)) - 1 + random.below(3),
            12 => random.within(17, 32),
            _ => random.pick(&[
                1 << 52,
                (1 << 52) - 1,
                (1 << 63) - 1,
                1 << 63,
                (1 << 63) + 1,
                3 << 62,
                u64::MAX - (1 << 20),
                u64::MAX - 1,
                u64::MAX,
            ]),
        }
    }

    pub(crate) fn limit(&self, random: &mut Random, kind: u64) -> u64 {
        let far = self.start.saturating_add(self.window);
        match kind {
            0 | 1 => far,
            2 => far - random.below(self.window),
            3..=5 => self.dma32 - 1,
            6 => self.dma32 - 1 - random.below(self.window),
            7 => self.dma32 + random.below(3),
            8 => self.dma32 + random.below(self.window),
            9 => (1 << random.within(1, 63)) - 1,
            10 => self.start.saturating_sub(random.below(2)),
            11 => u64::MAX - random.below(3),
            12 => u64::MAX - random.below(self.window),
            13 => u64::MAX / self.granule.bytes() - random.below(2),
            _ => random.bits() >> random.below(64),
        }
    }

    /// A pfn near which something may be, never the anchor's.
    pub(crate) fn near(&self, random: &mut Random) -> u64 {
        let reach = 2 * self.window;
        let pfn = match random.below(8) {
            0..=2 => self.start.saturating_add(random.below(reach)),
            3 | 4 => self.dma32.saturating_sub(random.below(reach)),
            5 => self.dma32 + random.below(self.window),
            6 => self.start.saturating_sub(random.below(self.window)),
            _ => u64::MAX - random.below(self.window),
        };
        pfn.min(u64::MAX - 1)
    }
}

/// The kinds of request that a trace may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Alloc,
    Map,
    Free,
    Reserve,
    FreePfn,
    CpuDead,
    CpuUp,
    Restore,
    NoMem,
    DoubleFree,
}

/// Which of the live ranges is freed.
#[derive(Clone, Copy)]
pub(crate) enum Victim {
    Any,
    Oldest,
    Newest,
    Alternate,
}

/// Nothing mostly, then about as long as a depot's work is put off.
const RARE_PAUSES: [u64; 40] = {
    let mut pauses = [0; 40];
    pauses[0] = 100_000_000;
    pauses[1] = 30_000_000;
    pauses[2] = 250_000_001;
    pauses
};

/// What a trace is made of.
pub(crate) struct Mixture {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) size_kinds: Vec<u64>,
    pub(crate) limits: Vec<u64>,
    pub(crate) fast_percent: u64,
    pub(crate) flush_percent: u64,
    pub(crate) align_percent: u64,
    pub(crate) live_max: usize,
    /// Fill up to the most, then empty, and so on; else both at once.
    pub(crate) in_waves: bool,
    pub(crate) victim: Victim,
    pub(crate) reuse_percent: u64,
    pub(crate) gaps: Vec<u64>,
    pub(crate) move_percent: u64,
    pub(crate) doms: u64,
}

impl Mixture {
    pub(crate) fn draw(random: &mut Random, place: &Place) -> Mixture {
        let mixture = Mixture::draw_any(random, place);
        match random.below(10) {
            0 | 1 => mixture.in_bulk(random, place),
            2 => mixture.of_small_under_several_limits(random, place),
            _ => mixture,
        }
    }

    /// Many small ranges with room for all, so that magazines, depots and rings run over.
    pub(crate) fn in_bulk(self, random: &mut Random, place: &Place) -> Mixture {
        Mixture {
            size_kinds: random
                .pick(&[&[0_u64] as &[u64], &[0, 0, 1], &[12]])
                .to_vec(),
            limits: vec![u64::MAX / place.granule.bytes() - 1],
            fast_percent: 100,
            live_max: random.pick(&[300, 700]),
            in_waves: true,
            gaps: random
                .pick(&[
                    &RARE_PAUSES as &[u64],
                    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 10_000_000],
                    &self.gaps,
                ])
                .to_vec(),
            move_percent: random.pick(&[0, 1]),
            doms: 1,
            ..self
        }
    }

    /// Small ranges on either side of several limits, so that a magazine holds some that fit
    /// and some that do not.
    fn of_small_under_several_limits(self, random: &mut Random, place: &Place) -> Mixture {
        let below = |pages| place.dma32 - 1 - pages;
        Mixture {
            size_kinds: random.pick(&[&[0_u64] as &[u64], &[0, 1], &[2]]).to_vec(),
            limits: vec![
                below(0),
                below(random.below(10)),
                below(random.below(40)),
                place.dma32 + 10,
            ],
            fast_percent: 100,
            ..self
        }
    }

    pub(crate) fn draw_any(random: &mut Random, place: &Place) -> Mixture {
        let size_kinds = (0..random.within(1, 3)).map(|_| random.below(12)).collect();
        let mut limits = Vec::new();
        for _ in 0..random.within(1, 4) {
            let kind = random.below(15);
            limits.push(place.limit(random, kind));
        }
        Mixture {
            kinds: Mixture::kinds(random),
            size_kinds,
            limits,
            fast_percent: random.pick(&[0, 50, 100]),
            flush_percent: random.pick(&[0, 50, 100]),
            align_percent: random.pick(&[0, 50, 100]),
            live_max: random.pick(&[3, 8, 20, 50, 150, 400]),
            in_waves: random.percent(50),
            victim: random.pick(&[
                Victim::Any,
                Victim::Any,
                Victim::Oldest,
                Victim::Newest,
                Victim::Alternate,
            ]),
            reuse_percent: random.pick(&[0, 50, 100]),
            gaps: random
                .pick(&[
                    &[0_u64] as &[u64],
                    &[0, 0, 0, 10_000_000],
                    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 100_000_000, 99_999_999],
                    &[1_000_000, 9_000_000, 10_000_001],
                    &[0, 1, 50_000_000, 100_000_000, 1_000_000_000, 3_700_000_000],
                    &[0, 1 << 62],
                ])
                .to_vec(),
            move_percent: random.pick(&[0, 5, 50]),
            doms: random.pick(&[1, 1, 1, 2, 3]),
        }
    }

    /// Each kind as often as it is to be drawn; about half of the kinds are left out.
    fn kinds(random: &mut Random) -> Vec<Kind> {
        let weights = [
            (Kind::Alloc, 40),
            (Kind::Map, 40),
            (Kind::Free, 30),
            (Kind::Reserve, 4),
            (Kind::FreePfn, 3),
            (Kind::CpuDead, 2),
            (Kind::CpuUp, 2),
            (Kind::Restore, 1),
            (Kind::NoMem, 3),
            (Kind::DoubleFree, 4),
        ];
        let mut kinds = Vec::new();
        for (kind, weight) in weights {
            if kind == Kind::Free || random.percent(50) {
                kinds.extend((0..weight).map(|_| kind));
            }
        }
        if !kinds.contains(&Kind::Map) {
            kinds.extend([Kind::Alloc; 40]);
        }
        kinds
    }
}
