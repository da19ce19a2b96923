#!/usr/bin/env bash
# Makes the environment, then trains and evaluates the DSSM on the built-in synthetic sample.
# Further words are passed on as Hydra overrides: bash scripts/quickstart.sh trainer.max_epochs=2
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/environment.sh requirements.txt
exec 3>&1
last=$(.venv/bin/python train.py experiment=dssm "$@" | tee /dev/fd/3 | tail -n 1)
run=$(dirname "${last#metrics: }")

cat <<END

The run folder is $run: figures in metrics.csv and tensorboard/, the trained encoder in encoder/.
What to type next:
  source .venv/bin/activate
  python evaluate.py encoder.path=$run data.split=test
                                                            # rank the test set with this encoder
  python train.py experiment=dssm data=tsv data.dir=DIR     # train on your own questions; README.md has the format
  python train.py --help                                    # all that can be set
END
