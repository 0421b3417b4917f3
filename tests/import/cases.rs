//! Small recordings beside what an import makes of them: one file of `cases/` each.
//!
//! ```text
//! Failures are answers.                          the title, in a sentence
//!
//! 7 0 alloc_iova_fast: iovad=0xa size=1 …        lines of ftrace text as pid, cpu and event, a
//! @ 9                                            microsecond apart; from here on at 9 seconds
//! | CPU:1 [LOST 12 EVENTS]                       a line as it is
//! == allow_lost                                  the options of an import
//! 0 cpu 0 dom 0 alloc 0: …                       its events, header and report, or its error
//! ```
//!
//! `plain` stands for no option. `IOVASIM_BLESS=1 cargo test --test import cases` writes the imports anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use iova::units::{Granule, Pfn, PfnRange};
use iovasim::import::Options;

use super::{line, read};

/// A case's recording as text.
fn recording(lines: &str) -> String {
    let mut text = String::new();
    let (mut seconds, mut micros) = (1, 0);
    for line in lines.lines() {
        if let Some(raw) = line.strip_prefix("| ") {
            text += raw;
            text.push('\n');
        } else if let Some(at) = line.strip_prefix("@ ") {
            seconds = at.parse().expect("a second");
        } else {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().expect("pid, cpu and event");
            let (pid, cpu, rest) = (word(), word(), word());
            let _ = writeln!(
                text,
                "  task-{pid} [{cpu:0>3}] ..... {seconds}.{micros:06}: {rest}"
            );
            micros += 1;
        }
    }
    text
}

/// `allow_lost skip_bad_lines state_before domain=1 reserved=0x1-0x2 granule=4096 start_pfn=1 cpus=4`.
fn options(text: &str) -> Options {
    let pfn = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => Pfn(u64::from_str_radix(digits, 16).expect("a pfn")),
        None => Pfn(text.parse().expect("a pfn")),
    };
    let mut options = Options::default();
    for word in text.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("plain", _) => {}
            ("allow_lost", _) => options.allow_lost = true,
            ("skip_bad_lines", _) => options.skip_bad_lines = true,
            ("state_before", _) => options.state_before = true,
            ("domain", value) => options.domain = Some(value.parse().expect("a domain")),
            ("cpus", value) => options.cpus = Some(value.parse().expect("a number")),
            ("start_pfn", value) => options.start_pfn = Some(pfn(value)),
            ("granule", value) => {
                options.granule = Granule::from_bytes(value.parse().expect("bytes"));
            }
            ("reserved", value) => {
                let (lo, hi) = value.split_once('-').expect("a range");
                options.reserved.extend(PfnRange::new(pfn(lo), pfn(hi)));
            }
            _ => panic!("no option {word}"),
        }
    }
    options
}

/// Events, header and report of an import, or its error.
fn outcome(recording: &str, options: &Options) -> String {
    let imported = match read(recording, options) {
        Ok(imported) => imported,
        Err(error) => return format!("error: {error}\n"),
    };
    let mut text: String = imported
        .events
        .iter()
        .map(|event| line(event) + "\n")
        .collect();
    let header = &imported.header;
    let (granule, start_pfn) = (header.granule.bytes(), header.start_pfn);
    let _ = writeln!(
        text,
        "\ngranule {granule}, start_pfn {start_pfn}, {} CPUs; {} live at the end",
        header.cpus, imported.report.live
    );
    text + &imported.report.to_string()
}

/// A case with its imports made anew.
fn imported(case: &str) -> String {
    let (title, rest) = case.split_once("\n\n").expect("a title");
    let mut parts = rest.split("== ");
    let lines = parts.next().expect("a recording");
    let recording = recording(lines);
    let mut text = format!("{title}\n\n{lines}");
    for part in parts {
        let given = part.lines().next().unwrap_or_default();
        let _ = write!(text, "== {given}\n{}", outcome(&recording, &options(given)));
    }
    text
}

#[test]
fn every_case_is_imported_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let bless = std::env::var_os("IOVASIM_BLESS").is_some();
    let mut cases = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let case = fs::read_to_string(&path).expect("a case");
        let imported = imported(&case);
        if bless {
            #[expect(clippy::disallowed_methods, reason = "a test's own files")]
            fs::write(&path, imported).expect("a file");
        } else {
            assert!(
                imported == case,
                "{} is imported as\n{imported}",
                path.display()
            );
        }
        cases += 1;
    }
    assert!(cases >= 49, "{cases} cases");
}
