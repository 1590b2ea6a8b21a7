#!/usr/bin/env bash
# Hand our files to another trainer's own loader and collator and compare what it trains with what it should.
# Each trainer has an environment of its own: their pins exclude each other. Usage: scripts/conformance.sh TRAINER
# RECORD=1 puts the results in the place of the committed ones; without it, a difference from those is an error.
# SOURCE=FOLDER|URL: where the checkout of slime or NeMo-RL comes from (default: its public repository).
set -euo pipefail
cd "$(dirname "$0")/.."
trainer="${1:-trl}"
cases="$(mktemp -d)"
trap 'rm -rf "$cases"' EXIT
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
bare=() packages=() drop=() source="" commit=""

case "$trainer" in
  trl) ;;
  renderers) packages=(renderers==0.1.12 transformers==5.23.0 httpx) ;;
  axolotl) packages=(axolotl==0.19.0) ;;
  ms-swift) packages=(ms-swift==4.6.0) ;;
  # Its torch is put back afterwards; torchvision and torchaudio fit another one, and text needs neither.
  llamafactory) packages=(llamafactory==0.9.5) drop=(torchvision torchaudio) ;;
  verl) packages=(verl==0.9.1) ;;
  # Without what it names for sampling: one of those wants a newer Python, and the data code needs none of them.
  tinker) bare=(tinker-cookbook==0.6.1) packages=(tinker==0.38.0 transformers==5.23.0 datasets blobfile chz pillow rich termcolor) ;;
  slime) source=https://github.com/THUDM/slime commit=624b824a898ab0ec1fcb4d373004c7f3852bf515 ;;
  nemo-rl) source=https://github.com/NVIDIA-NeMo/RL commit=7ea279abfbeb698b092856d0dab61e7cf39bc909 ;;
  *)
    echo "unknown trainer '$trainer': choose trl, renderers, axolotl, ms-swift, llamafactory, verl, tinker, slime or nemo-rl" >&2
    exit 2
    ;;
esac

.venv-train/bin/python tests/conformance/cases.py "$cases" >/dev/null 2>&1
python=.venv-train/bin/python
venv=".venv-conformance-$trainer"
if [ -n "$source" ]; then
  if [ ! -e "$venv/.apollo-installed" ]; then
    git init --quiet "$venv"
    git -C "$venv" fetch --quiet --depth 1 "${SOURCE:-$source}" "$commit"
    git -C "$venv" checkout --quiet FETCH_HEAD
    touch "$venv/.apollo-installed"
  fi
  export SOURCE="$venv"
elif [ "$trainer" != trl ]; then
  python="$venv/bin/python"
  if [ ! -e "$venv/.apollo-installed" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$python" -m pip install --quiet torch==2.13.0
    [ ${#bare[@]} -eq 0 ] || "$python" -m pip install --quiet --no-deps "${bare[@]}"
    "$python" -m pip install --quiet "${packages[@]}"
    "$python" -m pip install --quiet torch==2.13.0
    [ ${#drop[@]} -eq 0 ] || "$python" -m pip uninstall --quiet --yes "${drop[@]}"
    touch "$venv/.apollo-installed"
  fi
fi

echo "| trainer | our file | template | what it trains |"
echo "| --- | --- | --- | --- |"
log="$cases/log"
"$python" "tests/conformance/check_${trainer//-/_}.py" "$cases" 2>"$log" | grep '^|' || { tail -20 "$log" >&2; exit 1; }
{
  "$python" -m pip freeze 2>/dev/null
  [ -z "$commit" ] || echo "$trainer @ ${commit:0:12}"
} | "$python" tests/conformance/record.py "$cases" "$trainer" "$(date -u +%F)" ${RECORD:+--write}
