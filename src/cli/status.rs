//! How a command ends, and what it says then.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;

use iovasim::report::escape;

/// What a command that got to its end found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// A gate or an expectation failed, or `--check` found a difference.
    Failed,
}

impl Verdict {
    /// Done if both are.
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Done, Verdict::Done) => Verdict::Done,
            _ => Verdict::Failed,
        }
    }
}

/// Why a command did not get to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Bad usage or bad input, in one line.
    Bad(String),
    /// Whoever reads the output has seen enough.
    Closed,
}

impl Failure {
    /// Bad usage or bad input.
    pub(crate) fn bad(message: impl Display) -> Failure {
        Failure::Bad(message.to_string())
    }

    /// A failure to write to what messages call `name`.
    pub(crate) fn write(name: impl Display, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::Closed
        } else {
            Failure::Bad(format!("{name}: cannot write: {error}"))
        }
    }
}

/// Prints the help or the version that was asked for, or turns a usage error into one line.
///
/// `command` is the one that was named, if any.
pub(crate) fn clap_answer(
    answer: &clap::Error,
    command: Option<&str>,
) -> Result<Verdict, Failure> {
    if answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let problem = "a command is missing, such as `run`, `replay` or `explain`";
        return Err(Failure::Bad(format!("{problem}; see `iovasim --help`")));
    }
    if answer.use_stderr() {
        return Err(Failure::Bad(usage(&answer.render().to_string(), command)));
    }
    let printed = answer.print().and_then(|()| io::stdout().flush());
    printed.map_err(|error| Failure::write("<stdout>", &error))?;
    Ok(Verdict::Done)
}

/// The lines of a usage error up to its usage, as one.
fn usage(text: &str, command: Option<&str>) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let mut parts: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n") {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        match words.first() {
            Some(&("Usage:" | "For")) | None => {}
            Some(_) => parts.push(words.join(" ")),
        }
    }
    let command = command.map_or(String::new(), |it| format!(" {it}"));
    parts.push(format!("see `iovasim{command} --help`"));
    parts.join("; ")
}

/// Says what is to be said, and turns the end of a command into an exit status.
pub(crate) fn exit(end: Result<Verdict, Failure>) -> ExitCode {
    match end {
        Ok(Verdict::Done) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(1),
        Err(Failure::Bad(message)) => {
            say(&message);
            ExitCode::from(2)
        }
    }
}

/// One line on standard error. Where that is closed nobody is there to be told.
pub(crate) fn say(message: &str) {
    let message = escape::terminal(message);
    let _ = writeln!(io::stderr().lock(), "iovasim: {message}");
}
