#!/usr/bin/env bash
# Resolve requirements*.in into requirements*.lock, for every platform, with hashes.
# Packages move to their newest versions; uv itself comes from its own lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=.cache/uv
[ -x "$tool/bin/uv" ] || .venv/bin/python -I -m venv "$tool"
"$tool/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-uv.lock

for name in requirements requirements-dev requirements-uv requirements-audit benchmarks/peers/enoslib benchmarks/peers/iops; do
  constraint=()
  case $name in
    # Both must name the same versions, or the two environments would differ; peers have environments of their own.
    requirements-dev | requirements-uv | requirements-audit) constraint=(--constraint requirements.lock) ;;
  esac
  # --no-config and no UV_*: the locks must not depend on who resolves them.
  env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
    UV_CUSTOM_COMPILE_COMMAND="make lock" \
    "$tool/bin/uv" pip compile --no-config -q --universal --upgrade --python-version 3.11 --generate-hashes \
    "${constraint[@]}" "$name.in" -o "$name.lock"
done
git --no-pager diff --stat -- '*.lock'
