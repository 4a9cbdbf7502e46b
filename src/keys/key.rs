//! A key, and what it grants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::globs::Globs;
use super::limits::KeyLimits;
use super::scope::Scope;

/// What a key may do, to what, how much, and until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// Names of models, and of the jobs that make them: patterns with `*`.
    pub models: Globs,
    /// Names of data sets.
    pub datasets: Globs,
    pub limits: KeyLimits,
    /// Milliseconds since 1970.
    #[schema(ignore)]
    pub expires_at: Option<i64>,
}

/// A key as it is kept. Not `Debug`: its hash has no business in a log.
#[derive(Clone, PartialEq)]
pub struct Key {
    pub id: String,
    pub name: String,
    pub hash: Vec<u8>,
    pub grant: Grant,
    /// The key that made it; none for one that was made at the command line.
    pub created_by: Option<String>,
    pub created_at: i64,
    pub last_used_at: Option<i64>,
}

/// Where one grant goes beyond another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    #[error("the key that asks has not the scope `{}` itself", .0.as_str())]
    Scope(Scope),
    #[error("the key that asks does not reach all of these names itself")]
    Names(&'static str),
    #[error("the key that asks is held to a tighter limit itself")]
    Limit(&'static str),
    #[error("the key that asks expires before that")]
    Expiry,
}

impl Excess {
    /// The field of a request that goes too far.
    pub fn pointer(&self) -> String {
        match self {
            Self::Scope(_) => "/scopes".to_owned(),
            Self::Names(field) => format!("/{field}"),
            Self::Limit(field) => format!("/limits/{field}"),
            Self::Expiry => "/expires_at".to_owned(),
        }
    }
}

impl Grant {
    pub fn allows(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| scope.covers(needed))
    }

    pub fn has_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether it reaches every name there is.
    pub fn reaches_everything(&self) -> bool {
        self.models.is_everything() && self.datasets.is_everything()
    }

    /// A key can give away no more than it has.
    pub fn covers(&self, other: &Self) -> Result<(), Excess> {
        if let Some(scope) = other.scopes.iter().find(|scope| !self.allows(**scope)) {
            return Err(Excess::Scope(*scope));
        }
        for (field, mine, others) in [
            ("models", &self.models, &other.models),
            ("datasets", &self.datasets, &other.datasets),
        ] {
            if !mine.cover(others) {
                return Err(Excess::Names(field));
            }
        }
        if let Some(field) = other.limits.looser_than(&self.limits) {
            return Err(Excess::Limit(field));
        }
        match (self.expires_at, other.expires_at) {
            (Some(mine), Some(others)) if others <= mine => Ok(()),
            (None, _) => Ok(()),
            _ => Err(Excess::Expiry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scopes: &[Scope]) -> Grant {
        Grant {
            scopes: scopes.to_vec(),
            models: Globs::default(),
            datasets: Globs::default(),
            limits: KeyLimits::default(),
            expires_at: None,
        }
    }

    #[test]
    fn admin_may_do_everything_and_the_others_their_own() {
        for needed in Scope::ALL {
            assert!(grant(&[Scope::Admin]).allows(needed));
            for scope in Scope::ALL {
                let allowed = scope == needed || scope == Scope::Admin;
                assert_eq!(
                    grant(&[scope]).allows(needed),
                    allowed,
                    "{scope:?} {needed:?}"
                );
            }
            assert!(!grant(&[]).allows(needed));
        }
    }

    #[test]
    fn a_grant_covers_what_goes_nowhere_beyond_it() {
        let prod = || Globs::of(vec!["prod-*".to_owned()]).expect("a pattern");
        let wide = grant(&[Scope::Admin]);
        let narrow = Grant {
            models: prod(),
            expires_at: Some(100),
            ..grant(&[Scope::Read, Scope::Infer])
        };
        assert_eq!(wide.covers(&wide), Ok(()));
        assert_eq!(wide.covers(&narrow), Ok(()));
        assert_eq!(narrow.covers(&narrow), Ok(()));
        let with = |change: fn(&mut Grant)| {
            let mut grant = narrow.clone();
            change(&mut grant);
            narrow.covers(&grant).map_err(|excess| excess.pointer())
        };
        let refused = |pointer: &str| Err(pointer.to_owned());
        assert_eq!(with(|g| g.scopes = vec![Scope::Read]), Ok(()));
        assert_eq!(with(|g| g.scopes.push(Scope::Data)), refused("/scopes"));
        assert_eq!(with(|g| g.models = Globs::default()), refused("/models"));
        assert_eq!(with(|g| g.expires_at = None), refused("/expires_at"));
        assert_eq!(with(|g| g.expires_at = Some(101)), refused("/expires_at"));
        assert_eq!(with(|g| g.expires_at = Some(99)), Ok(()));
        let limited = Grant {
            limits: KeyLimits {
                jobs: Some(2),
                ..KeyLimits::default()
            },
            ..wide.clone()
        };
        let excess = limited.covers(&wide).map_err(|excess| excess.pointer());
        assert_eq!(excess, refused("/limits/jobs"));
    }

    #[test]
    fn a_key_ends_at_its_time() {
        let ends = Grant {
            expires_at: Some(100),
            ..grant(&[Scope::Read])
        };
        assert!(!ends.has_expired(99) && ends.has_expired(100));
        assert!(!grant(&[Scope::Read]).has_expired(i64::MAX));
    }
}
