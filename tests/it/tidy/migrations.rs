//! Migrations are numbered without gaps, and those of a release never change: databases have run them.

use sha2::{Digest, Sha256};

use super::{files, keep, read};

/// Those that were released, as `sha256sum` prints them. A release adds its own.
const RELEASED: &str = "\
e32b2d55ac53031617f205049d769801773c691e6f4c9263606f276156161493  0001_initial.sql
24191d6e5ed674fd77407877c6a6c7c9de8fb10fff034b05d28476fde97c384c  0002_evaluations.sql
834a0c586b03e5b62da8a0e8d82f7d129aef722bc6578d94109a18179e4c0cbb  0003_job_control.sql
78dc324fd312b2174d31b0f64a172807ab84846952e74c90f6157dc35951c23c  0004_watching.sql
31a3d7e73126934db01abef1063ab603efe6fe5f6ba09d4a58734c881e448983  0005_webhooks.sql
edbd0dae01235d469c30bbf47378253052d98a5000755862a3b4f9c3732c01b4  0006_imported_versions.sql
595d05813dc0071e47acea0b109991b1bb5f31eb2fea78bda5a2f07cdaa17cca  0007_alias_history.sql
71086443388da9adbd6d337c44c54373e1b1c56e9752d818a3f400126010eae6  0008_job_traces.sql
";

#[test]
fn migrations_are_numbered_without_gaps() {
    let mut breaches = Vec::new();
    for (at, path) in files("migrations", "").iter().enumerate() {
        let name = path.trim_start_matches("migrations/");
        let words = name
            .strip_suffix(".sql")
            .and_then(|stem| stem.strip_prefix(&format!("{:04}_", at + 1)));
        if words.is_none_or(|words| !words.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
            breaches.push(format!("{path}:1: should be {:04}_some_words.sql", at + 1));
        }
    }
    keep("Migrations are numbered from 0001 without gaps.", &breaches);
}

#[test]
fn a_released_migration_never_changes() {
    let digest = |name: &str| format!("{:x}", Sha256::digest(read(&format!("migrations/{name}"))));
    let breaches: Vec<String> = RELEASED
        .lines()
        .filter_map(|line| line.split_once("  "))
        .filter(|(sha256, name)| digest(name) != *sha256)
        .map(|(_, name)| format!("migrations/{name}:1: changed; write a new one instead"))
        .collect();
    keep("A released migration never changes.", &breaches);
}
