//! Writes trace.dat files: both versions and byte orders, uncompressed or compressed.

use std::fmt::Write as _;
use std::io::Write as _;

/// The version, and of 7 the compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Six,
    Seven(Packing),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Zstd,
    Zlib,
}

/// A field's value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(u64, usize),
    Signed(i64, usize),
    Text(String),
    List(Vec<u64>, usize),
}

/// An event of the ring buffer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) cpu: u16,
    pub(crate) at: u64,
    pub(crate) pid: u32,
    /// Its place among the formats.
    pub(crate) format: usize,
    pub(crate) values: Vec<Value>,
}

/// An event's format: the types and names of its fields are those of its values.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(crate) system: String,
    pub(crate) name: String,
    pub(crate) fields: Vec<String>,
    pub(crate) shape: Vec<Value>,
}

/// A file to be.
#[derive(Clone, Debug)]
pub(crate) struct Dat {
    pub(crate) version: Version,
    pub(crate) big: bool,
    pub(crate) cpus: u16,
    pub(crate) page: usize,
    pub(crate) formats: Vec<Format>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    /// Pages before which events were missed: CPU, page, how many.
    pub(crate) missed: Vec<(u16, usize, Option<u64>)>,
    /// Every so many events, the time is absolute; a discarded event comes before others.
    pub(crate) odd: usize,
    /// Whether the buffers' options are as the manual page has them, without the page size.
    pub(crate) documented: bool,
    /// The numbers of the CPUs of version 7, where they are not from 0 on.
    pub(crate) numbers: Option<Vec<u16>>,
    /// The names of buffers; all have the same events. The main one's is empty.
    pub(crate) buffers: Vec<&'static str>,
}

/// The head of a page.
const HEAD: usize = 16;

/// The id of the first format.
pub(crate) const FIRST_ID: usize = 300;

impl Dat {
    pub(crate) fn new(version: Version) -> Dat {
        Dat {
            version,
            big: false,
            cpus: 2,
            page: 4096,
            formats: Vec::new(),
            entries: Vec::new(),
            options: vec![(4, b"local [mono] boot\n\0".to_vec())],
            missed: Vec::new(),
            odd: usize::MAX,
            documented: false,
            numbers: None,
            buffers: vec![""],
        }
    }

    /// A number of the file's byte order.
    pub(crate) fn number(&self, number: u64, size: usize) -> Vec<u8> {
        if self.big {
            number.to_be_bytes()[8 - size..].to_vec()
        } else {
            number.to_le_bytes()[..size].to_vec()
        }
    }

    fn sized(&self, text: &[u8]) -> Vec<u8> {
        [&self.number(text.len() as u64, 8), text].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = b"\x17\x08\x44tracing".to_vec();
        file.extend(match self.version {
            Version::Six => b"6\0",
            Version::Seven(_) => b"7\0",
        });
        file.extend([u8::from(self.big), 8]);
        file.extend(self.number(4096, 4));
        match self.version {
            Version::Six => self.six(file),
            Version::Seven(packing) => self.seven(file, packing),
        }
    }

    fn header_info(&self) -> Vec<u8> {
        let field = |declared: &str, offset: usize, size: usize| {
            format!("\tfield: {declared};\toffset:{offset};\tsize:{size};\tsigned:0;\n")
        };
        let page = [
            field("u64 timestamp", 0, 8),
            field("local_t commit", 8, 8),
            field("int overwrite", 8, 1),
            field("char data", HEAD, self.page - HEAD),
        ];
        let event = "# compressed entry header\n\ttype_len    :    5 bits\n\
            \ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n\
            \tpadding     : type == 29\n\ttime_extend : type == 30\n\
            \ttime_stamp : type == 31\n\tdata max type_len  == 28\n";
        [
            b"header_page\0".to_vec(),
            self.sized(page.concat().as_bytes()),
            b"header_event\0".to_vec(),
            self.sized(event.as_bytes()),
        ]
        .concat()
    }

    fn formats(&self) -> Vec<u8> {
        let mut all = self.number(self.formats.len() as u64, 4);
        for (index, format) in self.formats.iter().enumerate() {
            all.extend(format.system.bytes());
            all.push(0);
            all.extend(self.number(1, 4));
            all.extend(self.sized(format.text(FIRST_ID + index).as_bytes()));
        }
        all
    }

    fn data(&self, entry: &Entry) -> Vec<u8> {
        let mut fixed = self.number((FIRST_ID + entry.format) as u64, 2);
        fixed.extend([0, 0]);
        fixed.extend(self.number(u64::from(entry.pid), 4));
        let (offsets, end) = layout(&entry.values);
        let mut behind = Vec::new();
        for (value, offset) in entry.values.iter().zip(offsets) {
            fixed.resize(offset, 0);
            let content = match value {
                Value::Number(number, size) => {
                    fixed.extend(self.number(*number, *size));
                    continue;
                }
                Value::Signed(number, size) => {
                    fixed.extend(self.number(number.cast_unsigned(), *size));
                    continue;
                }
                Value::Text(text) => [text.as_bytes(), b"\0"].concat(),
                Value::List(numbers, size) => {
                    let number = |number: &u64| self.number(*number, *size);
                    numbers.iter().flat_map(number).collect()
                }
            };
            let at = end + behind.len();
            fixed.extend(self.number((content.len() << 16 | at) as u64, 4));
            behind.extend(content);
        }
        fixed.resize(end, 0);
        fixed.extend(behind);
        fixed.resize(fixed.len().next_multiple_of(4), 0);
        fixed
    }

    fn head(&self, what: u64, delta: u64) -> Vec<u8> {
        self.number(
            if self.big {
                what << 27 | delta
            } else {
                delta << 5 | what
            },
            4,
        )
    }

    /// One event after another that was at `last`.
    fn event(&self, number: usize, entry: &Entry, last: u64) -> Vec<u8> {
        let mut all = Vec::new();
        let mut delta = entry.at - last;
        // An absolute time has not the upper bits.
        let told = delta > 0 && (entry.at - 1) >> 59 == last >> 59;
        if number % self.odd == self.odd - 1 && told {
            all.extend(self.head(31, (entry.at - 1) & 0x7ff_ffff));
            all.extend(self.number((entry.at - 1) >> 27 & 0xffff_ffff, 4));
            // What was not kept has a time too, and is never without.
            all.extend(self.head(29, 1));
            all.extend(self.number(12, 4));
            all.extend([0xaa; 8]);
            delta = 0;
        }
        while delta >> 27 != 0 {
            let part = delta.min((1 << 59) - 1);
            all.extend(self.head(30, part & 0x7ff_ffff));
            all.extend(self.number(part >> 27, 4));
            delta -= part;
        }
        let data = self.data(entry);
        if data.len() > 4 * 28 || number % 7 == 3 {
            all.extend(self.head(0, delta));
            all.extend(self.number(data.len() as u64 + 4, 4));
        } else {
            all.extend(self.head(data.len() as u64 / 4, delta));
        }
        all.extend(data);
        all
    }

    fn pages(&self, cpu: u16) -> Vec<Vec<u8>> {
        let mut pages: Vec<Vec<u8>> = Vec::new();
        let mut page = Vec::new();
        let (mut first, mut last) = (0, 0);
        let flush = |page: &mut Vec<u8>, first: u64, pages: &mut Vec<Vec<u8>>| {
            let marked = (cpu, pages.len());
            let mark = self
                .missed
                .iter()
                .find(|(cpu, page, _)| (*cpu, *page) == marked);
            let flags = match mark {
                None => 0,
                Some((_, _, None)) => 1 << 31,
                Some(_) => 3 << 30,
            };
            let commit = page.len() as u64 | flags;
            let mut whole = [self.number(first, 8), self.number(commit, 8)].concat();
            whole.append(page);
            if let Some((_, _, Some(count))) = mark {
                whole.extend(self.number(*count, 8));
            } else if whole.len() + 4 <= self.page {
                whole.extend(self.head(29, 0));
            }
            whole.resize(self.page, 0);
            pages.push(whole);
        };
        let own = self.entries.iter().filter(|entry| entry.cpu == cpu);
        for (number, entry) in own.enumerate() {
            if page.is_empty() {
                (first, last) = (entry.at, entry.at);
            }
            let mut event = self.event(number, entry, last);
            // Room for the number of missed events stays free.
            if HEAD + page.len() + event.len() + 8 > self.page {
                flush(&mut page, first, &mut pages);
                first = entry.at;
                event = self.event(number, entry, first);
            }
            page.extend(event);
            last = entry.at;
        }
        if !page.is_empty() || self.missed.contains(&(cpu, pages.len(), None)) {
            flush(&mut page, first, &mut pages);
        }
        pages
    }

    fn option(&self, id: u16, data: &[u8]) -> Vec<u8> {
        let size = data.len() as u64;
        [&self.number(u64::from(id), 2), &self.number(size, 4), data].concat()
    }

    fn six(&self, mut file: Vec<u8>) -> Vec<u8> {
        file.extend(self.header_info());
        file.extend(self.number(0, 4));
        file.extend(self.formats());
        file.extend(self.number(3, 4));
        file.extend(b"T a");
        file.extend(self.number(0, 4));
        file.extend(self.sized(b"1 init\n"));
        file.extend(self.number(u64::from(self.cpus), 4));
        file.extend(b"options  \0");
        for (id, data) in &self.options {
            file.extend(self.option(*id, data));
        }
        file.extend(self.number(0, 2));
        file.extend(b"flyrecord\0");
        let pages: Vec<Vec<u8>> = (0..self.cpus).map(|cpu| self.pages(cpu).concat()).collect();
        let mut at = (file.len() + 16 * pages.len()).next_multiple_of(4096);
        for pages in &pages {
            file.extend(self.number(at as u64, 8));
            file.extend(self.number(pages.len() as u64, 8));
            at += pages.len();
        }
        file.resize(file.len().next_multiple_of(4096), 0);
        file.extend(pages.concat());
        file
    }

    fn packed(&self, bytes: &[u8], packing: Packing) -> Vec<u8> {
        let packed = match packing {
            Packing::None => return bytes.to_vec(),
            Packing::Zstd => zstd::encode_all(bytes, 1).expect("memory"),
            Packing::Zlib => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
        };
        let sizes = [packed.len(), bytes.len()].map(|size| self.number(size as u64, 4));
        [sizes.concat(), packed].concat()
    }

    fn section(&self, id: u16, content: &[u8], packed: bool) -> Vec<u8> {
        let head = [
            self.number(u64::from(id), 2),
            self.number(u64::from(packed), 2),
            self.number(0, 4),
            self.number(content.len() as u64, 8),
        ];
        [&head.concat(), content].concat()
    }

    fn seven(&self, mut file: Vec<u8>, packing: Packing) -> Vec<u8> {
        let name: &[u8] = match packing {
            Packing::None => b"none\0\0",
            Packing::Zstd => b"zstd\x001.5\0",
            Packing::Zlib => b"zlib\x001.3\0",
        };
        file.extend(name);
        let first = file.len();
        file.extend([0; 8]);
        let is_packed = packing != Packing::None;
        let mut options = self.options.clone();
        options.push((8, self.number(u64::from(self.cpus), 4)));
        let none = self.number(0, 4);
        for (id, content) in [(16, self.header_info()), (17, none), (18, self.formats())] {
            options.push((id, self.number(file.len() as u64, 8)));
            let content = self.packed(&content, packing);
            file.extend(self.section(id, &content, is_packed));
        }
        let mut buffers = Vec::new();
        for name in &self.buffers {
            let start = file.len();
            let mut content = Vec::new();
            let mut table = Vec::new();
            for cpu in 0..self.cpus {
                let mut data = Vec::new();
                let mut size = 0;
                let pages = self.pages(cpu);
                if is_packed {
                    let chunks = pages
                        .chunks(2)
                        .map(|pages| self.packed(&pages.concat(), packing));
                    let chunks: Vec<Vec<u8>> = chunks.collect();
                    data.extend(self.number(chunks.len() as u64, 4));
                    data.extend(chunks.concat());
                    size = chunks.concat().len();
                } else {
                    data.extend(pages.concat());
                    size += data.len();
                }
                let numbers = self.numbers.as_ref();
                let number = numbers.map_or(cpu, |numbers| numbers[usize::from(cpu)]);
                table.extend(self.number(u64::from(number), 4));
                table.extend(self.number((start + 16 + content.len()) as u64, 8));
                table.extend(self.number(size as u64, 8));
                content.extend(data);
            }
            file.extend(self.section(3, &content, is_packed));
            let mut option = self.number(start as u64, 8);
            option.extend(name.bytes());
            option.extend(b"\0mono\0");
            if !self.documented {
                option.extend(self.number(4096, 4));
            }
            option.extend(self.number(u64::from(self.cpus), 4));
            option.extend(table);
            buffers.push((3, option));
        }
        let mut next = 0;
        for options in [buffers, options] {
            let at = file.len() as u64;
            let all = options.iter().map(|(id, data)| self.option(*id, data));
            let mut content = all.collect::<Vec<_>>().concat();
            content.extend(self.option(0, &self.number(next, 8)));
            file.extend(self.section(0, &content, false));
            next = at;
        }
        file[first..first + 8].copy_from_slice(&self.number(next, 8));
        file
    }
}

impl Format {
    fn text(&self, id: usize) -> String {
        let mut text = format!("name: {}\nID: {id}\nformat:\n", self.name);
        let mut field = |declared: &str, offset: usize, size: usize, signed: u8| {
            let _ = writeln!(
                text,
                "\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};"
            );
        };
        field("unsigned short common_type", 0, 2, 0);
        field("unsigned char common_flags", 2, 1, 0);
        field("unsigned char common_preempt_count", 3, 1, 0);
        field("int common_pid", 4, 4, 1);
        let (offsets, _) = layout(&self.shape);
        for ((name, value), offset) in self.fields.iter().zip(&self.shape).zip(offsets) {
            let signed = u8::from(matches!(value, Value::Signed(..)));
            let (declared, size) = match value {
                Value::Number(_, size) => (format!("u{} {name}", 8 * size), *size),
                Value::Signed(_, size) => (format!("s{} {name}", 8 * size), *size),
                Value::Text(_) => (format!("__data_loc char[] {name}"), 4),
                Value::List(_, 4) => (format!("__data_loc unsigned int[] {name}"), 4),
                Value::List(..) => (format!("__data_loc u64[] {name}"), 4),
            };
            field(&declared, offset, size, signed);
        }
        text + "\nprint fmt: \"whatever\"\n"
    }
}

/// The offsets of fields, and where they end.
fn layout(values: &[Value]) -> (Vec<usize>, usize) {
    let mut end = 8_usize;
    let place = |value: &Value| {
        let size = match value {
            Value::Number(_, size) | Value::Signed(_, size) => *size,
            _ => 4,
        };
        let at = end.next_multiple_of(size);
        end = at + size;
        at
    };
    let offsets = values.iter().map(place).collect();
    (offsets, end)
}
