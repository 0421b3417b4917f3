//! Metrics as documents have them: names, with a map for each group.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{COUNT, METRICS, Metric, MetricId, Metrics, Value, today};

/// Metrics that documents of an earlier version lack, where they are unknown.
const ADDED: [MetricId; 1] = [MetricId::RunsAborted];

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Value::Count(count) => serializer.serialize_u64(count),
            Value::Real(number) => serializer.serialize_f64(number),
        }
    }
}

/// As a map with a map for each group, in the order of the table. A group of which nothing is
/// known is null.
impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let groups =
            METRICS.chunk_by(|one, next| one.group().is_some() && one.group() == next.group());
        for rows in groups {
            match rows[0].group() {
                None => map.serialize_entry(rows[0].path, &self.get(rows[0].id))?,
                Some(group) => {
                    let known = rows.iter().any(|it| self.get(it.id).is_some());
                    map.serialize_entry(group, &known.then_some(Group(self, rows)))?;
                }
            }
        }
        map.end()
    }
}

struct Group<'a>(&'a Metrics, &'a [Metric]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Group(metrics, rows) = self;
        let mut map = serializer.serialize_map(Some(rows.len()))?;
        for row in *rows {
            let name = row.in_group().map_or(row.path, |(_, name)| name);
            map.serialize_entry(name, &metrics.get(row.id))?;
        }
        map.end()
    }
}

/// An object with a property for each metric or group, as the table has them.
impl JsonSchema for Metrics {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Metrics".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let groups =
            METRICS.chunk_by(|one, next| one.group().is_some() && one.group() == next.group());
        let property = |rows: &[Metric]| match rows[0].group() {
            None => (rows[0].path.to_owned(), rows[0].schema()),
            Some(group) => (group.to_owned(), group_schema(rows)),
        };
        let properties = groups.map(property).collect();
        object(
            &properties,
            METRICS.iter().filter(|it| ADDED.contains(&it.id)),
        )
    }
}

/// A group, which is null where nothing of it need be known.
fn group_schema(rows: &[Metric]) -> serde_json::Value {
    let name = |row: &Metric| row.in_group().map_or(row.path, |(_, name)| name).to_owned();
    let properties = rows.iter().map(|row| (name(row), row.schema())).collect();
    let mut schema = object(&properties, std::iter::empty());
    schema.insert("additionalProperties".to_owned(), false.into());
    if !rows.iter().any(Metric::is_always_known) {
        schema.insert("type".to_owned(), serde_json::json!(["object", "null"]));
    }
    schema.into()
}

/// An object all of whose properties must be there, but for some.
fn object<'a>(
    properties: &serde_json::Map<String, serde_json::Value>,
    mut optional: impl Iterator<Item = &'a Metric>,
) -> Schema {
    let optional: Vec<&str> = optional.by_ref().map(|it| it.path).collect();
    let required = properties
        .keys()
        .filter(|it| !optional.contains(&it.as_str()));
    let required: Vec<&String> = required.collect();
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

impl Metric {
    fn schema(&self) -> serde_json::Value {
        let number = if self.is_integer() {
            "integer"
        } else {
            "number"
        };
        let types = if self.is_always_known() {
            vec![number]
        } else {
            vec![number, "null"]
        };
        serde_json::json!({
            "description": self.meaning,
            "type": types,
            "minimum": 0,
            "maximum": u64::MAX,
        })
    }
}

impl<'de> de::Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metrics, D::Error> {
        deserializer.deserialize_map(MetricsVisitor)
    }
}

/// A value that was read, or null.
#[derive(Clone, Copy)]
struct Field(Option<Value>);

/// Reads metrics, all of them and nothing else.
struct MetricsVisitor;

impl<'de> Visitor<'de> for MetricsVisitor {
    type Value = Metrics;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("metrics by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
        let mut found: [Option<Field>; COUNT] = [None; COUNT];
        while let Some(name) = map.next_key::<String>()? {
            let name = today(&name);
            if METRICS.iter().any(|it| it.group() == Some(name)) {
                map.next_value_seed(GroupSeed(name, &mut found))?;
            } else {
                read_one(name, &mut map, &mut found)?;
            }
        }
        let mut values = [None; COUNT];
        for metric in &METRICS {
            values[metric.id as usize] = match found[metric.id as usize] {
                Some(Field(value)) => value,
                None if ADDED.contains(&metric.id) => None,
                None => return Err(de::Error::missing_field(metric.path)),
            };
        }
        Ok(Metrics(values))
    }
}

/// Reads the metric of a path.
fn read_one<'de, A: MapAccess<'de>>(
    path: &str,
    map: &mut A,
    found: &mut [Option<Field>; COUNT],
) -> Result<(), A::Error> {
    let Some(metric) = Metric::find(path) else {
        map.next_value::<IgnoredAny>()?;
        return Err(de::Error::custom(format!("unknown field `{path}`")));
    };
    let value: Option<Value> = map.next_value_seed(ValueSeed(metric))?;
    match found[metric.id as usize].replace(Field(value)) {
        None => Ok(()),
        Some(_) => Err(de::Error::duplicate_field(metric.path)),
    }
}

/// Reads the metrics of a group, or null.
struct GroupSeed<'a>(&'a str, &'a mut [Option<Field>; COUNT]);

impl<'de> DeserializeSeed<'de> for GroupSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for GroupSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the metrics of `{}`", self.0)
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        for metric in METRICS.iter().filter(|it| it.group() == Some(self.0)) {
            if metric.is_always_known() {
                return Err(E::custom(format!("`{}` is null", self.0)));
            }
            self.1[metric.id as usize] = Some(Field(None));
        }
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            read_one(&format!("{}.{name}", self.0), &mut map, self.1)?;
        }
        Ok(())
    }
}

/// Reads a value of a metric, or null where it may be unknown.
struct ValueSeed(&'static Metric);

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for ValueSeed {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.0.is_integer() {
            "an integer from 0 on"
        } else {
            "a number from 0 on"
        };
        write!(f, "{what} as `{}`", self.0.path)
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Count(count)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Option<Value>, E> {
        match Value::real(number) {
            value if number >= 0.0 && !self.0.is_integer() => Ok(Some(value)),
            _ => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<Value>, E> {
        if self.0.is_always_known() {
            return Err(E::invalid_type(de::Unexpected::Unit, &self));
        }
        Ok(None)
    }
}
