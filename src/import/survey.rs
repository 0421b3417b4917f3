//! The first reading of a recording: what decides how the second goes.

use std::io::BufRead;

use super::error::{Error, Problem};
use super::options::{DomainChoice, Form, Options, RecordSource};
use super::pair::call::{Function, Probed, dead_cpu};
use super::read::record::{Line, Record};
use super::read::{Source, text};
use super::reconstruct::domains::{Domain, Domains};
use super::reconstruct::missed_frees::UnmapMatcher;
use super::reconstruct::{dma, iommu, kernel_log};
use super::report::Report;
use crate::trace::event::Header;
use iova::units::{Cpu, Granule, Pfn};

/// What a recording has.
#[derive(Debug)]
pub(crate) struct Survey {
    pub form: Form,
    pub record_source: RecordSource,
    pub probed: Probed,
    pub dma: dma::Devices,
    /// The addresses of the unmaps whose free the probes missed, by their numbers.
    pub missed: Vec<(u64, u64)>,
    /// What else is on record.
    others: Vec<RecordSource>,
    domains: Domains,
    cpus_stated: Option<u64>,
    cpu_max: Cpu,
    kernel: Option<String>,
}

/// What was seen so far.
#[derive(Debug)]
struct Seen {
    probed: Probed,
    domains: Domains,
    dma: dma::Devices,
    iommu: bool,
    unmaps: UnmapMatcher,
    cpus_stated: Option<u64>,
    cpu_max: Cpu,
    records: bool,
    kernel: Option<String>,
    /// The first line that is nothing known, while the form is not known either.
    odd: Option<(u64, String)>,
}

impl Survey {
    pub(crate) fn of<R: BufRead>(
        file: &str,
        source: &mut Source<R>,
        options: &Options,
    ) -> Result<Survey, Error> {
        let mut seen = Seen {
            probed: Probed::default(),
            domains: Domains::new(options.domain.clone(), &[]),
            dma: dma::Devices::default(),
            iommu: false,
            unmaps: UnmapMatcher::default(),
            cpus_stated: None,
            cpu_max: Cpu(0),
            records: false,
            kernel: None,
            odd: None,
        };
        let mut form = options.form.or(source.form());
        while source.advance()? {
            if form.is_none() {
                form = form_of(source.text());
                seen.refuse_odd(file, form, options.skip_bad_lines)?;
            }
            match form {
                Some(Form::KernelLog) => {}
                // Nothing recognised yet: headers look alike, and a log may begin with anything.
                None => seen.take_head(source, options)?,
                Some(form) => seen.take(source, form, options)?,
            }
        }
        let Some(form) = form else {
            let what = "ftrace, perf script or a list of ranges";
            return Err(Error::new(file, None, Problem::Empty(what)));
        };
        let found = seen.record_source(form);
        let Some(record_source) = options.record_source.or(found) else {
            let what = "the allocator (probes, `dma` or `iommu` events)";
            return Err(Error::new(file, None, Problem::Empty(what)));
        };
        let ask = |problem| Error::new(file, None, Problem::Ask(problem));
        if (record_source == RecordSource::Ranges) != (form == Form::KernelLog) {
            return Err(ask(format!("there are no {record_source} in {form}")));
        }
        if record_source == RecordSource::Probes {
            if !seen.probed.any_request() {
                let what = "probes on alloc_iova_fast or alloc_iova";
                return Err(Error::new(file, None, Problem::Empty(what)));
            }
            seen.probed.check().map_err(ask)?;
            seen.check_choice(options.domain.as_ref()).map_err(ask)?;
        }
        Ok(Survey {
            others: seen.others(record_source),
            form,
            record_source,
            probed: seen.probed,
            dma: seen.dma,
            missed: match record_source {
                RecordSource::Probes => seen.unmaps.finish(),
                _ => Vec::new(),
            },
            domains: seen.domains,
            cpus_stated: seen.cpus_stated,
            cpu_max: seen.cpu_max,
            kernel: seen.kernel,
        })
    }

    /// The trace's header, as far as recording and options give it.
    pub(crate) fn header(
        &self,
        options: &Options,
        report: &mut Report,
    ) -> Result<Header, String> {
        for other in &self.others {
            let read = if *other == RecordSource::Iommu && !self.missed.is_empty() {
                "used for frees that the probes missed"
            } else {
                "not used"
            };
            report.note(format!("{other} were recorded too, and {read}"));
        }
        let (granule, start_pfn) = self.layout(options, report)?;
        Ok(Header {
            granule,
            start_pfn,
            cpus: self.cpus(options, report)?,
            name: options.name.clone(),
            source: options.source.clone(),
            kernel: options.kernel.clone().or_else(|| self.kernel.clone()),
            ..Header::default()
        })
    }

    /// Whether the creation of a domain that is imported was not recorded.
    pub(crate) fn has_domains_made_before(&self) -> bool {
        let before = |it: &Domain| it.made.is_none() && it.report.number.is_some();
        self.domains.all().iter().any(before)
    }

    fn cpus(&self, options: &Options, report: &mut Report) -> Result<u32, String> {
        let highest = u32::from(self.cpu_max.0) + 1;
        if let Some(cpus) = options.cpus {
            if cpus < highest {
                return Err(format!(
                    "--cpus {cpus}: the recording has a CPU {}",
                    self.cpu_max.0
                ));
            }
            return Ok(cpus);
        }
        if self.cpus_stated.is_none() && self.form != Form::KernelLog {
            report.note(format!(
                "the recording does not give the number of CPUs: assuming {highest}, from the highest \
                 CPU that appears"
            ));
        }
        let stated = self.cpus_stated.unwrap_or(0);
        let stated = u32::try_from(stated)
            .ok()
            .filter(|cpus| *cpus <= Cpu::COUNT_MAX);
        let stated = stated.ok_or_else(|| {
            format!(
                "more than {} CPUs, the most that a trace can have",
                Cpu::COUNT_MAX
            )
        })?;
        Ok(stated.max(highest))
    }

    /// What the domains that are wanted were made with; they share one header.
    fn layout(&self, options: &Options, report: &mut Report) -> Result<(Granule, Pfn), String> {
        let wanted = |domain: &&Domain| domain.report.number.is_some();
        let domains = || self.domains.all().iter().filter(wanted);
        let mut made = None;
        for domain in domains() {
            let Some(layout) = domain.made else {
                continue;
            };
            let (first, _) = *made.get_or_insert((layout, domain.report.ordinal));
            if first != layout {
                return Err(self.layouts_differ());
            }
        }
        let assumed = (Granule::KIB_4, Pfn(1));
        let Some((layout, _)) = made else {
            if options.granule.is_none() || options.start_pfn.is_none() {
                let granule = options.granule.unwrap_or(assumed.0).bytes();
                let start_pfn = options.start_pfn.unwrap_or(assumed.1);
                report.note(format!(
                    "domain creation was not recorded: assuming granule {granule}, start_pfn \
                     {start_pfn}"
                ));
            }
            return Ok((
                options.granule.unwrap_or(assumed.0),
                options.start_pfn.unwrap_or(assumed.1),
            ));
        };
        if options.granule.is_some_and(|granule| granule != layout.0)
            || options
                .start_pfn
                .is_some_and(|start_pfn| start_pfn != layout.1)
        {
            return Err(format!(
                "the recording has granule {}, start_pfn {}, which the options contradict",
                layout.0.bytes(),
                layout.1
            ));
        }
        Ok(layout)
    }

    fn layouts_differ(&self) -> String {
        let layouts = self.domains.all().iter().filter_map(|domain| {
            let (granule, start_pfn) = domain.made?;
            let (ordinal, name) = (domain.report.ordinal, &domain.report.name);
            let granule = granule.bytes();
            Some(format!("{ordinal} ({name}) has {granule} and {start_pfn}"))
        });
        let layouts: Vec<String> = layouts.take(20).collect();
        format!(
            "the domains differ in granule or start_pfn, but a trace has one of each: choose a \
             domain with --domain NUMBER; {}",
            layouts.join(", ")
        )
    }
}

impl Seen {
    /// A line before anything was recognised.
    fn take_head<R: BufRead>(
        &mut self,
        source: &Source<R>,
        options: &Options,
    ) -> Result<(), Error> {
        match source.line(Form::Ftrace) {
            Line::Other => {
                let odd = || (source.number(), excerpt(source.text()));
                self.odd.get_or_insert_with(odd);
                Ok(())
            }
            _ => self.take(source, Form::Ftrace, options),
        }
    }

    /// A trace does not begin with what is no line of it; a log may.
    fn refuse_odd(
        &mut self,
        file: &str,
        form: Option<Form>,
        skip_bad_lines: bool,
    ) -> Result<(), Error> {
        match (form, self.odd.take()) {
            (Some(Form::Ftrace | Form::PerfScript), Some(_)) if skip_bad_lines => Ok(()),
            (Some(form @ (Form::Ftrace | Form::PerfScript)), Some((number, text))) => {
                Err(Error::new(file, Some(number), form.not_a_record(text)))
            }
            (None, odd) => {
                self.odd = odd;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take<R: BufRead>(
        &mut self,
        source: &Source<R>,
        form: Form,
        options: &Options,
    ) -> Result<(), Error> {
        let taken = match source.line(form) {
            Line::Record(record) => {
                self.records = true;
                self.cpu_max = self.cpu_max.max(record.cpu);
                self.take_record(&record, options)
            }
            Line::Cpus(cpus) => {
                self.cpus_stated = Some(cpus);
                Ok(())
            }
            Line::Buffer { overwritten, cpus } => {
                self.take_header(overwritten, cpus, options.allow_lost)
            }
            Line::Lost { cpu, count } => refuse_loss(cpu, count, options.allow_lost),
            Line::Kernel(kernel) => {
                self.kernel.get_or_insert_with(|| kernel.to_owned());
                Ok(())
            }
            Line::Note(_) | Line::Nothing => Ok(()),
            Line::Other => Err(form.not_a_record(excerpt(source.text()))),
        };
        source.check(taken, options).map(drop)
    }

    fn take_header(
        &mut self,
        overwritten: u64,
        cpus: u64,
        allow_lost: bool,
    ) -> Result<(), Problem> {
        if self.records {
            return Err(Problem::Ask(
                "a second recording begins here: import recordings one by one".to_owned(),
            ));
        }
        self.cpus_stated = (cpus > 0).then_some(cpus);
        if overwritten == 0 {
            return Ok(());
        }
        refuse_loss(None, Some(overwritten), allow_lost)
    }

    fn take_record(&mut self, record: &Record<'_>, options: &Options) -> Result<(), Problem> {
        if let Some((function, edge)) = Function::of(record) {
            self.probed.note(record, function, edge);
            self.domains.mention(record, function, edge)?;
            if function == Function::CpuDead {
                let cpu = dead_cpu(record)?;
                self.cpu_max = self.cpu_max.max(cpu);
            }
            if function == Function::FreeFast
                && let (Some(pointer), Some(pfn)) =
                    (record.optional("iovad")?, record.optional("pfn")?)
            {
                let made = self.domains.at(pointer).made.map(|(granule, _)| granule);
                let granule = made.or(options.granule).unwrap_or(Granule::KIB_4);
                self.unmaps.free(record, Pfn(pfn), granule);
            }
        } else if iommu::is_event(record) {
            self.iommu = true;
            self.unmaps.take(record)?;
        } else {
            self.dma.note(record)?;
        }
        Ok(())
    }

    /// The most exact kind of records that there is.
    fn record_source(&self, form: Form) -> Option<RecordSource> {
        if form == Form::KernelLog {
            return Some(RecordSource::Ranges);
        }
        self.on_record().next()
    }

    /// The kinds of records that there are, the most exact first.
    fn on_record(&self) -> impl Iterator<Item = RecordSource> {
        let kinds = [
            (self.probed.any_request(), RecordSource::Probes),
            (self.dma.any_request(), RecordSource::Dma),
            (self.iommu, RecordSource::Iommu),
        ];
        kinds
            .into_iter()
            .filter(|(there, _)| *there)
            .map(|(_, kind)| kind)
    }

    fn others(&self, read: RecordSource) -> Vec<RecordSource> {
        self.on_record().filter(|kind| *kind != read).collect()
    }

    /// Whether the domain that is wanted is on record.
    fn check_choice(&self, choice: Option<&DomainChoice>) -> Result<(), String> {
        let all = self.domains.all();
        match choice {
            None => Ok(()),
            Some(DomainChoice::Device(_) | DomainChoice::One) => Err(format!(
                "probes identify domains by pointer: --domain takes a number below {} or a pointer",
                all.len()
            )),
            Some(_) if all.iter().any(|domain| domain.report.number.is_some()) => Ok(()),
            Some(_) => {
                let names = all.iter().map(|domain| &*domain.report.name);
                let names: Vec<&str> = names.take(20).collect();
                Err(format!(
                    "no such domain; the {} recorded ones are, from number 0: {}",
                    all.len(),
                    names.join(" ")
                ))
            }
        }
    }
}

/// The form that a line shows.
pub(crate) fn form_of(text: &str) -> Option<Form> {
    let log = || kernel_log::range(text).map(|_| Form::KernelLog);
    text::form_of(text).or_else(log)
}

fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

fn refuse_loss(cpu: Option<u64>, count: Option<u64>, allowed: bool) -> Result<(), Problem> {
    if allowed || count == Some(0) {
        return Ok(());
    }
    Err(Problem::Lost {
        count: count.map_or("an unknown number of".to_owned(), |count| count.to_string()),
        cpu: cpu.map_or("in its buffers".to_owned(), |cpu| format!("on CPU {cpu}")),
    })
}
