//! What a trace is to show: a condition on the answers of one or two allocators.
//!
//! A predicate is written as `KIND:OPERANDS`. It holds from the first event on that shows it, so
//! that what follows that event can be left out.

use std::fmt;
use std::str::FromStr;

use iova::kernel::{Allocator, Answer, ConfigError};
use iova::measure::cause::Judge;
use iova::measure::{Cause, Decision};
use iova::replay::{Replay, Request, ViolationKind};

use super::replaying;
use crate::trace::event::Header;

/// A condition on a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// `fails:A,!B`: a request that all of some allocators refuse and all of others grant.
    Fails {
        refusing: Vec<Allocator>,
        granting: Vec<Allocator>,
    },
    /// `differs:A,B`: a request that the two answer differently, if only by the address.
    Differs([Allocator; 2]),
    /// `steps:A,N`: a request whose searches visit at least N ranges.
    Steps(Allocator, u64),
    /// `cause:A,CAUSE`: a request that is refused for that cause.
    Cause(Allocator, Cause),
    /// `refuses:A,N`: the request of event N is refused.
    Refuses(Allocator, u64),
    /// `violation:A,KIND`: an invariant is broken, or the kernel would crash or hang.
    Violation(Allocator, ViolationKind),
    /// `rate:A,R`: more than that share of all requests is refused, at the end of the trace.
    Rate(Allocator, f64),
}

/// How predicates are written, for help.
pub const FORMS: &str = "\
fails:A,!B         a request that A refuses and B grants; any number of either
differs:A,B        a request that the two answer differently, if only by the address
steps:A,N          a request whose searches visit at least N ranges
cause:A,CAUSE      a request that A refuses for that cause
refuses:A,N        A refuses the request of event N
violation:A,KIND   an invariant that A breaks, or a crash or hang of the kernel
rate:A,R           A refuses more than the share R of all requests, such as 0.05";

/// Why a text is no predicate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {problem}; expected one of\n{FORMS}")]
pub struct Error {
    text: String,
    problem: String,
}

impl FromStr for Predicate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Predicate, Error> {
        parse(text).map_err(|problem| Error {
            text: text.to_owned(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Predicate, String> {
    let (kind, operands) = text.split_once(':').ok_or("found no `:`")?;
    let operands: Vec<&str> = operands.split(',').collect();
    if kind == "fails" {
        return fails(&operands);
    }
    let [name, operand] = operands[..] else {
        return Err(format!("found {} operands, expected two", operands.len()));
    };
    let allocator: Allocator = name.parse().map_err(text_of)?;
    Ok(match kind {
        "differs" => Predicate::Differs([allocator, operand.parse().map_err(text_of)?]),
        "steps" => Predicate::Steps(allocator, operand.parse().map_err(text_of)?),
        "cause" => Predicate::Cause(allocator, operand.parse().map_err(text_of)?),
        "refuses" => Predicate::Refuses(allocator, operand.parse().map_err(text_of)?),
        "violation" => Predicate::Violation(allocator, operand.parse().map_err(text_of)?),
        "rate" => match operand.parse() {
            Ok(rate) if (0.0..1.0).contains(&rate) => Predicate::Rate(allocator, rate),
            _ => return Err(format!("found the share {operand}, expected one below 1")),
        },
        _ => return Err(format!("found the unknown kind `{kind}`")),
    })
}

fn fails(operands: &[&str]) -> Result<Predicate, String> {
    let (mut refusing, mut granting) = (Vec::new(), Vec::new());
    for operand in operands {
        match operand.strip_prefix('!') {
            Some(name) => granting.push(name.parse().map_err(text_of)?),
            None => refusing.push(operand.parse().map_err(text_of)?),
        }
    }
    if refusing.is_empty() {
        return Err("found no allocator that refuses".to_owned());
    }
    Ok(Predicate::Fails { refusing, granting })
}

fn text_of(error: impl fmt::Display) -> String {
    error.to_string()
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::Fails { refusing, granting } => {
                let refusing = refusing.iter().map(|it| it.name().to_owned());
                let granting = granting.iter().map(|it| format!("!{}", it.name()));
                let all: Vec<String> = refusing.chain(granting).collect();
                write!(f, "fails:{}", all.join(","))
            }
            Predicate::Differs([one, two]) => write!(f, "differs:{one},{two}"),
            Predicate::Steps(allocator, steps) => write!(f, "steps:{allocator},{steps}"),
            Predicate::Cause(allocator, cause) => write!(f, "cause:{allocator},{cause}"),
            Predicate::Refuses(allocator, event) => write!(f, "refuses:{allocator},{event}"),
            Predicate::Violation(allocator, kind) => {
                write!(f, "violation:{allocator},{kind}")
            }
            Predicate::Rate(allocator, rate) => write!(f, "rate:{allocator},{rate}"),
        }
    }
}

impl Predicate {
    /// The allocators that it is about, in a fixed order.
    fn allocators(&self) -> Vec<&Allocator> {
        match self {
            Predicate::Fails { refusing, granting } => {
                refusing.iter().chain(granting).collect()
            }
            Predicate::Differs(both) => both.iter().collect(),
            Predicate::Steps(allocator, _)
            | Predicate::Cause(allocator, _)
            | Predicate::Refuses(allocator, _)
            | Predicate::Violation(allocator, _)
            | Predicate::Rate(allocator, _) => vec![allocator],
        }
    }

    /// The first event that shows it in a trace; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If an allocator cannot have the trace's domains.
    pub fn first(
        &self,
        header: &Header,
        requests: &[Request],
    ) -> Result<Option<usize>, ConfigError> {
        let mut watch = Watch::new(self, header)?;
        Ok(watch.run(requests))
    }
}

/// A predicate on its way through a trace. It can be cloned, to go on in another way.
#[derive(Clone, Debug)]
pub struct Watch<'a> {
    predicate: &'a Predicate,
    /// A replay an allocator; `None` once it was aborted.
    replays: Vec<Option<Replay>>,
    requests: u64,
    refused: u64,
}

impl<'a> Watch<'a> {
    /// A watch before the first request.
    ///
    /// # Errors
    ///
    /// If an allocator cannot have the trace's domains.
    pub fn new(predicate: &'a Predicate, header: &Header) -> Result<Watch<'a>, ConfigError> {
        let allocators = predicate.allocators();
        let replays = allocators.into_iter();
        Ok(Watch {
            predicate,
            replays: replays
                .map(|it| replaying::fresh(header, it).map(Some))
                .collect::<Result<_, _>>()?,
            requests: 0,
            refused: 0,
        })
    }

    /// The index of the first request that shows the predicate.
    pub fn run(&mut self, requests: &[Request]) -> Option<usize> {
        if let Predicate::Rate(_, rate) = *self.predicate {
            for request in requests {
                self.shows(request);
            }
            #[expect(clippy::cast_precision_loss, reason = "a share of requests")]
            let exceeds = self.refused as f64 > rate * self.requests as f64;
            return exceeds.then(|| requests.len().saturating_sub(1));
        }
        requests.iter().position(|request| self.shows(request))
    }

    /// Whether one more request shows the predicate.
    pub fn shows(&mut self, request: &Request) -> bool {
        let mut answers = Vec::with_capacity(self.replays.len());
        let mut kind = None;
        for replay in &mut self.replays {
            answers.push(match replay.as_mut().map(|it| it.apply(request)) {
                Some(Ok(answer)) => answer,
                Some(Err(aborted)) => {
                    kind = Some(aborted.kind);
                    *replay = None;
                    None
                }
                None => None,
            });
        }
        let refuses = |answer: &Option<Answer>| answer.is_some_and(|it| it.result.is_err());
        let grants = |answer: &Option<Answer>| answer.is_some_and(|it| it.result.is_ok());
        match self.predicate {
            Predicate::Fails { refusing, .. } => {
                let (refusing, granting) = answers.split_at(refusing.len());
                refusing.iter().all(refuses) && granting.iter().all(grants)
            }
            Predicate::Differs(_) => {
                let result = |index: usize| answers[index].map(|it| it.result.ok());
                result(0)
                    .zip(result(1))
                    .is_some_and(|(one, two)| one != two)
            }
            Predicate::Steps(_, steps) => answers[0].is_some_and(|it| it.steps >= *steps),
            Predicate::Cause(_, cause) => {
                let replay = self.replays[0].as_ref();
                replay.is_some_and(|replay| {
                    Decision::of(&mut Judge::default(), replay, request, answers[0]).cause()
                        == Some(*cause)
                })
            }
            Predicate::Refuses(_, event) => {
                let replay = self.replays[0].as_ref();
                let is_it = replay.is_some_and(|it| it.applied() == event + 1);
                is_it && refuses(&answers[0])
            }
            Predicate::Violation(_, expected) => {
                let replay = self.replays[0].as_ref();
                let found = replay.is_some_and(|it| it.violations().count(*expected) > 0);
                found || kind == Some(*expected)
            }
            Predicate::Rate(..) => {
                self.requests += u64::from(answers[0].is_some());
                self.refused += u64::from(refuses(&answers[0]));
                false
            }
        }
    }
}
