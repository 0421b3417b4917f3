//! Results as CSV, for spreadsheets and data frames: a line for each run, a column for each metric.
//! What is unknown is empty.

use crate::study::StudyResult;
use crate::study::document::Run;
use iova::measure::{METRICS, Value};

/// The text, with a line of headings.
pub fn text(results: &[StudyResult]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let headings = ["name", "allocator", "seed"].into_iter();
    let mut write = |fields: Vec<String>| {
        writer
            .write_record(&fields)
            .expect("memory takes a line, and all lines are as long");
    };
    write(
        headings
            .chain(METRICS.iter().map(|it| it.path))
            .map(str::to_owned)
            .collect(),
    );
    for result in results {
        for run in &result.runs {
            write(fields(result, run));
        }
    }
    let bytes = writer.into_inner().expect("memory takes a line");
    String::from_utf8(bytes).expect("fields are UTF-8")
}

fn fields(result: &StudyResult, run: &Run) -> Vec<String> {
    let seed = run.seed.map_or(String::new(), |seed| seed.to_string());
    let metrics = METRICS.iter().map(|it| match run.metrics.get(it.id) {
        None => String::new(),
        Some(Value::Count(count)) => count.to_string(),
        Some(Value::Real(number)) => number.to_string(),
    });
    let of = [result.name().to_owned(), run.allocator.clone(), seed];
    of.into_iter().chain(metrics).collect()
}
