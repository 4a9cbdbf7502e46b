#!/usr/bin/env bash
# Checks the dependencies against deny.toml: advisories, licences, banned crates, sources.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: SKIPPED, cargo-deny is not installed (cargo install --locked cargo-deny)"
    exit 0
fi

# What needs no network comes first, so that it always decides.
cargo deny check licenses bans sources

# The advisories come from a database that is fetched. Where it cannot be reached that is no fault
# of this project, so only a report that was really made can fail the check.
if cargo deny fetch db; then
    cargo deny check --disable-fetch advisories
else
    echo "deny: advisories were SKIPPED, their database could not be fetched (message above)"
fi
