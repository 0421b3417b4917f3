//! Requests that are granted outside of the domain, as a user sees them.

use crate::support::run;

#[test]
fn grants_outside_of_the_domain_have_a_column_and_the_change_that_mends_them() {
    let run = run(&["run", "scenarios/retry-overflow.json"]);
    let page = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "with room outside vs first",
        "It grants 428 outside of the domain.",
        "(4,450, and 455 outside)",
        "below-start 428 times (ranges handed out below start_pfn), first in seed 1 at event",
        "mended by retry-overflow (commit dcdb3ba7e2a8) in linux-6.2",
    ] {
        assert!(page.contains(text), "{text}\n{}", run.stdout);
    }
}
