//! Where a report goes, and in which form: `--format` and `-o`, which mean the same in every command
//! that reports.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use iovasim::report::result::{self, Detail, Expected};
use iovasim::report::{self, Page, answer, block, tables};
use iovasim::study::{Document, Studied};

use super::common::Terminal;
use super::files;
use super::status::Failure;

/// The forms of a command's report.
pub(crate) trait Form: ValueEnum + Copy + PartialEq + Send + Sync + 'static {
    /// The form for people.
    const TEXT: Self;
    /// The endings of files, and the forms that they ask for.
    const ENDINGS: &'static [(&'static str, Self)];
}

/// Text, or data for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Form for Format {
    const TEXT: Format = Format::Text;
    const ENDINGS: &'static [(&'static str, Format)] =
        &[(".txt", Format::Text), (".json", Format::Json)];
}

/// The forms of a text with figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextForm {
    /// For a terminal
    Text,
    /// For code forges
    Markdown,
    /// Everything that was gathered
    Json,
}

impl Form for TextForm {
    const TEXT: TextForm = TextForm::Text;
    const ENDINGS: &'static [(&'static str, TextForm)] = &[
        (".txt", TextForm::Text),
        (".md", TextForm::Markdown),
        (".json", TextForm::Json),
    ];
}

/// The forms of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultForm {
    /// For a terminal
    Text,
    /// For code forges
    Markdown,
    /// The result document, which `compare`, `plot` and `merge` read
    Json,
    /// A line for each run, a column for each metric
    Csv,
}

impl Form for ResultForm {
    const TEXT: ResultForm = ResultForm::Text;
    const ENDINGS: &'static [(&'static str, ResultForm)] = &[
        (".txt", ResultForm::Text),
        (".md", ResultForm::Markdown),
        (".json", ResultForm::Json),
        (".csv", ResultForm::Csv),
    ];
}

/// Where a report goes, and in which form.
#[derive(Clone, Debug, Args)]
pub(crate) struct Report<F: Form> {
    /// Output format [default: by the ending of FILE, text on standard output]
    #[arg(long, value_name = "FORMAT")]
    format: Option<F>,
    /// Also write the report to FILE, in the format that its ending names; `.gz` or `.zst` may
    /// follow. `-` is standard output alone
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl<F: Form> Report<F> {
    /// The file and its form, if there is one.
    fn file(&self) -> Result<Option<(&Path, F)>, Failure> {
        let Some(path) = self.output.as_deref().filter(|path| !files::is_dash(path)) else {
            return Ok(None);
        };
        let name = path.to_string_lossy().to_lowercase();
        let name = [".gz", ".zst", ".zstd"]
            .into_iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        let by_name = F::ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        let is_device = path.exists() && !path.is_file();
        let by_name = by_name
            .map(|&(_, form)| form)
            .or(is_device.then_some(F::TEXT));
        if let Some(form) = self.format.or(by_name) {
            return Ok(Some((path, form)));
        }
        let endings: Vec<&str> = F::ENDINGS.iter().map(|(ending, _)| *ending).collect();
        Err(Failure::bad(format!(
            "-o {}: the name does not say the format; expected {}, or add --format",
            path.display(),
            endings.join(", ")
        )))
    }

    /// The form of what goes to standard output.
    pub(crate) fn on_stdout(&self) -> F {
        let no_file = self.output.as_deref().is_none_or(files::is_dash);
        self.format.filter(|_| no_file).unwrap_or(F::TEXT)
    }

    /// Refuses a file whose name does not say the form, or that is an input, before any work is done.
    pub(crate) fn check(&self, inputs: &[&Path]) -> Result<(), Failure> {
        self.file()?;
        files::check_distinct(inputs, &[self.option()])
    }

    /// The option and its file, as [`files::check_distinct`] takes them.
    pub(crate) fn option(&self) -> (&'static str, Option<&Path>) {
        ("-o", self.output.as_deref())
    }

    /// Writes a document to the file, whatever its name, or to standard output.
    pub(crate) fn write_document(&self, text: &str) -> Result<(), Failure> {
        files::write_text(self.output.as_deref(), text)
    }

    /// Whether a report of that form is written anywhere.
    pub(crate) fn makes(&self, form: F) -> Result<bool, Failure> {
        let in_file = self.file()?.is_some_and(|(_, it)| it == form);
        Ok(in_file || self.on_stdout() == form)
    }

    /// Writes the report to the file, if there is one, and to standard output if `stdout`.
    pub(crate) fn write(
        &self,
        terminal: Terminal,
        stdout: bool,
        report: impl Fn(F, Page) -> String,
    ) -> Result<(), Failure> {
        if let Some((path, form)) = self.file()? {
            files::write_text(Some(path), &report(form, terminal.page(Some(path))))?;
        }
        if stdout {
            files::write_text(None, &report(self.on_stdout(), terminal.page(None)))?;
        }
        Ok(())
    }
}

/// How much a result tells in text and Markdown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Tables {
    /// Print the answer and the main table, or every table
    #[arg(long, value_name = "WHICH", default_value = "main")]
    tables: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Main,
    All,
}

impl Tables {
    pub(crate) fn detail(self) -> Detail {
        match self.tables {
            Which::Main => Detail::Main,
            Which::All => Detail::All,
        }
    }
}

/// The help of a command that prints results, with the meaning of each column.
pub(crate) fn with_columns(examples: &str) -> String {
    let line = |(heading, meaning): (&str, &str)| format!("  {heading:<20}  {meaning}\n");
    let main: String = answer::columns().map(line).collect();
    let all: String = tables::columns().map(line).collect();
    format!("Columns of the main table:\n{main}\nMore with --tables all:\n{all}\n{examples}")
}

/// A result in some form.
pub(crate) fn set(
    form: ResultForm,
    page: Page,
    tables: Tables,
    document: &Document,
    studied: &[Studied],
    expected: &[Expected],
) -> String {
    let sections = studied.iter().zip(expected);
    let sections = sections
        .map(|(studied, expected)| result::sections(studied, expected, tables.detail()));
    match form {
        ResultForm::Json => report::json(document),
        ResultForm::Csv => report::csv::text(&document.results),
        ResultForm::Markdown => {
            let pages: Vec<String> = sections.map(|it| block::markdown(&it)).collect();
            pages.join("\n")
        }
        ResultForm::Text => {
            let pages: Vec<String> = sections.map(|it| block::text(&it, page)).collect();
            pages.join("\n\n")
        }
    }
}
