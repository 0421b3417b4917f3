//! The parts that both versions have: tracefs's descriptions of its buffer and events.

use crate::bytes::Bytes;
use crate::error::Error;
use crate::formats::{Field, FieldKind, Formats, fields};

/// The largest page of a ring buffer, in bytes; the kernel's are of 4 kB unless asked for more.
const PAGE_MAX: usize = 1 << 24;

/// How a page of the ring buffer begins.
#[derive(Clone, Debug)]
pub(crate) struct PageLayout {
    pub(crate) timestamp: Field,
    /// The number of bytes of events, with flags.
    pub(crate) commit: Field,
    /// Where the events begin.
    pub(crate) data: usize,
    /// The size of the page.
    pub(crate) size: usize,
}

/// `header_page` and `header_event`.
pub(crate) fn header_info(bytes: &mut Bytes<'_>) -> Result<PageLayout, Error> {
    bytes.expect(b"header_page\0", "header_page")?;
    let size = bytes.u64("size of header_page")?;
    let page = page_layout(bytes.take(size, "header_page")?)?;
    bytes.expect(b"header_event\0", "header_event")?;
    let size = bytes.u64("size of header_event")?;
    check_event(bytes.take(size, "header_event")?)?;
    Ok(page)
}

fn page_layout(text: Bytes<'_>) -> Result<PageLayout, Error> {
    let fields = fields(&text.all_text());
    let named = |name: &str| {
        let found = fields.iter().find(|field| field.name == name);
        found.cloned().ok_or_else(|| {
            let found = text.all_text().chars().take(200).collect::<String>();
            text.wrong("header_page", found, format!("a field `{name}`"))
        })
    };
    let (timestamp, commit, data) = (named("timestamp")?, named("commit")?, named("data")?);
    let size = data.offset.saturating_add(data.size);
    let before_data = |field: &Field, sizes: &[usize]| {
        let end = field.offset.saturating_add(field.size);
        sizes.contains(&field.size)
            && end <= data.offset
            && matches!(field.kind, FieldKind::Number { .. })
    };
    if !before_data(&timestamp, &[8]) || !before_data(&commit, &[4, 8]) {
        let expected = "a timestamp of 8 bytes and a commit of 4 or 8 before the data";
        let found = format!("{} and {} bytes", timestamp.size, commit.size);
        return Err(text.wrong("header_page", found, expected));
    }
    if size > PAGE_MAX || data.size < 8 {
        let expected = format!("8 bytes of data or more, and {PAGE_MAX} at most in all");
        return Err(text.wrong("header_page", format!("a page of {size} bytes"), expected));
    }
    Ok(PageLayout {
        timestamp,
        commit,
        data: data.offset,
        size,
    })
}

/// Checks that events are laid out as this crate reads them, as those of every kernel are.
fn check_event(text: Bytes<'_>) -> Result<(), Error> {
    let all = text.all_text();
    for expected in [
        ("type_len", "5 bits"),
        ("time_delta", "27 bits"),
        ("array", "32 bits"),
        ("padding", "type == 29"),
        ("time_extend", "type == 30"),
    ] {
        let (name, value) = expected;
        let mut lines = all.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(left, _)| left.trim() == name);
        if found.is_none_or(|(_, right)| right.trim() != value) {
            let found = found.map_or("nothing", |(_, right)| right.trim());
            return Err(text.wrong(format!("header_event: {name}"), found, value));
        }
    }
    Ok(())
}

/// The formats of the tracer's own events.
pub(crate) fn ftrace_formats(
    bytes: &mut Bytes<'_>,
    formats: &mut Formats,
) -> Result<(), Error> {
    for _ in 0..bytes.u32("number of ftrace formats")? {
        format(bytes, "ftrace", formats)?;
    }
    Ok(())
}

/// The formats of events, by system.
pub(crate) fn event_formats(bytes: &mut Bytes<'_>, formats: &mut Formats) -> Result<(), Error> {
    for _ in 0..bytes.u32("number of systems")? {
        let system = bytes.text("name of a system")?;
        for _ in 0..bytes.u32("number of a system's formats")? {
            format(bytes, &system, formats)?;
        }
    }
    Ok(())
}

fn format(bytes: &mut Bytes<'_>, system: &str, formats: &mut Formats) -> Result<(), Error> {
    let size = bytes.u64("size of a format")?;
    formats.add(system, bytes.take(size, "format of an event")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Order, Origin};

    const PAGE: &str = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
        \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
        \tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
    const EVENT: &str = "# compressed entry header\n\ttype_len    :    5 bits\n\
        \ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n\
        \tpadding     : type == 29\n\ttime_extend : type == 30\n";

    fn read(page: &str, event: &str) -> Result<PageLayout, String> {
        let sized = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
        let parts = [
            b"header_page\0".to_vec(),
            sized(page),
            b"header_event\0".to_vec(),
        ];
        let bytes = [parts.concat(), sized(event)].concat();
        let mut bytes = Bytes::new(&bytes, Origin::File(0), Order::Little);
        header_info(&mut bytes).map_err(|error| error.problem.to_string())
    }

    #[test]
    fn pages_are_what_the_file_says() {
        let layout = read(PAGE, EVENT).expect("a layout");
        assert_eq!((layout.data, layout.size), (16, 4096));
        // A kernel of 32 bits.
        let narrow = PAGE.replace("offset:8;\tsize:8", "offset:8;\tsize:4");
        let narrow = narrow.replace("offset:16;\tsize:4080", "offset:12;\tsize:4084");
        let layout = read(&narrow, EVENT).expect("a layout");
        assert_eq!(
            (layout.commit.size, layout.data, layout.size),
            (4, 12, 4096)
        );
    }

    #[test]
    fn other_layouts_are_refused() {
        for (from, to, expected) in [
            ("commit", "omit", "a field `commit`"),
            (
                "offset:0;\tsize:8",
                "offset:0;\tsize:4",
                "found 4 and 8 bytes",
            ),
            ("offset:8;\tsize:8", "offset:9;\tsize:8", "before the data"),
            ("size:4080", "size:4", "found a page of 20 bytes"),
            ("size:4080", "size:16777216", "a page of 16777232 bytes"),
            ("size:4080", "size:18446744073709551615", "a page of"),
        ] {
            let error = read(&PAGE.replace(from, to), EVENT).expect_err(to);
            assert!(error.contains(expected), "{error}");
        }
        for (from, to, expected) in [
            (
                "27 bits",
                "26 bits",
                "`header_event: time_delta`: found 26 bits, expected 27 bits",
            ),
            (
                "padding",
                "filler",
                "`header_event: padding`: found nothing, expected type == 29",
            ),
        ] {
            let error = read(PAGE, &EVENT.replace(from, to)).expect_err(to);
            assert_eq!(error, expected);
        }
    }
}
