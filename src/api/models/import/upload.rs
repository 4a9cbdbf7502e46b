//! Receives the form of an import: its files go to disk as they arrive, and go when they are not kept.

use std::path::PathBuf;

use crate::api::datasets::upload::{Incoming, no_part, part_name, read_text, save, twice};
use crate::api::form::Form;
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::artifacts::bundle::MOST_MANIFEST;
use crate::jobs::check_name;

/// What came, still as it came.
pub struct ReceivedVersion {
    pub folder: Incoming,
    pub parts: Parts,
    pub name: Option<String>,
}

pub enum Parts {
    Bundle(PathBuf),
    Apart { weights: PathBuf, manifest: PathBuf },
}

pub async fn receive(app: &AppState, mut form: Form) -> Result<ReceivedVersion> {
    let beside = app.layout.artifacts();
    let folder = Incoming::create(app, &beside)?;
    let mut room = app.limits.upload_bytes;
    let [mut bundle, mut weights, mut manifest] = [const { None::<PathBuf> }; 3];
    let mut name = None;
    while let Some(field) = form.next().await? {
        let part = part_name(&field)?;
        let pointer = format!("/{part}");
        let file = match part.as_str() {
            "bundle" => &mut bundle,
            "weights" => &mut weights,
            "manifest" => &mut manifest,
            "name" => {
                if name.is_some() {
                    return Err(twice(pointer));
                }
                let text = read_text(field, &pointer).await?;
                check_name(&text).map_err(|e| Problem::field("/name", e.to_string()))?;
                name = Some(text);
                continue;
            }
            _ => return Err(no_part(pointer, "bundle, weights, manifest, name")),
        };
        if file.is_some() {
            return Err(twice(pointer));
        }
        // The names of the parts are the three above, so they can lead nowhere else.
        let path = folder.path().join(&part);
        if part == "manifest" {
            save(field, &path, MOST_MANIFEST, MOST_MANIFEST, &pointer).await?;
        } else {
            room = save(field, &path, room, app.limits.upload_bytes, &pointer).await?;
        }
        *file = Some(path);
    }
    let parts = together(bundle, weights, manifest)?;
    Ok(ReceivedVersion {
        folder,
        parts,
        name,
    })
}

fn together(
    bundle: Option<PathBuf>,
    weights: Option<PathBuf>,
    manifest: Option<PathBuf>,
) -> Result<Parts> {
    match (bundle, weights, manifest) {
        (Some(bundle), None, None) => Ok(Parts::Bundle(bundle)),
        (None, Some(weights), Some(manifest)) => Ok(Parts::Apart { weights, manifest }),
        (Some(_), _, _) => Err(Problem::field(
            "/bundle",
            "has weights and a manifest of its own; give either it or those two",
        )),
        (None, Some(_), None) => Err(Problem::field("/manifest", "is missing beside the weights")),
        (None, None, Some(_)) => Err(Problem::field("/weights", "is missing beside the manifest")),
        (None, None, None) => Err(Problem::field(
            "/bundle",
            "is missing; give it, or weights and manifest",
        )),
    }
}
