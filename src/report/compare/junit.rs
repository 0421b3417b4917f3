//! A comparison as JUnit's XML: a test case for each figure that the policy holds to
//! something, of each allocator of each scenario.

use super::{Comparison, Pair, words};
use crate::report::junit::{Case, Suite, document};

pub fn text(comparison: &Comparison) -> String {
    let mut suites: Vec<Suite> = Vec::new();
    for pair in &comparison.pairs {
        suite(&mut suites, &pair.scenario).cases.extend(cases(pair));
    }
    for place in &comparison.vanished {
        let of = place.allocator.as_deref().unwrap_or("the scenario");
        suite(&mut suites, &place.scenario).cases.push(Case {
            class: place.scenario.clone(),
            name: format!("{of}: is still there"),
            failure: Some(words::vanished(place)),
        });
    }
    for changed in &comparison.changed {
        suite(&mut suites, &changed.scenario).cases.push(Case {
            class: changed.scenario.clone(),
            name: "the same requests".to_owned(),
            failure: Some(words::changed(changed)),
        });
    }
    document("iovasim compare", &suites)
}

fn suite<'a>(suites: &'a mut Vec<Suite>, name: &str) -> &'a mut Suite {
    let found = suites.iter().position(|it| it.name == name);
    let index = found.unwrap_or_else(|| {
        suites.push(Suite {
            name: name.to_owned(),
            cases: Vec::new(),
        });
        suites.len() - 1
    });
    &mut suites[index]
}

fn cases(pair: &Pair) -> impl Iterator<Item = Case> {
    pair.held.iter().map(|&metric| {
        let change = pair.forbidden().find(|it| it.metric == metric);
        Case {
            class: pair.scenario.clone(),
            name: format!("{}: {}", words::who(pair), metric.metric().path),
            failure: change.map(|it| words::forbidden(pair, it)),
        }
    })
}
