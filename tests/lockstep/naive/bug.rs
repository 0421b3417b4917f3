//! Mistakes that the naive model can be told to make, each of which the lockstep tests must
//! notice: a harness that misses one of them is broken.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The short cut refuses only what is larger than `max32`.
    ShortcutAboveMax32,
    /// A limit at the 32-bit border counts as a 64-bit one.
    BorderIs64Bit,
    /// A range that ends right above the 32-bit border counts as a 32-bit one.
    BorderIs32Bit,
    /// A candidate may share its first page with the range below.
    CandidateMayTouch,
    /// The second pass leaves out the lowest page.
    ResumeOffByOne,
    /// An insertion remembers the range above the new one.
    SuccessorIsCached,
    /// `cached32` moves only for ranges above it, not for its own.
    FreeStrictlyAbove,
    /// Nothing resets `max32`.
    Max32NeverReset,
    /// A reservation that overlaps something does not insert what is left.
    ReserveLosesRest,
    /// The depot gives its oldest magazine first.
    DepotFirstInFirstOut,
    /// A pfn taken from the middle of a magazine leaves the order of the others as it was.
    TakeShifts,
    /// A magazine holds one more.
    MagazineOneMore,
    /// A magazine is returned from the top down.
    DrainFromTheTop,
    /// A flush forgets the second magazine of each CPU.
    FlushForgetsPrev,
    /// A flush leaves the depots alone.
    FlushForgetsDepots,
    /// A depot gives a magazine back while it holds as many as CPUs are online.
    ReclaimOneMore,
    /// Delayed work counts from the event before which it ran.
    ReclaimFromEvent,
    /// A depot's work may be scheduled several times at once.
    ReclaimNotPending,
    /// A ring has room for one more.
    RingOneMore,
    /// The timer frees on the first CPU.
    TimerOnFirstCpu,
    /// A full ring is flushed, but nothing is freed.
    FullRingKeeps,
    /// A PCI device tries 32 bits first again after that failed.
    DeviceForgets,
    /// Of gaps equally wide the best fit is the last.
    LastOfEquals,
    /// The maple tree is asked for a gap that just takes the request.
    MapleFitsTightly,
    /// A failing allocation of memory is not counted.
    NoMemForEver,
}
