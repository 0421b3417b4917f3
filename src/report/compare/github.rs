//! A comparison as annotations of a GitHub workflow: an error for each forbidden change, a
//! notice of the verdict.

use super::{Comparison, words};

/// The commands, a line each.
pub fn text(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    for place in &comparison.vanished {
        lines.push(command(
            "error",
            "iovasim: vanished",
            &words::vanished(place),
        ));
    }
    for changed in &comparison.changed {
        let title = "iovasim: changed workload";
        lines.push(command("error", title, &words::changed(changed)));
    }
    for pair in &comparison.pairs {
        for change in pair.forbidden() {
            let (scenario, who) = (&pair.scenario, words::who(pair));
            let title = format!(
                "iovasim: {scenario}: {} of {who}",
                change.metric.metric().path
            );
            let mut message = words::forbidden(pair, change);
            for sentence in words::explained(pair) {
                message.push('\n');
                message.push_str(&sentence);
            }
            if let Some(command) = words::look_closer(pair) {
                message.push_str("\nlook closer: ");
                message.push_str(&command);
            }
            lines.push(command("error", &title, &message));
        }
    }
    lines.push(command("notice", "iovasim", &words::verdict(comparison)));
    lines.concat()
}

/// `::error title=…::…`, escaped as the runner's own toolkit does.
fn command(kind: &str, title: &str, message: &str) -> String {
    let data = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title={}::{}\n", property(title), data(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::testing;

    #[test]
    fn titles_and_messages_are_escaped() {
        assert_eq!(
            command("error", "a: b, c", "5 % of:\nall, too"),
            "::error title=a%3A b%2C c::5 %25 of:%0Aall, too\n"
        );
    }

    #[test]
    fn a_forbidden_change_is_an_error_and_the_verdict_a_notice() {
        let text = super::text(&testing::comparison("a", &[1], &[2]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("::error title=iovasim%3A a%3A failures of old::failures (")
        );
        assert_eq!(
            lines[1],
            "::notice title=iovasim::fails: 1 forbidden change in 1 comparison"
        );
    }
}
