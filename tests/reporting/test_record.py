import json

import pytest

from askagain.errors import InputError
from askagain.reporting.record import FILE, Record


def test_a_record_is_read_back_as_it_was_written(record, tmp_path):
    record.save(tmp_path)
    assert Record.load(tmp_path) == record


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"mrr"', '"map"'),
        lambda text: text[:-20],
        lambda _: "[]",
        lambda _: "{}",
        lambda _: "",
        lambda _: "[" * 5000,
    ],
)
def test_a_damaged_record_is_refused_in_one_line(record, tmp_path, damage):
    record.save(tmp_path)
    (tmp_path / FILE).write_text(damage((tmp_path / FILE).read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=r"report\.json: cannot be used .*; train the run again$"):
        Record.load(tmp_path)


def test_a_record_of_another_version_is_refused(record, tmp_path, monkeypatch):
    monkeypatch.setattr("askagain.reporting.record.FORMAT", 99)
    record.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="another version"):
        Record.load(tmp_path)


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no report\.json in it"):
        Record.load(tmp_path)
    with pytest.raises(InputError, match="no such run folder"):
        Record.load(tmp_path / "nowhere")


def test_a_record_is_plain_json(record, tmp_path):
    record.save(tmp_path)
    assert json.loads((tmp_path / FILE).read_bytes())["rankers"][0]["name"] == "best epoch (1)"
