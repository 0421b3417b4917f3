//! Enumerations with names: each name is written once, in the list that makes the type.
//!
//! JSON, command lines and reports all use that spelling. (`strum` and serde's derive do the
//! same, but each with a list of its own.)

/// Makes an enumeration of variants without fields, each with its name:
/// `ALL`, `NAMES`, `name()`, `Display`, `FromStr`, `Serialize`, `Deserialize` and `JsonSchema`.
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        pub enum $Type:ident {
            $($(#[$variant_attribute:meta])* $Variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$attribute])*
        pub enum $Type {
            $($(#[$variant_attribute])* $Variant,)+
        }

        impl $Type {
            /// Every variant, in the order of declaration.
            pub const ALL: [$Type; Self::NAMES.len()] = [$($Type::$Variant,)+];

            /// Every variant's name, in the order of [`ALL`](Self::ALL).
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// Its name in files, on command lines and in reports.
            pub const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::names::UnknownName;

            fn from_str(name: &str) -> Result<$Type, Self::Err> {
                let known = $Type::ALL.into_iter().find(|it| it.name() == name);
                known.ok_or_else(|| $crate::names::UnknownName::new(name, Self::NAMES))
            }
        }

        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl schemars::JsonSchema for $Type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": Self::NAMES })
            }
        }

        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$Type, D::Error> {
                let name = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use named_enum;

use crate::words::nearest;

/// A name that is not one of an enumeration's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown name `{found}`, expected one of `{}`{}", expected.join("`, `"), self.hint())]
pub struct UnknownName {
    found: String,
    expected: &'static [&'static str],
}

impl UnknownName {
    pub(crate) fn new(found: &str, expected: &'static [&'static str]) -> UnknownName {
        UnknownName {
            found: found.to_owned(),
            expected,
        }
    }

    fn hint(&self) -> String {
        let meant = nearest(&self.found, self.expected.iter().copied());
        meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"))
    }
}

#[cfg(test)]
mod tests {
    use crate::kernel::FlushQueue;

    #[test]
    fn json_and_text_use_the_same_name() {
        for queue in FlushQueue::ALL {
            let json = serde_json::to_string(&queue).expect("a string");
            assert_eq!(json, format!("\"{queue}\""));
            assert_eq!(
                serde_json::from_str::<FlushQueue>(&json).expect("a name"),
                queue
            );
            assert_eq!(queue.name().parse(), Ok(queue));
        }
        let error = serde_json::from_str::<FlushQueue>("\"percpu\"").expect_err("unknown");
        assert!(
            error.to_string().starts_with(
                "unknown name `percpu`, expected one of `none`, `per-cpu`, `single`"
            ),
            "{error}"
        );
        assert_eq!(
            "lazy"
                .parse::<FlushQueue>()
                .expect_err("unknown")
                .to_string(),
            "unknown name `lazy`, expected one of `none`, `per-cpu`, `single`"
        );
    }
}
