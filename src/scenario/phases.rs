//! The phases of a scenario: which clients begin, change and end, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{ClientEntry, Context};
use super::named::Named;
use crate::strict_json::{Error, JsonPath};
use crate::workload::Run;
use crate::workload::quantity::{Time, is_default};
use iova::units::Nanos;

/// What begins, changes and ends at one moment, and how long it then goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// How long the phase lasts; the last one may go on until `events` are reached.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Time>,
    /// Clients that begin, by name. Their order breaks ties.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: Named<ClientEntry>,
    /// Running clients that free everything and go on as described here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub change: Named<ClientEntry>,
    /// Running clients that free everything and end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stop: Vec<String>,
}

/// Which client runs when.
pub(super) struct Schedule {
    pub(super) runs: Vec<Run>,
    /// The end; none where the last phase has none.
    pub(super) until: Option<Nanos>,
}

/// The clients of a scenario as they come and go.
struct RunningClients<'a, 'b> {
    context: &'a mut Context<'b>,
    runs: Vec<Run>,
    /// The clients that were ever there: their names, how often each began, and the run that
    /// goes on.
    clients: Vec<(String, u32, Option<usize>)>,
}

impl RunningClients<'_, '_> {
    fn begin(
        &mut self,
        name: &str,
        client: &ClientEntry,
        at: Nanos,
        here: &JsonPath<'_>,
    ) -> Result<(), Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(here.error(format!(
                "the client's name is {name:?}, expected letters, digits, `-`, `_` and `.`"
            )));
        }
        let (plan, place) = client.check(name, self.context, here)?;
        let known = self.clients.iter().position(|(other, ..)| other == name);
        let index = known.unwrap_or_else(|| {
            self.clients.push((name.to_owned(), 0, None));
            self.clients.len() - 1
        });
        let (_, began, running) = &mut self.clients[index];
        *began += 1;
        if running.replace(self.runs.len()).is_some() {
            return Err(here.error("runs already, expected `change`"));
        }
        self.runs.push(Run {
            name: match began {
                1 => name.to_owned(),
                began => format!("{name}#{began}"),
            },
            plan,
            place,
            start: at,
            stop: None,
        });
        Ok(())
    }

    fn end(&mut self, name: &str, at: Nanos, here: &JsonPath<'_>) -> Result<(), Error> {
        let mut clients = self.clients.iter_mut();
        let run = clients.find_map(|(other, _, run)| run.take_if(|_| other == name));
        if let Some(run) = run {
            self.runs[run].stop = Some(at);
            return Ok(());
        }
        let running = self.clients.iter().filter(|(.., run)| run.is_some());
        Err(here.unknown(
            "running client",
            name,
            running.map(|(name, ..)| name.as_str()),
        ))
    }
}

/// Checks the phases of a scenario.
pub(super) fn check(
    phases: &[Phase],
    context: &mut Context<'_>,
    here: &JsonPath<'_>,
) -> Result<Schedule, Error> {
    let mut clients = RunningClients {
        context,
        runs: Vec::new(),
        clients: Vec::new(),
    };
    let mut now = Nanos(0);
    let mut endless = false;
    for (index, phase) in phases.iter().enumerate() {
        let here = here.index(index);
        for (number, name) in phase.stop.iter().enumerate() {
            clients.end(name, now, &here.field("stop").index(number))?;
        }
        for (name, client) in &phase.change.0 {
            let here = here.field("change").field(name);
            clients.end(name, now, &here)?;
            clients.begin(name, client, now, &here)?;
        }
        for (name, client) in &phase.start.0 {
            clients.begin(name, client, now, &here.field("start").field(name))?;
        }
        endless = phase.lasts.is_none();
        if endless && index + 1 < phases.len() {
            return Err(here.error("missing `for`, expected it in all phases but the last"));
        }
        now = now.after(phase.lasts.unwrap_or_default().0);
    }
    if clients.runs.is_empty() {
        return Err(here.error("no client ever starts, expected one at least"));
    }
    Ok(Schedule {
        runs: clients.runs,
        until: (!endless).then_some(now),
    })
}
