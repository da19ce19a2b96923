#!/usr/bin/env bash
# Makes the environment, then trains and evaluates the DSSM on the built-in synthetic sample.
# Further words are passed on as Hydra overrides: bash scripts/quickstart.sh trainer.max_epochs=2
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements.txt
last=$(mktemp)
trap 'rm -f "$last"' EXIT
# The last line that is printed names the run's metrics.json.
.venv/bin/python train.py experiment=dssm "$@" |
    while IFS= read -r line; do
        printf '%s\n' "$line"
        printf '%s\n' "$line" > "$last"
    done
run=$(dirname "$(sed 's/^metrics: //' "$last")")

cat <<END

The run folder is $run
It holds the figures in metrics.csv and tensorboard/, and the trained encoder in encoder/.
What to type next:
  source .venv/bin/activate
  python evaluate.py encoder.path=$run data.split=test
                                                         # rank the test set with this encoder
  python train.py experiment=dssm data=tsv data.dir=DIR  # train on your own questions; README.md has the format
  python train.py --help                                 # all that can be set
END
