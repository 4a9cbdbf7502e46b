//! API keys: `latentd keys`, by which they are made, listed and revoked on the machine itself, so that the first one
//! has a way in; and what the service does about them while it runs.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::start::{self, Error};
use crate::api;
use crate::api::access::hosts::Hosts;
use crate::api::access::{Access, Keyring};
use crate::api::keys::create::KeyRequest;
use crate::api::state::AppState;
use crate::clock::{now_ms, rfc3339};
use crate::config::{CreateKey, Keys, Serve};
use crate::document::FieldError;
use crate::keys::{Key, KeyLimits, KeyToken, Scope};
use crate::layout::Layout;
use crate::store::{AuditRow, Store};

pub fn run(command: &Keys) -> Result<(), Error> {
    let place = match command {
        Keys::Create(wanted) => &wanted.place,
        Keys::List { place } | Keys::Revoke { place, .. } => place,
    };
    let layout = Layout::new(std::path::absolute(&place.data_dir)?);
    start::prepare(&layout, None)?;
    let runtime = Runtime::new()?;
    let lines = runtime.block_on(async {
        let store = Store::open(&layout.database()).await?;
        let lines = match command {
            Keys::Create(wanted) => create(&store, wanted).await,
            Keys::List { .. } => list(&store).await,
            Keys::Revoke { key, .. } => revoke(&store, key).await,
        };
        store.close().await;
        lines
    })?;
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn create(store: &Store, wanted: &CreateKey) -> Result<Vec<String>, Error> {
    let grant = request(wanted)?.granted().map_err(as_flags)?;
    let token = KeyToken::fresh()?;
    let key = Key {
        id: token.id.clone(),
        name: wanted.name.clone(),
        hash: token.hash(),
        grant,
        created_by: None,
        created_at: now_ms(),
        last_used_at: None,
    };
    store.insert_key(&key).await?;
    told(store, "create_key", &key.id).await?;
    Ok(vec![token.text()])
}

/// The flags as the API has them, so that both have the same rules.
fn request(wanted: &CreateKey) -> Result<KeyRequest, Error> {
    let scope = |word: &String| {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        let scope = Scope::parse(word.trim());
        scope.ok_or_else(|| format!("--scopes: must be some of {known}, got \"{word}\""))
    };
    let expires_at = match wanted.expires.as_deref() {
        None => None,
        Some(text) => Some(rfc3339(now_ms().saturating_add(milliseconds(text)?))),
    };
    Ok(KeyRequest {
        name: wanted.name.clone(),
        scopes: wanted.scopes.iter().map(scope).collect::<Result<_, _>>()?,
        models: wanted.models.clone(),
        datasets: wanted.datasets.clone(),
        limits: KeyLimits {
            requests_per_second: wanted.requests_per_second,
            jobs: wanted.jobs,
            stored_bytes: wanted.stored_mib.map(|mib| mib << 20),
            job_samples: wanted.job_samples,
        },
        expires_at,
    })
}

/// `90d`, `12h`, `30m`, `45s`.
fn milliseconds(text: &str) -> Result<i64, Error> {
    let wrong = || {
        let rule =
            "must be a number of days, hours, minutes or seconds, such as 90d, 12h, 30m, 45s";
        format!("--expires: {rule}, got \"{text}\"")
    };
    let (number, unit) = text
        .trim()
        .split_at_checked(text.trim().len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let each: i64 = match unit {
        "d" => 86_400_000,
        "h" => 3_600_000,
        "m" => 60_000,
        "s" => 1000,
        _ => return Err(wrong().into()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * each)
}

fn as_flags(errors: Vec<FieldError>) -> Error {
    let said: Vec<String> = errors
        .iter()
        .map(|FieldError { pointer, detail }| {
            let flag = pointer.trim_start_matches('/').replace(['/', '_'], "-");
            format!("--{flag}: {detail}")
        })
        .collect();
    said.join("; ").into()
}

async fn list(store: &Store) -> Result<Vec<String>, Error> {
    let keys = store.keys().await?;
    if keys.is_empty() {
        return Ok(vec!["there are no keys".to_owned()]);
    }
    let heads = [
        "id",
        "name",
        "scopes",
        "models",
        "datasets",
        "expires",
        "last used",
    ];
    let mut table = vec![heads.map(str::to_owned)];
    for key in keys {
        let when = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), rfc3339);
        let scopes: Vec<&str> = key.grant.scopes.iter().map(|s| s.as_str()).collect();
        table.push([
            key.id,
            key.name,
            scopes.join(","),
            key.grant.models.to_string(),
            key.grant.datasets.to_string(),
            when(key.grant.expires_at),
            when(key.last_used_at),
        ]);
    }
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| table.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    Ok(table.iter().map(line).collect())
}

async fn revoke(store: &Store, key: &str) -> Result<Vec<String>, Error> {
    let found = store.key(key).await?;
    store.delete_key(&found.id).await?;
    told(store, "revoke_key", &found.id).await?;
    Ok(vec![format!("revoked {}", found.name)])
}

/// What is done here stands in the audit log too.
async fn told(store: &Store, operation: &str, id: &str) -> Result<(), Error> {
    let row = AuditRow {
        at: now_ms(),
        address: Some("command line".to_owned()),
        operation: operation.to_owned(),
        object: Some(format!("/v1/keys/{id}")),
        status: 200,
        ..AuditRow::default()
    };
    Ok(store.insert_audit(&row).await?)
}

/// The keys that there are. Beyond this machine they are asked for, unless the operator says otherwise.
pub async fn ring(options: &Serve, store: &Store) -> Result<Keyring, Error> {
    let exposed = !options.listen.ip().is_loopback() && !options.insecure;
    let keyring = Keyring::new(options.require_keys || exposed);
    keyring.reload(store).await?;
    if exposed && !options.require_keys && keyring.is_empty() {
        let listen = options.listen;
        return Err(format!(
            "{listen} is reached from other machines, and there is no API key: make one with `latentd keys create \
            --name admin --scopes admin`, or say --require-keys and make one later, or --insecure to let anybody in"
        )
        .into());
    }
    Ok(keyring)
}

/// What requests to a service at this address are held against.
pub fn access(options: &Serve, address: SocketAddr, keyring: Keyring) -> Access {
    Access {
        hosts: Hosts::new(address, &options.allowed_hosts, &options.cors_origins),
        keyring,
        trusted_proxies: options.trusted_proxies.clone(),
        operations: api::documented().split().2,
        base_path: options.base_path.clone(),
    }
}

/// Keys that other processes make and revoke are known within a second; their last use is written down, and old lines
/// of the audit log are dropped, now and then.
pub async fn keep(app: AppState, keep_days: u32) {
    const EVERY: Duration = Duration::from_secs(1);
    const NOTED_EVERY: u64 = 60;
    const PRUNED_EVERY: u64 = 3600;
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    /// Of the audit log, however young they are: the disk is finite.
    const MOST_LINES: i64 = 1_000_000;
    for tick in 0_u64.. {
        if tick.is_multiple_of(PRUNED_EVERY) {
            let before = now_ms() - i64::from(keep_days) * DAY_MS;
            if let Err(error) = app.store.prune_audit(before, MOST_LINES).await {
                tracing::warn!(%error, "old lines of the audit log could not be dropped");
            }
        }
        tokio::time::sleep(EVERY).await;
        if let Err(error) = app.access.keyring.reload(&app.store).await {
            tracing::warn!(%error, "the API keys could not be read; those known before hold");
        }
        if tick % NOTED_EVERY == NOTED_EVERY - 1
            && let Err(error) = app.access.keyring.note_use(&app.store).await
        {
            tracing::warn!(%error, "the last use of API keys could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_is_a_number_and_its_unit() {
        for (text, ms) in [
            ("90d", 7_776_000_000),
            ("12h", 43_200_000),
            ("1m", 60_000),
            ("5s", 5000),
        ] {
            assert_eq!(milliseconds(text).ok(), Some(ms), "{text}");
        }
        for odd in [
            "",
            "d",
            "90",
            "-1d",
            "1.5h",
            "1w",
            "1d 2h",
            "9999999999d",
            "é",
        ] {
            assert!(milliseconds(odd).is_err(), "{odd}");
        }
    }
}
