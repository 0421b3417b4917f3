//! Sizes, times, pfns and other quantities as scenario files write them.
//!
//! Sizes are `"4KiB"` or integers of bytes, times `"10ms"` or integers of nanoseconds, pfns
//! `"0xfffff"` or integers, decimal numbers have at most six places. Where a quantity may also
//! be drawn, an object stands in its place: [`Or`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::strict_json::Strict;
use iova::units::{Nanos, Pfn};

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// A page frame number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PfnText(pub Pfn);

/// A decimal number from 0 to a million, exact to six places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub u64);

impl Millionths {
    /// One.
    pub const ONE: Millionths = Millionths(1_000_000);
}

impl Default for Millionths {
    /// One, as a factor that is missing.
    fn default() -> Millionths {
        Millionths::ONE
    }
}

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Millionths::ONE.0, self.0 % Millionths::ONE.0);
        let text = format!("{whole}.{part:06}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

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

impl From<Time> for Nanos {
    fn from(time: Time) -> Nanos {
        Nanos(time.0)
    }
}

/// What can be written as an integer, or as text.
pub trait Quantity: Sized {
    /// What a reader expects, in words.
    const EXPECTED: &'static str;
    /// The text as a regular expression.
    const PATTERN: &'static str;
    /// The largest integer.
    const INTEGER_MAX: u64 = u64::MAX;

    /// The quantity that an integer stands for.
    fn from_integer(integer: u64) -> Option<Self>;
    /// The quantity that a text stands for.
    fn from_text(text: &str) -> Option<Self>;
    /// As it is written.
    fn written(&self) -> Written;
}

/// How a quantity is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// As an integer.
    Integer(u64),
    /// As text.
    Text(String),
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

/// A number in the largest unit that divides it; the plain number where only the first does.
fn in_unit(number: u64, units: &[(&str, u64)]) -> Written {
    let mut larger = units.iter().skip(1).rev();
    match larger.find(|(_, factor)| number > 0 && number.is_multiple_of(*factor)) {
        Some((unit, factor)) => Written::Text(format!("{}{unit}", number / factor)),
        None => Written::Integer(number),
    }
}

impl Quantity for Bytes {
    const EXPECTED: &'static str = "a size such as \"4KiB\" (B, KiB, MiB, GiB, TiB) or bytes";
    const PATTERN: &'static str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

    fn from_integer(integer: u64) -> Option<Bytes> {
        Some(Bytes(integer))
    }

    fn from_text(text: &str) -> Option<Bytes> {
        with_unit(text, &SIZES).map(Bytes)
    }

    fn written(&self) -> Written {
        in_unit(self.0, &SIZES)
    }
}

impl Quantity for Time {
    const EXPECTED: &'static str =
        "a time such as \"10ms\" (ns, us, ms, s, min, h) or nanoseconds";
    const PATTERN: &'static str = "^[0-9]+(ns|us|ms|s|min|h)$";

    fn from_integer(integer: u64) -> Option<Time> {
        Some(Time(integer))
    }

    fn from_text(text: &str) -> Option<Time> {
        with_unit(text, &TIMES).map(Time)
    }

    fn written(&self) -> Written {
        in_unit(self.0, &TIMES)
    }
}

impl Quantity for PfnText {
    const EXPECTED: &'static str = "a pfn such as \"0xfffff\" or an integer";
    const PATTERN: &'static str = "^0x[0-9a-fA-F]{1,16}$";

    fn from_integer(integer: u64) -> Option<PfnText> {
        Some(PfnText(Pfn(integer)))
    }

    fn from_text(text: &str) -> Option<PfnText> {
        let digits = text.strip_prefix("0x")?;
        let possible =
            digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pfn = u64::from_str_radix(digits, 16).ok().filter(|_| possible)?;
        Some(PfnText(Pfn(pfn)))
    }

    fn written(&self) -> Written {
        Written::Text(self.0.to_string())
    }
}

/// A quantity, or an object in its place that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Or<S, L> {
    /// The quantity.
    Short(S),
    /// The object.
    Long(L),
}

/// What may stand in place of a quantity.
pub trait InPlace {
    /// What a reader expects, in words.
    const EXPECTED: &'static str;
}

struct QuantityVisitor<S, L>(PhantomData<(S, L)>);

impl<'de, S, L> Visitor<'de> for QuantityVisitor<S, L>
where
    S: Quantity,
    L: Deserialize<'de> + InPlace,
{
    type Value = Or<S, L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or {}", S::EXPECTED, L::EXPECTED)
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
        L::deserialize(Strict(MapAccessDeserializer::new(map))).map(Or::Long)
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

impl<S: Serialize, L: Serialize> Serialize for Or<S, L> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Or::Short(quantity) => quantity.serialize(serializer),
            Or::Long(object) => object.serialize(serializer),
        }
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

/// Visits a quantity alone.
struct Alone<Q>(PhantomData<Q>);

impl<Q: Quantity> Visitor<'_> for Alone<Q> {
    type Value = Q;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Q::EXPECTED)
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Q, E> {
        let refused = || E::invalid_value(Unexpected::Unsigned(integer), &self);
        Q::from_integer(integer).ok_or_else(refused)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Q, E> {
        let refused = || E::invalid_value(Unexpected::Str(text), &self);
        Q::from_text(text).ok_or_else(refused)
    }
}

/// Serde and JSON Schema for types that are a [`Quantity`].
macro_rules! quantity {
    ($($Type:ident),*) => {$(
        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                $crate::workload::quantity::deserialize(deserializer)
            }
        }

        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::workload::quantity::serialize(self, serializer)
            }
        }

        impl schemars::JsonSchema for $Type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::workload::quantity::schema::<$Type>()
            }
        }
    )*};
}

pub(crate) use quantity;

quantity!(Bytes, PfnText, Time);

pub(crate) fn deserialize<'de, Q: Quantity, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Q, D::Error> {
    deserializer.deserialize_any(Alone(PhantomData))
}

pub(crate) fn serialize<S: Serializer>(
    quantity: &impl Quantity,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match quantity.written() {
        Written::Integer(integer) => serializer.serialize_u64(integer),
        Written::Text(text) => serializer.serialize_str(&text),
    }
}

pub(crate) fn schema<Q: Quantity>() -> Schema {
    json_schema!({
        "description": Q::EXPECTED,
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": Q::INTEGER_MAX },
            { "type": "string", "pattern": Q::PATTERN },
        ],
    })
}

/// Visits a decimal number exactly.
struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = Millionths;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to a million with at most six places")
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Millionths, E> {
        let refused = || E::invalid_value(Unexpected::Unsigned(integer), &self);
        decimal(&integer.to_string()).ok_or_else(refused)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Millionths, E> {
        // The shortest text that stands for this float is the one in the file.
        let refused = || E::invalid_value(Unexpected::Float(number), &self);
        decimal(&number.to_string()).ok_or_else(refused)
    }
}

fn decimal(text: &str) -> Option<Millionths> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    let places: u64 = match places.len() {
        0..=6 => format!("{places:0<6}").parse().ok()?,
        _ => return None,
    };
    let millionths = whole.checked_mul(Millionths::ONE.0)?.checked_add(places)?;
    (millionths <= 1_000_000 * Millionths::ONE.0).then_some(Millionths(millionths))
}

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

impl Serialize for Millionths {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 10^12, which is read again exactly"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(Millionths::ONE.0) {
            serializer.serialize_u64(self.0 / Millionths::ONE.0)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1e6)
        }
    }
}

impl JsonSchema for Millionths {
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

/// A number of things where a file names none.
pub(super) fn one() -> u32 {
    1
}

/// Whether a field has its default value, which a file need not write.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
        assert_eq!(read("\"0xFffff\""), Some(PfnText(Pfn(0xfffff))));
        assert_eq!(read("7"), Some(PfnText(Pfn(7))));
        for wrong in ["\"fffff\"", "\"0x\"", "\"0x+1\"", "\"0x11112222333344445\""] {
            assert_eq!(read::<PfnText>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(read("0.000001"), Some(Millionths(1)));
        assert_eq!(read("7.457"), Some(Millionths(7_457_000)));
        assert_eq!(read("3"), Some(Millionths(3_000_000)));
        for wrong in ["0.0000001", "-1", "1000001", "1e300", "\"1\""] {
            assert_eq!(read::<Millionths>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quantities_are_written_in_their_largest_unit() {
        let size = |bytes| serde_json::to_string(&Bytes(bytes)).expect("a quantity");
        assert_eq!(
            [size(0), size(1500), size(3 << 30)],
            ["0", "1500", "\"3GiB\""]
        );
        let time = |nanos| serde_json::to_string(&Time(nanos)).expect("a quantity");
        assert_eq!(
            [time(17), time(90_000), time(90_000_000_000)],
            ["17", "\"90us\"", "\"90s\""]
        );
        let decimal = |number| serde_json::to_string(&Millionths(number)).expect("a number");
        assert_eq!([decimal(3_000_000), decimal(50_001)], ["3", "0.050001"]);
    }
}
