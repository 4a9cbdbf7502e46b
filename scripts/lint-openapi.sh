#!/usr/bin/env bash
# Checks an OpenAPI document: against the OpenAPI 3.1 schema, and against this project's own rules.
#
#   scripts/lint-openapi.sh openapi/openapi.json
set -euo pipefail
file=${1:?usage: scripts/lint-openapi.sh FILE}
here=$(cd "$(dirname "$0")" && pwd)

# Our own rules need nothing but python3, so they always run.
python3 "$here/lint_openapi.py" "$file"

if dir=$("$here/python-tool.sh" openapi-spec-validator 0.9.0); then
    # The version is given, so that a document of another version fails instead of being checked
    # against its own rules.
    PYTHONPATH=$dir python3 -m openapi_spec_validator --schema 3.1 "$file"
elif [ "${CI:-}" = true ]; then
    echo "openapi: the validator could not be installed (message above)" >&2
    exit 1
else
    echo "openapi: the check against the schema was SKIPPED, its validator could not be installed"
fi
