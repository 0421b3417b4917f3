//! Reads the common form of a line, quickly.
//!
//! An object without spaces but one after a colon or a comma, with strings without escapes,
//! numbers of at most 19 digits and no `nodes`. Eight bytes are looked at in one step: a field's
//! name is one comparison, eight digits are three multiplications. Anything else, right or
//! wrong, is none: [`explain`](super::explain) reads it then.

use crate::trace::fields::{self, NAMES as OPS};
use crate::trace::names::Names;

use super::field::{COUNT, FIELDS, Field, Form, NAMES};
use super::line::Line;
use super::swar::{decimal, digits, head, plain, until, word};

/// Reads the fields of a line in the common form.
pub(super) fn read(text: &[u8], line: &mut Line, names: &mut Names) -> Option<()> {
    line.clear();
    let mut scan = Scan { line: text, at: 0 };
    scan.byte(b'{')?;
    loop {
        scan.byte(b'"')?;
        let field = scan.name()?;
        scan.byte(b'"')?;
        scan.byte(b':')?;
        scan.space();
        if line.has(field) {
            return None;
        }
        scan.value(field, line, names)?;
        match scan.next()? {
            b',' => scan.space(),
            b'}' => break,
            _ => return None,
        }
    }
    let is_space = |byte| matches!(byte, b' ' | b'\t' | b'\r');
    text[scan.at..].iter().copied().all(is_space).then_some(())
}

struct Scan<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.line.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn space(&mut self) {
        self.at += usize::from(self.line.get(self.at) == Some(&b' '));
    }

    /// The next eight bytes, the first in the lowest byte; zeros beyond the line's end.
    fn word(&self) -> u64 {
        let rest = self.line.get(self.at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => word(rest),
        }
    }

    /// A field's name, up to the quote that ends it.
    fn name(&mut self) -> Option<Field> {
        let bytes = self.word();
        let length = until(bytes, b'"');
        self.at += length;
        BY_NAME
            .find(head(bytes, length), length)
            .map(|index| FIELDS[index])
    }

    fn value(&mut self, field: Field, line: &mut Line, names: &mut Names) -> Option<()> {
        match field.form() {
            Form::Integer(least, most) => {
                let number = self.integer()?;
                if number < least || number > most {
                    return None;
                }
                line.set(field, number);
            }
            Form::Nullable if self.line.get(self.at) == Some(&b'n') => {
                self.literal(b"null")?;
                line.set_null(field);
            }
            Form::Nullable => line.set(field, self.integer()?),
            Form::Boolean if self.line.get(self.at) == Some(&b't') => {
                self.literal(b"true")?;
                line.set(field, 1);
            }
            Form::Boolean => {
                self.literal(b"false")?;
                line.set(field, 0);
            }
            Form::Word(_) if field == Field::Op => line.set(field, self.op()?),
            Form::Word(words) => {
                let text = self.text()?;
                let index = words.iter().position(|word| word.as_bytes() == text)?;
                line.set(field, index as u64);
            }
            Form::Text => {
                let text = std::str::from_utf8(self.text()?).ok()?;
                // `explain` makes the message if there are too many.
                line.set_dev(names.intern(text).ok()?);
            }
            Form::Ranges => return None,
        }
        Some(())
    }

    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        let found = self.line.get(self.at..self.at + expected.len())?;
        self.at += expected.len();
        (found == expected).then_some(())
    }

    fn op(&mut self) -> Option<u64> {
        let text = self.text()?;
        let index = BY_OP.find(word(text), text.len())?;
        (OPS[index].as_bytes() == text).then_some(index as u64)
    }

    /// A string without escapes.
    fn text(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let start = self.at;
        loop {
            let length = plain(self.word());
            self.at += length;
            if length < 8 {
                break;
            }
        }
        let text = self.line.get(start..self.at)?;
        self.byte(b'"')?;
        Some(text)
    }

    /// An integer of at most 19 digits, which cannot overflow, without leading zeros.
    fn integer(&mut self) -> Option<u64> {
        const DIGITS_MAX: usize = 19;
        let start = self.at;
        let mut number = 0;
        loop {
            let bytes = self.word();
            let count = digits(bytes);
            self.at += count;
            if count == 0 || self.at - start > DIGITS_MAX {
                break;
            }
            number = number * POWERS_OF_TEN[count] + decimal(bytes, count);
            if count < 8 {
                break;
            }
        }
        let length = self.at - start;
        let canonical = length == 1 || self.line.get(start) != Some(&b'0');
        (canonical && (1..=DIGITS_MAX).contains(&length)).then_some(number)
    }
}

const POWERS_OF_TEN: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// Some names, found by the word that each begins with.
struct ByWord<const N: usize> {
    words: [u64; N],
    lengths: [usize; N],
    multiplier: u64,
    /// Indices of names; `NONE` where there is none.
    slots: [usize; 1 << SLOT_BITS],
}

const SLOT_BITS: u32 = 6;
const NONE: usize = usize::MAX;

static BY_NAME: ByWord<COUNT> = ByWord::new(NAMES);
static BY_OP: ByWord<{ fields::COUNT }> = ByWord::new(OPS);

impl<const N: usize> ByWord<N> {
    /// A multiplier that gives every name a slot of its own, the first that does.
    const fn new(names: &[&str]) -> ByWord<N> {
        let mut table = ByWord {
            words: [0; N],
            lengths: [0; N],
            multiplier: 1,
            slots: [NONE; 1 << SLOT_BITS],
        };
        let mut index = 0;
        while index < N {
            table.words[index] = word(names[index].as_bytes());
            table.lengths[index] = names[index].len();
            index += 1;
        }
        while !table.fill() {
            table.multiplier = table.multiplier.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        table
    }

    const fn fill(&mut self) -> bool {
        self.slots = [NONE; 1 << SLOT_BITS];
        let mut index = 0;
        while index < N {
            let slot = self.slot(self.words[index]);
            if self.slots[slot] != NONE {
                return false;
            }
            self.slots[slot] = index;
            index += 1;
        }
        true
    }

    const fn slot(&self, word: u64) -> usize {
        (self.multiplier.wrapping_mul(word) >> (u64::BITS - SLOT_BITS)) as usize
    }

    /// The index of the name that begins with a word and has a length.
    fn find(&self, word: u64, length: usize) -> Option<usize> {
        let index = self.slots[self.slot(word)];
        let found = *self.words.get(index)? == word && self.lengths[index] == length;
        found.then_some(index)
    }
}
