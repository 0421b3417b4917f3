//! The text of tracefs as the file that trace-cmd would have written of the same events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::encode::{Dat, Entry, Format, Value, Version};

/// The same text with times that differ from line to line, in nanoseconds; and its file.
pub(super) fn both(text: &str, version: Version) -> (String, Dat) {
    let mut dat = Dat::new(version);
    let mut formats: BTreeMap<String, usize> = BTreeMap::new();
    let mut symbols: BTreeMap<String, u64> = BTreeMap::new();
    let mut exact = String::new();
    let mut last = 0;
    for line in text.lines() {
        if let Some((_, cpus)) = line.split_once("#P:") {
            dat.cpus = cpus.trim().parse().expect("a number of CPUs");
        }
        let Some((task, rest)) = line.split_once(" [").filter(|_| !line.starts_with('#'))
        else {
            exact += line;
            exact.push('\n');
            continue;
        };
        let (cpu, rest) = rest.split_once("] ").expect("a CPU");
        let (flags, rest) = rest.split_at(rest.find('.').map_or(0, |_| time_at(rest)));
        let (time, rest) = rest.split_once(": ").expect("a time");
        let (event, arguments) = rest.split_once(": ").expect("an event");
        let (seconds, micros) = time.split_once('.').expect("a fraction");
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let at = number(seconds) * 1_000_000_000 + number(micros) * 1000;
        let at = at.max(last + 1);
        last = at;
        let (seconds, nanos) = (at / 1_000_000_000, at % 1_000_000_000);
        let _ = write!(exact, "{task} [{cpu}] {flags}{seconds}.{nanos:09}");
        let _ = writeln!(exact, ": {event}: {arguments}");
        let (system, fields) = fields(event, arguments, &mut symbols);
        let (names, values): (Vec<String>, Vec<Value>) = fields.into_iter().unzip();
        let known = formats.len();
        let format = *formats.entry(event.to_owned()).or_insert_with(|| {
            dat.formats.push(Format {
                system: system.to_owned(),
                name: event.to_owned(),
                fields: names,
                shape: values.clone(),
            });
            known
        });
        let pid = task.rsplit('-').next().expect("a pid").trim();
        dat.entries.push(Entry {
            cpu: cpu.parse().expect("a CPU"),
            at,
            pid: pid.parse().expect("a pid"),
            format,
            values,
        });
    }
    (exact, dat)
}

/// Where the time begins: the last word before the first colon that follows a digit.
fn time_at(rest: &str) -> usize {
    let end = rest.find(": ").expect("a time");
    rest[..end].rfind(' ').map_or(0, |at| at + 1)
}

/// An event's system and its fields as the kernel records them.
fn fields(
    event: &str,
    arguments: &str,
    symbols: &mut BTreeMap<String, u64>,
) -> (&'static str, Vec<(String, Value)>) {
    let mut fields = Vec::new();
    let mut named = |name: &str, value| fields.push((name.to_owned(), value));
    let long = |number| Value::Number(number, 8);
    let mut system = "iova";
    let mut rest = arguments;
    if let Some(place) = arguments.strip_prefix('(') {
        let (inside, after) = place.split_once(')').expect("a place");
        rest = after;
        match inside.split_once(" <- ") {
            None => named("__probe_ip", long(address(inside, symbols))),
            Some((to, function)) => {
                named("__probe_func", long(address(function, symbols)));
                named("__probe_ret_ip", long(address(to, symbols)));
            }
        }
    } else if arguments.starts_with("IOMMU:") {
        system = "iommu";
    } else if event.starts_with("dma_") {
        system = "dma";
        let (device, after) = arguments.split_once(' ').expect("a device");
        named("device", Value::Text(device.to_owned()));
        rest = after;
    }
    for (name, value) in rest.split(' ').filter_map(|word| word.split_once('=')) {
        let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        let plain = matches!(name, "dma_addr" | "phys_addr" | "virt_addr");
        let number = match value.strip_prefix("0x") {
            Some(digits) => hexadecimal(digits).ok(),
            None if plain => hexadecimal(value).ok(),
            None => value.parse().ok(),
        };
        let list = |text: &str| -> Vec<u64> {
            let text = text.trim_matches(['{', '}']);
            let number = |text: &str| match text.strip_prefix("0x") {
                Some(digits) => hexadecimal(digits).expect("a number"),
                None => text.parse().expect("a number"),
            };
            text.split(',')
                .filter(|it| !it.is_empty())
                .map(number)
                .collect()
        };
        match (name, number) {
            ("groupID", Some(number)) => named("gid", Value::Number(number, 4)),
            ("device", _) => named("device", Value::Text(value.to_owned())),
            ("dma_addr", Some(number)) if event.starts_with("dma_unmap") => {
                named("addr", long(number));
            }
            ("phys_addrs", _) if event == "dma_unmap_sg" => {
                named("addrs", Value::List(list(value), 8));
            }
            ("sizes", _) => named("lengths", Value::List(list(value), 4)),
            ("ents", _) if event == "dma_map_sg" => {
                let (_, all) = value.split_once('/').expect("two numbers");
                named(
                    "full_ents",
                    Value::Number(all.parse().expect("a number"), 4),
                );
            }
            ("flush" | "align", Some(number)) => named(name, Value::Number(number, 1)),
            (_, Some(number)) => named(name, long(number)),
            _ if value.starts_with('{') => named(name, Value::List(list(value), 8)),
            _ => {}
        }
    }
    (system, fields)
}

/// `symbol+0x4/0x280`, or an address.
fn address(text: &str, symbols: &mut BTreeMap<String, u64>) -> u64 {
    let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
    let (symbol, offset) = text.split_once('+').unwrap_or((text, "0x0"));
    if let (Ok(address), true) = (hexadecimal(symbol), symbol.starts_with("0x")) {
        return address;
    }
    let offset = offset.split('/').next().map(hexadecimal);
    let next = 0xffff_ffff_8100_0000 + 0x1_0000 * symbols.len() as u64;
    let base = *symbols.entry(symbol.to_owned()).or_insert(next);
    base + offset.expect("an offset").expect("a number")
}
