#!/usr/bin/env bash
# Have pip-audit look for known vulnerabilities in what both locks name; say why where its data cannot be had.
# It lives in an environment of its own: it is no part of what it audits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skipped() {
  printf 'audit: skipped: %s\n' "$1"
  exit 0
}

tool=.cache/pip-audit
if [ ! -x "$tool/bin/pip-audit" ]; then
  rm -rf "$tool"
  .venv/bin/python -I -m venv "$tool"
  "$tool/bin/python" -m pip install -q --disable-pip-version-check --only-binary :all: 'pip-audit>=2.9' 2>"$tool/said" ||
    { said=$(tail -1 "$tool/said"); rm -rf "$tool"; skipped "pip-audit cannot be installed: $said"; }
fi

for lock in requirements.lock requirements-dev.lock; do
  said=$(timeout 300 "$tool/bin/pip-audit" --disable-pip --require-hashes --progress-spinner off --timeout 15 -r "$lock" 2>&1) &&
    { printf 'audit: %s: no known vulnerability\n' "$lock"; continue; }
  if grep -qE '^Found [0-9]+ known' <<<"$said"; then
    printf '%s\n' "$said"
    exit 1
  fi
  skipped "its data cannot be reached ($(tail -1 <<<"$said" | cut -c1-200))"
done
