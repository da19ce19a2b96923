"""What W&B is given, read back from what it writes offline; and a sweep that its own agent leads."""

import json
import os
import platform
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml

import askagain
from tests.end_to_end.conftest import QUICK, metrics_of, succeeded, wandb_records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SWEEP = ROOT / "scripts" / "wandb_sweep.yaml"
KS = (1, 5, 10, 100, 500, 1000)

# What `wandb agent` does with a run that the server gives it, done by the agent itself.
AGENT = """
import json, sys
from wandb.wandb_agent import Agent

sweep, arguments = json.loads(sys.argv[1]), json.loads(sys.argv[2])
agent = Agent(api=None, queue=None)
agent._sweep_command = sweep.get("command")
answer = agent._process_command({"type": "run", "run_id": "given1", "program": sweep["program"], "args": arguments})
assert "exception" not in answer, answer
sys.exit(agent._run_processes["given1"].wait())
"""


class Written(NamedTuple):
    """What W&B wrote of a run: what it is, its config, its history, and its summary by name."""

    about: Any
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]


def written(run: Path) -> Written:
    """Reads back the only W&B run in a run folder."""
    about, config, history, summary = None, {}, [], {}
    for record in wandb_records(run):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            about = record.run
            config |= {item.key: json.loads(item.value_json) for item in about.config.update}
        elif kind == "config":
            config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            row: dict[str, Any] = {}
            for item in record.history.item:
                _put(row, list(item.nested_key) or [item.key], json.loads(item.value_json))
            history.append(row)
        elif kind == "summary":
            for item in record.summary.update:
                _put(summary, list(item.nested_key) or [item.key], json.loads(item.value_json))
    return Written(about, config, history, summary)


def _put(into: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        into = into.setdefault(key, {})
    into[keys[-1]] = value


def with_name(found: Written, name: str) -> list[dict[str, Any]]:
    return [row for row in found.history if name in row]


@pytest.fixture(scope="module")
def run(tmp_path_factory, small, cache_folder) -> Path:
    """A run of two epochs."""
    words = ("logger=wandb", "data=tsv", f"data.dir={small}", *QUICK, "trainer.max_epochs=2")
    result = subprocess.run(
        [sys.executable, "train.py", *words, f"paths.runs_dir={tmp_path_factory.mktemp('wandb') / 'runs'}"],
        cwd=ROOT,
        env=os.environ | {"ASKAGAIN_CACHE": str(cache_folder), "WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
    )
    return succeeded(result)


def test_a_run_tells_wandb_what_it_is_made_of(run, small):
    found = written(run)
    assert found.about.display_name == "dssm" and found.about.run_group == ""
    assert found.config["model"]["dim"] == 16
    provenance = found.config["provenance"]
    assert provenance["overrides"][:2] == ["logger=wandb", "data=tsv"]
    files = ("train.tsv", "validation.tsv", "test.tsv", "corpus.txt")
    assert provenance["data"] == {Path(name).stem: sha256((small / name).read_bytes()).hexdigest() for name in files}
    assert provenance["hardware"]["Python"] == platform.python_version()
    assert provenance["hardware"]["PyTorch"] == torch.__version__ and "core" in provenance["hardware"]["processor"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    if head.returncode == 0:
        assert provenance["code"]["commit"] == head.stdout.strip()
    assert set(provenance["code"]) == {"version", "commit", "dirty"}


def test_every_epoch_has_hits_at_k_and_a_histogram_of_norms_at_the_same_step(run):
    found = written(run)
    ranked = with_name(found, "val/hits@10")
    assert len(ranked) == 3  # before training and after each of two epochs
    assert all(0 <= row[f"val/hits@{k}"] <= 1 for row in ranked for k in KS)
    histograms = with_name(found, "norms/table")
    assert [row["trainer/global_step"] for row in histograms] == [row["trainer/global_step"] for row in ranked[1:]]
    trained = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]["trainable.bag.weight"]
    norms = trained.norm(dim=1).numpy()
    best = int(metrics_of(run)["train/best_epoch"])
    kept = histograms[best]["norms/table"]
    assert kept["_type"] == "histogram" and sum(kept["values"]) == len(norms)
    assert [kept["bins"][0], kept["bins"][-1]] == pytest.approx([norms.min(), norms.max()])
    assert kept["values"] == np.histogram(norms, bins=64)[0].tolist()


def test_the_worst_ranked_questions_are_a_table_with_what_was_ranked_above(run, small):
    found = written(run)
    (row,) = with_name(found, "worst_ranked")
    (folder,) = run.glob("wandb/offline-run-*/files")
    table = json.loads((folder / row["worst_ranked"]["path"]).read_text())
    shown = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    rows = [line.split("\t") for line in (small / "validation.tsv").read_text(encoding="utf-8").splitlines()]
    encoder, ranks = askagain.load(run), {}
    for texts in rows:
        vectors = encoder.encode(texts).astype(np.float64)
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
        leads = units[2:] @ units[0] - units[1] @ units[0]
        ranks[texts[0], texts[1]] = 1 + (leads > 1e-6).sum() + (abs(leads) <= 1e-6).sum() / 2
        above = {row["above 1"]: row for row in shown if row["question"] == texts[0]}
        if above:
            best = int(leads.argmax())
            assert above[texts[2 + best]]["cosine 1"] == pytest.approx(units[2 + best] @ units[0], abs=1e-5)
    assert 1 < len(shown) == found.summary["worst_ranked"]["nrows"]
    worst = sorted((rank for rank in ranks.values() if rank > 1), reverse=True)
    assert [row["rank"] for row in shown] == worst[:20]
    assert [row["rank"] for row in shown] == [ranks[row["question"], row["duplicate"]] for row in shown]


def test_the_runs_of_a_sweep_are_a_group(command, small, tmp_path):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=wandb", "loss.temperature=0.05,0.5")
    succeeded(command("train.py", "-m", *words, WANDB_MODE="offline"))
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    first, second = (written(sweep / number) for number in "01")
    assert first.about.run_group == second.about.run_group == sweep.name
    assert first.about.run_id != second.about.run_id
    assert [first.about.display_name, second.about.display_name] == ["dssm_0", "dssm_1"]
    assert [first.config["loss"]["temperature"], second.config["loss"]["temperature"]] == [0.05, 0.5]


def test_wandbs_agent_trains_with_the_settings_of_the_sweep_file(small, tmp_path, cache_folder):
    sweep = yaml.safe_load(SWEEP.read_text())
    sweep["command"] += ["data=tsv", f"data.dir={small}"]  # as its first lines tell
    chosen = {
        name: given["values"][0] if "values" in given else given["min"] for name, given in sweep["parameters"].items()
    }
    quick = {"trainer.max_epochs": 1, "trainer.accelerator": "cpu", "paths.runs_dir": str(tmp_path / "runs")}
    arguments = {name: {"value": value} for name, value in (chosen | quick).items()}
    result = subprocess.run(
        [sys.executable, "-c", AGENT, json.dumps(sweep), json.dumps(arguments)],
        cwd=ROOT,
        env=os.environ
        | {
            "ASKAGAIN_CACHE": str(cache_folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # the agent looks for `python`
            "WANDB_DIR": str(tmp_path / "agent"),
            "WANDB_MODE": "offline",
            "WANDB_SWEEP_ID": "sweep1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    run = succeeded(result)
    found = written(run)
    assert found.about.run_id == "given1" and found.about.sweep_id == "sweep1"
    for name, value in chosen.items():
        section, setting = name.split(".")
        assert found.config[section][setting] == found.config[name] == value  # as we record it, and as the sweep does
    assert "experiment=dssm" in found.config["provenance"]["overrides"]
    assert found.summary[sweep["metric"]["name"]] == pytest.approx(metrics_of(run)["val/mrr"])
    assert sweep["metric"]["goal"] == "maximize"
