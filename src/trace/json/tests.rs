//! Every message that a line can get, and that the two ways of reading one agree.

use proptest::prelude::*;

use super::field::NAMES;
use super::*;
use crate::trace::arbitrary;
use crate::trace::fields::NAMES as OPS;
use crate::trace::write::Writer;

/// What is said of a line.
fn message(line: &[u8]) -> String {
    let mut event = Event::default();
    match Parser::default().read(line, &mut event) {
        Ok(()) => format!("{event:?}"),
        Err(error) => error.to_string(),
    }
}

fn header_message(line: &str) -> String {
    match header(line.as_bytes()) {
        Ok(header) => format!("{header:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_messages(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(message(line.as_bytes()), *expected, "of {line}");
    }
}

#[test]
fn what_is_not_an_object_says_so() {
    assert_messages(&[
        ("", "found a blank line, expected an object"),
        (" \r", "found a blank line, expected an object"),
        ("[1]", "found `[1]`, expected an object"),
        ("hello, world", "found `hello, world`, expected an object"),
        ("\0", "found `\\u{0}`, expected an object"),
        (
            "{",
            "not valid JSON at column 1: EOF while parsing an object",
        ),
        (
            r#"{"op":"free","id":1"#,
            "not valid JSON at column 19: EOF while parsing an object",
        ),
        (
            r#"{"op":"free","id":1} x"#,
            "not valid JSON at column 22: trailing characters",
        ),
        (
            r#"{"op":"free","id":01}"#,
            "not valid JSON at column 20: invalid number",
        ),
        (
            "{\"op\":\"free\",\"id\":1\0}",
            "not valid JSON at column 20: expected `,` or `}`",
        ),
    ]);
    assert_eq!(
        message(b"{\"op\":\"fr\xffee\"}"),
        "found the byte 0xff at column 10, expected UTF-8"
    );
}

#[test]
fn fields_that_are_not_right_are_named() {
    assert_messages(&[
        (
            r#"{"op":"free","idd":1}"#,
            "unknown field `idd` in an event; did you mean `id`?",
        ),
        (
            r#"{"op":"free","id":1,"colour":"red"}"#,
            "unknown field `colour` in an event, expected `op`, `t`, `cpu`, `dom`, `id`, \
             `pages`, `limit`, `path`, `align`, `flush`, `got`, `bytes`, `mask`, `pci`, `dev`, \
             `lo`, `hi`, `pfn`, `nodes`, `cached32`, `cached`, `max32`, `what` or `count`",
        ),
        (r#"{"op":"free","id":1,"id":1}"#, "duplicate field `id`"),
        (
            r#"{"id":1}"#,
            "`op` is missing in an event, expected `alloc`, `free`, `map`, `unmap`, `reserve`, \
             `free_pfn`, `cpu_dead`, `cpu_up`, `restore`, `nomem` or `double_free`",
        ),
        (
            r#"{"op":"alloc","id":1,"pages":1}"#,
            "`limit` is missing in `alloc`, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"cpu_dead"}"#,
            "`cpu` is missing in `cpu_dead`, expected an integer from 0 to 65535",
        ),
        (
            r#"{"op":"nomem"}"#,
            "`what` is missing in `nomem`, expected `iova` or `magazine`",
        ),
        (
            r#"{"op":"restore","cached32":null,"cached":null,"max32":1}"#,
            "`nodes` is missing in `restore`, expected an array of `[lo, hi]`",
        ),
        (
            r#"{"op":"free","id":1,"pages":1}"#,
            "found `pages` in `free`, expected only `op`, `t`, `cpu`, `dom` or `id`",
        ),
    ]);
}

#[test]
fn values_that_are_not_right_are_shown() {
    assert_messages(&[
        (
            r#"{"op":"aloc"}"#,
            "`op` is \"aloc\"; did you mean `alloc`?",
        ),
        (
            r#"{"op":"explode"}"#,
            "`op` is \"explode\", expected `alloc`, `free`, `map`, `unmap`, `reserve`, \
             `free_pfn`, `cpu_dead`, `cpu_up`, `restore`, `nomem` or `double_free`",
        ),
        (
            r#"{"op":"double_freq","id":1}"#,
            "`op` is \"double_freq\"; did you mean `double_free`?",
        ),
        (r#"{"op":7}"#, "`op` is 7, expected a string"),
        (
            r#"{"op":"free","id":18446744073709551616}"#,
            "`id` is 18446744073709551616, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":-1}"#,
            "`id` is -1, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":1.0}"#,
            "`id` is 1.0, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":"1"}"#,
            "`id` is \"1\", expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":[1]}"#,
            "`id` is an array, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":{}}"#,
            "`id` is an object, expected an integer from 0 to 2^64-1",
        ),
        (
            r#"{"op":"free","id":"a name that is far too long to be shown in full"}"#,
            "`id` is \"a name that is far too long to be shown…, expected an integer from 0 to \
             2^64-1",
        ),
        (
            r#"{"op":"free","id":1,"cpu":65536}"#,
            "`cpu` is 65536, expected an integer from 0 to 65535",
        ),
        (
            r#"{"op":"alloc","id":1,"pages":0,"limit":1}"#,
            "`pages` is 0, expected an integer from 1 to 2^64-1",
        ),
        (
            r#"{"op":"map","id":1,"bytes":0,"mask":1}"#,
            "`bytes` is 0, expected an integer from 1 to 2^64-1",
        ),
        (
            r#"{"op":"map","id":1,"bytes":1,"mask":1,"pci":1}"#,
            "`pci` is 1, expected true or false",
        ),
        (
            r#"{"op":"map","id":1,"bytes":1,"mask":1,"dev":null}"#,
            "`dev` is null, expected a string",
        ),
        (
            r#"{"op":"map","id":1,"bytes":1,"mask":1,"dev":"\ud800"}"#,
            "`dev` is \"\\ud800\", expected a string",
        ),
        (
            r#"{"op":"alloc","id":1,"pages":1,"limit":1,"path":"slow"}"#,
            "`path` is \"slow\", expected \"fast\" or \"direct\"",
        ),
        (
            r#"{"op":"alloc","id":1,"pages":1,"limit":1,"got":false}"#,
            "`got` is false, expected an integer from 0 to 2^64-1 or null",
        ),
        (
            r#"{"op":"reserve","lo":2,"hi":1}"#,
            "`hi` is 1, expected an integer from `lo`, 2, up",
        ),
        (
            r#"{"op":"free_pfn","pfn":18446744073709551615}"#,
            "`pfn` is 18446744073709551615, expected an integer from 0 to 2^64-2",
        ),
    ]);
}

#[test]
fn snapshots_that_cannot_be_are_refused() {
    let cases = [
        ("7", "`nodes` is 7, expected an array of `[lo, hi]`"),
        (
            "[7]",
            "`nodes[0]` is 7, expected `[lo, hi]`, two integers from 0 to 2^64-2",
        ),
        (
            "[[1,2,3]]",
            "`nodes[0]` is [1,2,3], expected `[lo, hi]`, two integers from 0 to 2^64-2",
        ),
        (
            "[[1,2],[4,3]]",
            "`nodes[1]` is [4,3], expected `[lo, hi]` with `lo` <= `hi`",
        ),
        (
            "[[1,2],[2,3]]",
            "`nodes[1]` is [2,3], expected a range above the one before it, which ends at 2",
        ),
        (
            "[[1,18446744073709551615]]",
            "`nodes[0]` is [1,18446744073709551615], expected a range below pfn 2^64-1, the \
             anchor's",
        ),
    ];
    for (nodes, expected) in cases {
        let line = format!(
            r#"{{"op":"restore","nodes":{nodes},"cached32":null,"cached":null,"max32":1}}"#
        );
        assert_eq!(message(line.as_bytes()), expected);
    }
    assert_messages(&[(
        r#"{"op":"restore","nodes":[[1,2]],"cached32":1,"cached":2,"max32":1}"#,
        "`cached` is 2, expected the lowest pfn of one of `nodes`, or null for the anchor",
    )]);
}

#[test]
fn deep_nesting_and_huge_lines_are_one_message_each() {
    let deep = format!("{{\"op\":{}", "[".repeat(1 << 20));
    assert_eq!(
        message(deep.as_bytes()),
        "not valid JSON at column 1048582: EOF while parsing a list"
    );
    let huge = format!("{{\"op\":\"free\",\"{}\":1}}", "x".repeat(10 << 20));
    assert!(message(huge.as_bytes()).starts_with("unknown field `xxxxxxxxxx"));
    let huge = format!("{{\"op\":\"free\",\"id\":{}}}", "1".repeat(10 << 20));
    assert_eq!(
        message(huge.as_bytes()),
        "`id` is 1111111111111111111111111111111111111111…, expected an integer from 0 to 2^64-1"
    );
}

#[test]
fn headers_that_are_not_right_are_refused() {
    let cases = [
        (
            r#"{"iovasim":"tracee","version":1}"#,
            "`iovasim` is \"tracee\", expected \"trace\"",
        ),
        (
            r#"{"iovasim":"trace"}"#,
            "`version` is missing in the header, expected 1",
        ),
        (
            r#"{"iovasim":"trace","version":2,"colour":"red"}"#,
            "`version` is 2, expected 1; a newer iovasim wrote this trace",
        ),
        (
            r#"{"iovasim":"trace","version":0}"#,
            "`version` is 0, expected 1",
        ),
        (
            r#"{"iovasim":"trace","version":"1"}"#,
            "`version` is \"1\", expected 1",
        ),
        (
            r#"{"iovasim":"trace","version":1,"granul":4096}"#,
            "unknown field `granul` in the header; did you mean `granule`?",
        ),
        (
            r#"{"iovasim":"trace","version":1,"granule":4095}"#,
            "`granule` is 4095, expected a power of two from 1 to 65536",
        ),
        (
            r#"{"iovasim":"trace","version":1,"granule":131072}"#,
            "`granule` is 131072, expected a power of two from 1 to 65536",
        ),
        (
            r#"{"iovasim":"trace","version":1,"cpus":0}"#,
            "`cpus` is 0, expected an integer from 1 to 65536",
        ),
        (
            r#"{"iovasim":"trace","version":1,"cpus":65537}"#,
            "`cpus` is 65537, expected an integer from 1 to 65536",
        ),
        (
            r#"{"iovasim":"trace","version":1,"flush_queue":"lazy"}"#,
            "`flush_queue` is \"lazy\", expected \"none\", \"per-cpu\" or \"single\"",
        ),
        (
            r#"{"iovasim":"trace","version":1,"name":1}"#,
            "`name` is 1, expected a string",
        ),
        (
            r#"{"iovasim":"trace","version":1,"version":1}"#,
            "duplicate field `version`",
        ),
        (
            r#"{"iovasim":"trace","version":1"#,
            "not valid JSON at column 30: EOF while parsing an object",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(header_message(line), expected, "of {line}");
    }
}

#[test]
fn other_files_are_not_traces() {
    let cases = [
        ("hello", "`hello`"),
        ("# a comment", "`# a comment`"),
        ("[1,2]", "`[1,2]`"),
        (r#"{"op":"free","id":1}"#, "an event before any header"),
        (r#"{"i":0,"pfn":7,"n":1}"#, "an outcome stream"),
        (r#"{"name":"x"}"#, "an object without `iovasim`"),
        (
            "\u{feff}{\"iovasim\":\"trace\",\"version\":1}",
            "a byte-order mark",
        ),
        ("", "a blank line"),
        ("\u{7f}ELF\u{2}\u{1}", "binary data"),
    ];
    for (line, found) in cases {
        let expected = format!(
            "is not a trace: found {found}, expected a header such as \
             `{{\"iovasim\":\"trace\",\"version\":1}}`"
        );
        assert_eq!(header_message(line), expected, "of {line}");
    }
}

#[test]
fn spaces_escapes_and_any_order_are_json() {
    let plain = message(br#"{"op":"map","t":5,"id":1,"bytes":2,"mask":3,"dev":"eth1"}"#);
    for line in [
        r#"{"dev":"eth1","mask":3,"bytes":2,"id":1,"t":5,"op":"map"}"#,
        "{\"op\": \"map\", \"t\": 5, \"id\": 1, \"bytes\": 2, \"mask\": 3, \"dev\": \"eth1\"}\r",
        "\t{ \"op\" :\"map\" , \"t\":5,\"id\":1,\"bytes\":2,\"mask\":3,\"dev\":\"eth1\" }  ",
        r#"{"\u006fp":"m\u0061p","t":5,"id":1,"bytes":2,"mask":3,"dev":"e\u0074h1"}"#,
    ] {
        assert_eq!(message(line.as_bytes()), plain, "of {line}");
    }
}

#[test]
fn fields_that_do_not_count_on_a_path_are_ignored() {
    for (path, ignored) in [("fast", "align"), ("direct", "flush")] {
        let with = |field: &str| {
            message(
                format!(
                    r#"{{"op":"alloc","id":1,"pages":1,"limit":1,"path":"{path}"{field}}}"#
                )
                .as_bytes(),
            )
        };
        assert_eq!(with(&format!(",\"{ignored}\":false")), with(""));
    }
}

#[test]
fn time_stays_where_none_is_said() {
    let mut parser = Parser::default();
    let mut at = |line: &str| {
        let mut event = Event::default();
        parser.read(line.as_bytes(), &mut event).unwrap();
        event.at.0
    };
    assert_eq!(at(r#"{"op":"free","id":1}"#), 0);
    assert_eq!(at(r#"{"op":"free","id":1,"t":7}"#), 7);
    assert_eq!(at(r#"{"op":"free","id":1}"#), 7);
}

/// What the quick way makes of a line, and what the other does.
fn both_ways(line: &[u8]) -> (Option<Event>, Option<Event>) {
    let mut names = Names::default();
    let defaults = Defaults {
        at: Nanos(3),
        cpu: Cpu(4),
    };
    let event = |mut line: Line| {
        let mut event = Event::default();
        line.event(defaults, &mut event).ok().map(|()| event)
    };
    let mut quick_line = Line::default();
    let quick = scan::read(line, &mut quick_line, &mut names);
    let quick = quick.and_then(|()| event(quick_line));
    let mut thorough_line = Line::default();
    let thorough = explain::read(line, &mut thorough_line, &mut names).ok();
    (quick, thorough.and_then(|()| event(thorough_line)))
}

fn line_of(event: &Event) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &crate::trace::event::Header::default()).unwrap();
    writer.write(event).unwrap();
    let text = writer.finish().unwrap();
    let header_end = text.iter().position(|&byte| byte == b'\n').unwrap();
    text[header_end + 1..].trim_ascii_end().to_vec()
}

proptest! {
    #[test]
    fn the_quick_way_reads_what_the_writer_writes(event in arbitrary::event()) {
        let (quick, thorough) = both_ways(&line_of(&event));
        prop_assert!(thorough.is_some());
        let common = !matches!(event.op, crate::trace::event::Op::Restore { .. });
        let line = line_of(&event);
        let short = !line.contains(&b'\\') && !has_20_digits(&line);
        prop_assert_eq!(quick.is_some(), common && short);
    }

    #[test]
    fn the_quick_way_reads_nothing_otherwise(
        event in arbitrary::event(),
        edits in arbitrary::edits(),
    ) {
        let mut line = line_of(&event);
        arbitrary::apply(edits, &mut line);
        let (quick, thorough) = both_ways(&line);
        if quick.is_some() {
            prop_assert_eq!(quick, thorough);
        }
        let _ = header(&line);
    }

    #[test]
    fn any_bytes_are_read_or_refused(line: Vec<u8>) {
        let _ = both_ways(&line);
        let _ = message(&line);
        let _ = header(&line);
    }
}

fn has_20_digits(line: &[u8]) -> bool {
    line.split(|byte| !byte.is_ascii_digit())
        .any(|digits| digits.len() >= 20)
}

#[test]
fn the_document_has_every_operation_and_field() {
    let text = include_str!("../../../docs/traces.md");
    let names = OPS.iter().chain(NAMES).chain(super::header::NAMES);
    let missing: Vec<_> = names
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/traces.md: {missing:?}");
}
