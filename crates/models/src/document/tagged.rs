//! Objects told apart by their `kind`: a struct, the enum of its one kind, and a default for every field.

/// Declares such an object. `as` is followed by what the OpenAPI document calls the struct and the enum.
macro_rules! tagged {
    (
        $(#[$doc:meta])*
        pub struct $name:ident as $schema:ident, $kind:ident::$variant:ident as $kind_schema:ident {
            $($(#[$field_doc:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = $kind_schema)]
        pub enum $kind {
            #[default]
            $variant,
        }

        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields, default)]
        #[schema(as = $schema)]
        pub struct $name {
            #[schema(required, inline)]
            pub kind: $kind,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { kind: $kind::$variant, $($field: $default,)* }
            }
        }
    };
}
pub(crate) use tagged;
