#!/usr/bin/env bash
# Make an environment for each agent program under .venv-harness, then run tests/harness on them: NAME… or all.
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A packages=(
  [mini-swe-agent]="mini-swe-agent==2.4.6"
  [aider]="aider-chat==0.86.2"
  [openai-agents]="openai-agents==0.24.0"
  [smolagents]="smolagents[openai]==1.26.0"
  [inspect]="inspect-ai==0.3.285 openai"
)
for name in "${@:-${!packages[@]}}"; do
  place=".venv-harness/$name"
  [ -e "$place/.installed" ] && continue
  "${PYTHON:-python3}" -m venv "$place"
  # shellcheck disable=SC2086  # several packages
  "$place/bin/python" -m pip install -qq ${packages[$name]}
  touch "$place/.installed"
done
chosen=$(IFS='|'; echo "${*:-}")
APOLLO_HARNESSES="$PWD/.venv-harness" .venv/bin/python -m pytest tests/harness -q ${chosen:+-k "${chosen//|/ or }"}
