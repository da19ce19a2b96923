"""Names and places that people give to runs: what looks like a number is text, and odd ones are found again."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from askagain.distributed.launch import descendants
from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, metrics_of, refused, succeeded, wandb_records

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["2024", "2026_11_26", "1e3", "exp/a", "two words", "дубликат", "🙂"])
def test_a_run_is_found_again_by_its_name(command, small, tmp_path, name):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=none", f"name={name}")
    first = succeeded(command(*words))
    assert first.relative_to(tmp_path / "runs").as_posix().endswith(f"_{name}")
    assert OmegaConf.load(first / ".hydra" / "config.yaml").name == name
    result = command(*words, "trainer.max_epochs=2", "ckpt_path=last")
    succeeded(result)
    assert f"training resumes from {first}" in result.stderr


def test_wandb_gets_a_number_as_the_name_and_tags_that_it_takes(command, small):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=wandb", "name=2024")
    run = succeeded(command(*words, "tags=[2024,a]"))
    (record,) = (record.run for record in wandb_records(run) if record.HasField("run"))
    assert record.display_name == "2024" and list(record.tags) == ["2024", "a"]
    assert "each must have no more than 64 characters" in refused(command(*words, f"tags=[{'x' * 65}]"))
    assert "must have none of the characters" in refused(command(*words, "logger.wandb.project='a/b'"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trainer.gradient_clip_val=-1", "must be at least 0"),
        ("+trainer.accumulate_grad_batches=0", "must be at least 1"),
        ("+trainer.gradient_clip_algorithm=length", "must be 'norm' or 'value'"),
        ("trainer.limit_train_batches=0", "above 0"),
        ("trainer.limit_train_batches=1.5", "must be a number of batches, or a share of them"),
        ("trainer.check_val_every_n_epoch=0", "must be at least 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(command, word, message):
    assert message in refused(command("train.py", word))


def test_all_files_of_a_run_have_the_same_mode(command, small):
    run = succeeded(command("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=none"))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (run / "encoder").iterdir()}
    assert modes == {stat.S_IMODE((run / "metrics.json").stat().st_mode)}


@pytest.mark.parametrize("name", ["with blanks", "a=b", "вопросы"])
def test_a_folder_with_an_odd_name_is_trained_on(command, small, tmp_path, name):
    (tmp_path / name).symlink_to(small)
    succeeded(command("train.py", "data=tsv", f"data.dir='{tmp_path / name}'", *QUICK, "logger=none"))


def test_a_run_resumed_in_its_folder_goes_on_in_wandb(command, small, tmp_path):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, f"hydra.run.dir={tmp_path / 'run'}", "ckpt_path=last")
    words += ("logger=wandb",)
    for epochs in (1, 2):
        run = succeeded(command(*words, f"trainer.max_epochs={epochs}"))
    ids = {path.name.rpartition("-")[2] for path in (run / "wandb").glob("offline-run-*")}
    assert len(ids) == 1
    assert metrics_of(run)["train/epochs"] == 2


@pytest.mark.parametrize(("kind", "reason"), [("read-only", "Permission denied"), ("below a file", "Not a directory")])
def test_a_cache_that_cannot_be_written_is_one_line(command, small, tmp_path, kind, reason):
    cache = tmp_path / "there" / "cache"
    if kind == "below a file":
        cache.parent.write_text("")
    elif os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    else:
        cache.mkdir(mode=0o555, parents=True)
    said = refused(command("train.py", "data=tsv", f"data.dir={small}", *QUICK, f"paths.cache_dir={cache}"))
    assert said.startswith(f"error: {cache}") and said.endswith(f": {reason}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_leaderboard_that_is_stopped_ends_its_training(small, tmp_path, number):
    words = ("data=tsv", f"data.dir={small}", "rankers=[{long: 'train.py trainer.max_epochs=1000 logger=none'}]")
    command = [sys.executable, "scripts/leaderboard.py", *words, f"hydra.run.dir={tmp_path}", "plot=false"]
    restored = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, preexec_fn=restored) as process:
        deadline = time.monotonic() + 120
        while not (training := descendants(process.pid)) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    time.sleep(0.5)
    for child in training:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_a_sweep_that_is_terminated_ends_its_workers(small, tmp_path):
    words = ("-m", "hydra/launcher=joblib", "seed=0,1", "data=tsv", f"data.dir={small}", "trainer.max_epochs=100000")
    places = (f"hydra.sweep.dir={tmp_path / 'sweep'}", f"paths.cache_dir={tmp_path / 'cache'}")
    command = [sys.executable, "train.py", *words, *places, "logger=none", "trainer.accelerator=cpu", "model.dim=16"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("sweep/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.5)
        workers = descendants(process.pid)
        process.terminate()
        assert process.wait(60) == 143
    assert workers
    for _ in range(100):
        if not any(map(is_running, workers)):
            return
        time.sleep(0.2)
    pytest.fail(f"still running: {[pid for pid in workers if is_running(pid)]}")


def is_running(pid: int) -> bool:
    stat_file = Path(f"/proc/{pid}/stat")
    try:
        return stat_file.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
