"""The report that a training leaves, and what loggers get of it."""

import json
from pathlib import Path

import pytest
from lxml import html
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import askagain
from askagain.evaluation.thresholds import Thresholds
from tests.end_to_end.conftest import QUICK, metrics_of, refused, succeeded
from tests.end_to_end.test_wandb import with_name, written

pytestmark = pytest.mark.slow

SAME_TEXT = "baseline_preprocessors=[]"  # for baselines as for the encoder
BASELINES = ["bm25", "tfidf_letters"]
DRAWN = {"rankers", "metrics_by_epoch", "losses_by_epoch", "ranks", "reliability", "word_map"}  # of a dim of 16


def cells(run: Path, table: str) -> list[list[str]]:
    page = html.parse(str(run / "report.html"))
    return [
        [cell.text_content().strip() for cell in row] for row in page.xpath(f"//table[@id='table-{table}']/tbody/tr")
    ]


def test_a_training_leaves_a_report_whose_figures_are_those_of_metrics_json(command, small):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "report=true", "trainer.max_epochs=2", SAME_TEXT)
    run = succeeded(command("train.py", *words))
    metrics = metrics_of(run)
    for name, validation, test in cells(run, "metrics"):
        for split, cell in (("val", validation), ("test", test)):
            assert float(cell.split(" [")[0]) == pytest.approx(metrics[f"{split}/{name}"], abs=6e-5)
    shown = {row[0]: row[1:] for row in cells(run, "rankers")}
    kept = int(metrics["train/best_epoch"])
    assert list(shown) == [f"best epoch ({kept})", *BASELINES, "the start"]
    assert float(shown["the start"][-1].split(" [")[0]) == pytest.approx(metrics["start/mrr"], abs=6e-5)
    epochs = cells(run, "epochs")
    assert [row[0] for row in epochs] == ["0", "1", "2"]
    assert float(epochs[kept + 1][-1]) == pytest.approx(metrics["val/mrr"], abs=6e-5)
    assert float(epochs[0][-1]) == pytest.approx(metrics["start/mrr"], abs=6e-5)
    assert (run / "report.html").stat().st_size < 3_000_000
    learned = Thresholds.load(run / "encoder")
    assert (
        learned is not None
        and learned.facts["groups"] == json.loads((run / "report.json").read_text())["reliability"]["groups"]
    )
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "tensors": 0}).Reload()
    assert {tag.removeprefix("report/") for tag in events.Tags()["images"]} == DRAWN
    (image,) = events.Images("report/word_map")
    assert image.encoded_image_string.startswith(b"\x89PNG") and image.width > 500
    (text,) = events.Tensors("report_tables/rankers/text_summary")
    assert f"| best epoch ({kept}) | {shown[f'best epoch ({kept})'][0]} |" in text.tensor_proto.string_val[0].decode()


def test_wandb_has_the_charts_as_images_and_the_tables(command, small):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "report=true", "logger=wandb")
    run = succeeded(command("train.py", *words, WANDB_MODE="offline"))
    found = written(run)
    (files,) = run.glob("wandb/offline-run-*/files")
    for name in DRAWN:
        (row,) = with_name(found, f"report/{name}")
        media = row[f"report/{name}"]
        assert (files / media["filenames"][0]).read_bytes().startswith(b"\x89PNG")
    (row,) = with_name(found, "report_tables/rankers")
    table = json.loads((files / row["report_tables/rankers"]["path"]).read_text())
    assert [cell[0] for cell in table["data"]] == [cell[0] for cell in cells(run, "rankers")]


def test_a_resumed_run_has_the_epochs_before_it(command, small, tmp_path):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    first = succeeded(command("train.py", *words, f"hydra.run.dir={tmp_path / 'first'}"))
    assert not (first / "report.html").exists() and not (first / "report.json").exists()  # QUICK has report=false
    more = ("report=true", "trainer.max_epochs=3", f"ckpt_path={first}", f"hydra.run.dir={tmp_path / 'second'}")
    run = succeeded(command("train.py", *words, *more))
    assert [row[0] for row in cells(run, "epochs")] == ["0", "1", "2", "3"]
    assert [row[0] for row in cells(run, "rankers")][-1] == "the checkpoint"


def test_an_encoder_that_needs_no_training_has_a_report_too(command, small):
    words = ("experiment=word_vectors", "vectors=glove_50", "data=tsv", f"data.dir={small}", "logger=none", SAME_TEXT)
    run = succeeded(command("train.py", *words))
    assert [row[0] for row in cells(run, "rankers")] == ["word_vectors", *BASELINES, "raw"]
    assert float(cells(run, "metrics")[0][1].split(" [")[0]) == pytest.approx(metrics_of(run)["val/hits@1"], abs=6e-5)


def test_several_devices_leave_one_report(command, small):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "report=true", "logger=none", "trainer.devices=2")
    run = succeeded(command("train.py", *words))
    assert cells(run, "rankers") and len(cells(run, "epochs")) == 2


def test_a_report_that_fails_costs_a_run_one_line_and_nothing_else(small, tmp_path, cache_folder, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise RuntimeError("the charts are gone")

    monkeypatch.setenv("ASKAGAIN_CACHE", str(cache_folder))
    monkeypatch.setattr("askagain.apps.run_report.write_run_page", fail)
    words = ["data=tsv", f"data.dir={small}", *QUICK, "report=true", "logger=none", f"hydra.run.dir={tmp_path / 'run'}"]
    run = askagain.train(overrides=words)
    assert run.metrics["val/mrr"] > 0 and run.encoder.dim == 16
    assert not (run.folder / "report.html").exists()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("no report, but all else of the run is there: ") and "the charts are gone" in line


def test_settings_of_the_report_are_checked(command, small):
    words = ("data=tsv", f"data.dir={small}", *QUICK)
    assert "report=maybe: must be true or false" in refused(command("train.py", *words, "report=maybe"))
    assert "report_parts.mapped_words=0: must be at least 1" in refused(
        command("train.py", *words, "report_parts.mapped_words=0")
    )
