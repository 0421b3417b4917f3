//! Sizes, times, pfns and other quantities as scenario files write them.
//!
//! Sizes are `"4KiB"` or integers of bytes, times `"10ms"` or integers of nanoseconds, pfns
//! `"0xfffff"` or integers, decimal numbers have at most six places. Where a quantity may also
//! be drawn, an object stands in its place: [`Or`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::workload::cpus::Cpus;
use crate::workload::distribution::Millionths;

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// A time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time(pub(super) u64);

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> u64 {
        bytes.0
    }
}

impl From<Time> for u64 {
    fn from(time: Time) -> u64 {
        time.0
    }
}

/// A page frame number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PfnNumber(pub(super) u64);

/// A decimal number that is not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal(pub(super) Millionths);

/// CPUs in the kernel's list format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CpuList(pub(super) Cpus);

/// How many of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

/// How long a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Forever,
    For(Time),
}

/// What can be written as an integer, or as text.
pub(super) trait Quantity: Sized {
    const EXPECTED: &'static str;
    /// The text as a regular expression; none where there is no text.
    const PATTERN: Option<&'static str>;

    fn from_integer(integer: u64) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
}

const SIZES: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A whole number and one of the units.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let &(_, factor) = units.iter().find(|&&(name, _)| name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl Quantity for Bytes {
    const EXPECTED: &'static str = "a size such as \"4KiB\" (B, KiB, MiB, GiB, TiB) or bytes";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(B|KiB|MiB|GiB|TiB)$");

    fn from_integer(integer: u64) -> Option<Bytes> {
        Some(Bytes(integer))
    }

    fn from_text(text: &str) -> Option<Bytes> {
        with_unit(text, &SIZES).map(Bytes)
    }
}

impl Quantity for Time {
    const EXPECTED: &'static str =
        "a time such as \"10ms\" (ns, us, ms, s, min, h) or nanoseconds";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(ns|us|ms|s|min|h)$");

    fn from_integer(integer: u64) -> Option<Time> {
        Some(Time(integer))
    }

    fn from_text(text: &str) -> Option<Time> {
        with_unit(text, &TIMES).map(Time)
    }
}

impl Quantity for PfnNumber {
    const EXPECTED: &'static str = "a pfn such as \"0xfffff\" or an integer";
    const PATTERN: Option<&'static str> = Some("^0x[0-9a-fA-F]{1,16}$");

    fn from_integer(integer: u64) -> Option<PfnNumber> {
        Some(PfnNumber(integer))
    }

    fn from_text(text: &str) -> Option<PfnNumber> {
        let digits = text.strip_prefix("0x")?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pfn = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
        Some(PfnNumber(pfn))
    }
}

impl Quantity for CpuList {
    const EXPECTED: &'static str = "a list of CPUs such as \"0-3,8\", or one CPU";
    const PATTERN: Option<&'static str> = Some("^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$");

    fn from_integer(integer: u64) -> Option<CpuList> {
        CpuList::from_text(&integer.to_string())
    }

    fn from_text(text: &str) -> Option<CpuList> {
        text.parse().ok().map(CpuList)
    }
}

impl Quantity for Count {
    const EXPECTED: &'static str = "a number";
    const PATTERN: Option<&'static str> = None;

    fn from_integer(integer: u64) -> Option<Count> {
        Some(Count(integer))
    }

    fn from_text(_: &str) -> Option<Count> {
        None
    }
}

impl Quantity for Life {
    const EXPECTED: &'static str = "\"forever\", or a time such as \"10ms\"";
    const PATTERN: Option<&'static str> = Some("^(forever|[0-9]+(ns|us|ms|s|min|h))$");

    fn from_integer(integer: u64) -> Option<Life> {
        Some(Life::For(Time(integer)))
    }

    fn from_text(text: &str) -> Option<Life> {
        match text {
            "forever" => Some(Life::Forever),
            text => Time::from_text(text).map(Life::For),
        }
    }
}

/// A quantity, or what says more in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Or<S, L> {
    Short(S),
    Long(L),
}

/// What may stand in place of a quantity.
pub(super) trait InPlace: Sized {
    const EXPECTED: &'static str;
}

impl InPlace for Vec<u64> {
    const EXPECTED: &'static str = "a list of numbers";
}

/// What nothing may stand in place of.
enum Nothing {}

impl InPlace for Nothing {
    const EXPECTED: &'static str = "";
}

struct QuantityVisitor<S, L>(PhantomData<(S, L)>);

impl<'de, S, L> Visitor<'de> for QuantityVisitor<S, L>
where
    S: Quantity,
    L: Deserialize<'de> + InPlace,
{
    type Value = Or<S, L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match L::EXPECTED {
            "" => f.write_str(S::EXPECTED),
            expected => write!(f, "{}, or {expected}", S::EXPECTED),
        }
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Or<S, L>, E> {
        let refused = || E::invalid_value(Unexpected::Unsigned(integer), &self);
        S::from_integer(integer).map(Or::Short).ok_or_else(refused)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Or<S, L>, E> {
        let refused = || E::invalid_value(Unexpected::Str(text), &self);
        S::from_text(text).map(Or::Short).ok_or_else(refused)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Or<S, L>, A::Error> {
        L::deserialize(MapAccessDeserializer::new(map)).map(Or::Long)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Or<S, L>, A::Error> {
        L::deserialize(SeqAccessDeserializer::new(seq)).map(Or::Long)
    }
}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "found an array or object, expected a single value",
        ))
    }
}

impl<'de, S, L> Deserialize<'de> for Or<S, L>
where
    S: Quantity,
    L: Deserialize<'de> + InPlace,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor(PhantomData))
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Or<S, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<L>()],
        })
    }
}

macro_rules! quantity {
    ($($type:ident),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Or::<$type, Nothing>::deserialize(deserializer)? {
                    Or::Short(quantity) => Ok(quantity),
                    Or::Long(nothing) => match nothing {},
                }
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut forms = vec![json_schema!({ "type": "integer", "minimum": 0 })];
                if let Some(pattern) = <$type>::PATTERN {
                    forms.push(json_schema!({ "type": "string", "pattern": pattern }));
                }
                json_schema!({ "description": <$type>::EXPECTED, "anyOf": forms })
            }
        }
    )*};
}

quantity!(Bytes, Count, CpuList, Life, PfnNumber, Time);

/// Reads a decimal number exactly.
struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to a million with at most six places")
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Decimal, E> {
        let found = serde::de::Unexpected::Unsigned(integer);
        decimal(&integer.to_string()).ok_or_else(|| E::invalid_value(found, &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Decimal, E> {
        // The shortest text that stands for this float is the one in the file.
        let found = serde::de::Unexpected::Float(number);
        decimal(&number.to_string()).ok_or_else(|| E::invalid_value(found, &self))
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok().filter(|&whole| whole <= 1_000_000)?;
    let places: u64 = match places.len() {
        0..=6 => format!("{places:0<6}").parse().ok()?,
        _ => return None,
    };
    Some(Decimal(Millionths(whole * Millionths::ONE.0 + places)))
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a number with at most six places",
            "type": "number",
            "minimum": 0,
            "maximum": 1_000_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn sizes_are_text_or_bytes() {
        assert_eq!(read("\"4KiB\""), Some(Bytes(4096)));
        assert_eq!(read("\"3GiB\""), Some(Bytes(3 << 30)));
        assert_eq!(read("17"), Some(Bytes(17)));
        for wrong in [
            "\"4KB\"",
            "\"4 KiB\"",
            "\"KiB\"",
            "\"4\"",
            "-1",
            "1.5",
            "\"99999999TiB\"",
        ] {
            assert_eq!(read::<Bytes>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_text_or_nanoseconds() {
        assert_eq!(read("\"10ms\""), Some(Time(10_000_000)));
        assert_eq!(read("\"2h\""), Some(Time(7_200_000_000_000)));
        assert_eq!(read("5"), Some(Time(5)));
        for wrong in [
            "\"10\"",
            "\"10 ms\"",
            "\"10m\"",
            "\"-1s\"",
            "\"99999999999h\"",
        ] {
            assert_eq!(read::<Time>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pfns_are_hexadecimal_text_or_integers() {
        assert_eq!(read("\"0xFffff\""), Some(PfnNumber(0xfffff)));
        assert_eq!(read("7"), Some(PfnNumber(7)));
        for wrong in ["\"fffff\"", "\"0x\"", "\"0x+1\"", "\"0x11112222333344445\""] {
            assert_eq!(read::<PfnNumber>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(read("0.000001"), Some(Decimal(Millionths(1))));
        assert_eq!(read("7.457"), Some(Decimal(Millionths(7_457_000))));
        assert_eq!(read("3"), Some(Decimal(Millionths(3_000_000))));
        for wrong in ["0.0000001", "-1", "1000001", "1e300", "\"1\""] {
            assert_eq!(read::<Decimal>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn cpus_are_a_list_or_one() {
        let cpus = |json| read::<CpuList>(json).map(|list| list.0.iter().count());
        assert_eq!(cpus("\"0-3,8\""), Some(5));
        assert_eq!(cpus("3"), Some(1));
        assert_eq!(cpus("\"3-1\""), None);
    }
}
