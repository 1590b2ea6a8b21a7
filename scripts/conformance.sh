#!/usr/bin/env bash
# Hand our files to another trainer's own loader and collator and compare what it trains with what it should.
# Each trainer has an environment of its own: their pins exclude each other. Usage: scripts/conformance.sh TRAINER
set -euo pipefail
cd "$(dirname "$0")/.."
trainer="${1:-trl}"
cases="$(mktemp -d)"
trap 'rm -rf "$cases"' EXIT
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

case "$trainer" in
  trl) packages=() drop=() ;;
  renderers) packages=(renderers==0.1.12 transformers==5.23.0 httpx) drop=() ;;
  axolotl) packages=(axolotl==0.19.0) drop=() ;;
  ms-swift) packages=(ms-swift==4.6.0) drop=() ;;
  # Its torch is put back afterwards; torchvision and torchaudio fit another one, and text needs neither.
  llamafactory) packages=(llamafactory==0.9.5) drop=(torchvision torchaudio) ;;
  *) echo "unknown trainer '$trainer': choose trl, renderers, axolotl, ms-swift or llamafactory" >&2; exit 2 ;;
esac

.venv-train/bin/python tests/conformance/cases.py "$cases" >/dev/null 2>&1
if [ "$trainer" = trl ]; then
  python=.venv-train/bin/python
else
  venv=".venv-conformance-$trainer"
  python="$venv/bin/python"
  if [ ! -e "$venv/.apollo-installed" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$python" -m pip install --quiet torch==2.13.0
    "$python" -m pip install --quiet "${packages[@]}"
    "$python" -m pip install --quiet torch==2.13.0
    [ ${#drop[@]} -eq 0 ] || "$python" -m pip uninstall --quiet --yes "${drop[@]}"
    touch "$venv/.apollo-installed"
  fi
fi

"$python" -m pip freeze 2>/dev/null | grep -iE "^($trainer|ms_swift|torch|transformers|tokenizers|datasets)==" || true
echo
echo "| trainer | our file | template | what it trains |"
echo "| --- | --- | --- | --- |"
log="$cases/log"
"$python" "tests/conformance/check_${trainer//-/_}.py" "$cases" 2>"$log" | grep '^|' || { tail -20 "$log" >&2; exit 1; }
