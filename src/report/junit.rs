//! Outcomes of checks as JUnit's XML, in the part of it that all CI systems read.
//!
//! <https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>
//! is the schema. No times are given, since none are measured.

use std::fmt::Write;

use crate::scenario::{Condition, Expectation};
use crate::study::StudyResult;

/// Checks that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    pub name: String,
    pub cases: Vec<Case>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is about, by which CI systems group.
    pub class: String,
    pub name: String,
    /// Why it failed; none if it did not.
    pub failure: Option<String>,
}

impl Suite {
    /// What came of the expectations of a scenario, a test case each.
    pub fn of<'a>(
        result: &StudyResult,
        expectations: impl Iterator<Item = &'a Expectation>,
    ) -> Suite {
        let measured = |allocator: &str, metric| result.measured(allocator, metric);
        let cases = expectations.map(|expectation| {
            let misses = expectation.check(measured).err();
            let misses = misses.map(|misses| {
                let misses: Vec<String> = misses.iter().map(ToString::to_string).collect();
                misses.join("; ")
            });
            let conditions = expectation.conditions().iter();
            let conditions: Vec<String> = conditions.map(in_words).collect();
            Case {
                class: result.name().to_owned(),
                name: format!(
                    "{}: {} {}",
                    expectation.allocator(),
                    expectation.figure(),
                    conditions.join(", ")
                ),
                failure: misses,
            }
        });
        Suite {
            name: result.name().to_owned(),
            cases: cases.collect(),
        }
    }

    fn failures(&self) -> usize {
        self.cases.iter().filter(|it| it.failure.is_some()).count()
    }
}

/// The document, called `name`.
pub fn document(name: &str, suites: &[Suite]) -> String {
    let tests: usize = suites.iter().map(|it| it.cases.len()).sum();
    let failures: usize = suites.iter().map(Suite::failures).sum();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let name = escaped(name);
    let _ = writeln!(
        text,
        r#"<testsuites name="{name}" tests="{tests}" failures="{failures}" errors="0">"#
    );
    for suite in suites {
        let (name, tests, failures) =
            (escaped(&suite.name), suite.cases.len(), suite.failures());
        let _ = writeln!(
            text,
            r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="0" skipped="0">"#
        );
        for case in &suite.cases {
            push_case(&mut text, case);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn push_case(text: &mut String, case: &Case) {
    let (class, name) = (escaped(&case.class), escaped(&case.name));
    let _ = write!(text, r#"    <testcase classname="{class}" name="{name}""#);
    match &case.failure {
        None => text.push_str("/>\n"),
        Some(failure) => {
            let message = escaped(failure);
            let _ = writeln!(
                text,
                ">\n      <failure message=\"{message}\" type=\"forbidden\">{message}</failure>\n    \
                 </testcase>"
            );
        }
    }
}

/// What a figure is held to.
fn in_words(condition: &Condition) -> String {
    match condition {
        Condition::AtLeast(min) => format!("at least {min}"),
        Condition::AtMost(max) => format!("at most {max}"),
        Condition::Equals(value) => format!("exactly {value}"),
        Condition::Above { other, .. } => format!("above {other}"),
        Condition::Below { other, .. } => format!("below {other}"),
        Condition::SameAs(other) => format!("same as {other}"),
    }
}

/// Text for an attribute or an element. What XML cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(char));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(name: &str, failure: &str) -> (String, String) {
        let case = |failure| Case {
            class: "a.b".to_owned(),
            name: name.to_owned(),
            failure,
        };
        let suite = Suite {
            name: name.to_owned(),
            cases: vec![case(None), case(Some(failure.to_owned()))],
        };
        let text = document(name, &[suite]);
        let document = roxmltree::Document::parse(&text).expect("well-formed XML");
        let suites = document.root_element();
        assert_eq!(suites.attribute("tests"), Some("2"));
        let suite = suites.first_element_child().expect("a suite");
        assert_eq!(
            (suite.attribute("failures"), suite.attribute("tests")),
            (Some("1"), Some("2"))
        );
        let failed = suite.last_element_child().expect("a case");
        let message = failed.first_element_child().expect("a failure");
        assert_eq!(message.attribute("message"), message.text());
        let found = |text: Option<&str>| text.unwrap_or_default().to_owned();
        (
            found(failed.attribute("name")),
            found(message.attribute("message")),
        )
    }

    proptest! {
        #[test]
        fn any_text_comes_back_but_for_what_xml_cannot_hold(name: String, failure in ".+") {
            let allowed = |text: &str| -> String {
                let can_hold = |char: char| {
                    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}'
                        | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
                };
                text.chars().map(|it| if can_hold(it) { it } else { '\u{fffd}' }).collect()
            };
            prop_assert_eq!(read_back(&name, &failure), (allowed(&name), allowed(&failure)));
        }
    }
}
