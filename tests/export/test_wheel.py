"""A wheel is installed by pip, and its encoder is then found by name."""

import base64
import csv
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import askagain
from askagain.errors import InputError
from askagain.evaluation.thresholds import Thresholds
from askagain.export.formats import FORMATS, check_options, export
from askagain.export.request import Request
from tests.export.conftest import ODD, titles

TEXTS = [*titles(50), *ODD]
WHEEL = "askagain_encoder_my_site-1.0.0-py3-none-any.whl"
PROGRAM = """
import sys
import numpy as np
import askagain
encoder = askagain.load("my-site")
assert "askagain_encoder_my_site" not in sys.modules and "torch" not in sys.modules
np.save(sys.argv[1], encoder.encode(["mount disk", "unheard", "usb driver"]))
"""


@pytest.fixture
def request_of(make, tmp_path):
    """A request for a wheel of an encoder in a run folder."""
    encoder = make()
    encoder.save(tmp_path / "run" / "encoder")
    return Request(tmp_path / "run", encoder, name="my-site")


def unpacked(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / WHEEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def installed(wheel: Path, folder: Path) -> None:
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, *words], check=True)


def test_pip_installs_the_wheel_and_its_encoder_is_found_by_name(request_of, tmp_path):
    request = replace(request_of, dtype="int8", license="CC-BY-SA-4.0", summary="Of our site")
    export("wheel", request, tmp_path / "out")
    installed(tmp_path / "out" / WHEEL, tmp_path / "site")
    path = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "ASKAGAIN_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "vectors")], check=True, env=environment)
    request.encoder.save(tmp_path / "small", "int8")
    expected = askagain.load(tmp_path / "small").encode(["mount disk", "unheard", "usb driver"])
    assert np.array_equal(np.load(tmp_path / "vectors.npy"), expected)
    (package,) = importlib.metadata.distributions(path=[str(tmp_path / "site")])
    assert (package.name, package.version) == ("askagain-encoder-my-site", "1.0.0")
    assert (package.metadata["Summary"], package.metadata["License-Expression"]) == ("Of our site", "CC-BY-SA-4.0")
    assert package.requires is None


def test_the_record_lists_every_file_with_its_digest_and_size(request_of, tmp_path):
    export("wheel", request_of, tmp_path / "out")
    files = unpacked(tmp_path / "out")
    (own,) = [name for name in files if name.endswith(".dist-info/RECORD")]
    rows = list(csv.reader(files[own].decode().splitlines()))
    assert [row[0] for row in rows] == list(files) and rows.pop() == [own, "", ""]
    for name, digest, size in rows:
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
        assert (digest, size) == (f"sha256={expected}", str(len(files[name])))
    assert files["askagain_encoder_my_site/__init__.py"] == b""


def test_the_same_encoder_gives_the_same_bytes_in_another_folder_at_another_time(request_of, tmp_path):
    export("wheel", request_of, tmp_path / "one")
    request_of.encoder.save(tmp_path / "other")
    os.utime(tmp_path / "other" / "table.safetensors", (1, 1))
    umask = os.umask(0o077)
    try:
        export("wheel", replace(request_of, run=tmp_path / "other"), tmp_path / "two")
    finally:
        os.umask(umask)
    assert (tmp_path / "one" / WHEEL).read_bytes() == (tmp_path / "two" / WHEEL).read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / WHEEL) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(("dtype", "closest"), [(None, 1e-7), ("float16", 2e-3), ("int8", 2e-2)])
def test_a_wheel_gives_the_same_vectors_in_each_type(request_of, tmp_path, dtype, closest):
    request = replace(request_of, dtype=dtype)
    export("wheel", request, tmp_path / "out")
    vectors = FORMATS["wheel"].read(request, tmp_path / "out")(TEXTS)
    assert np.abs(vectors - request.encoder.encode(TEXTS)).max() < closest


def test_learned_thresholds_go_along_without_the_place_of_the_data(request_of, tmp_path):
    facts = {"data": str(tmp_path / "mine"), "groups": 3}
    Thresholds(0.8, [0, 1], [0, 1], 10, facts).save(tmp_path / "run" / "encoder")
    export("wheel", request_of, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / WHEEL) as archive:
        archive.extractall(tmp_path / "unpacked")
    learned = Thresholds.load(tmp_path / "unpacked" / "askagain_encoder_my_site" / "encoder")
    assert learned is not None and learned.threshold == 0.8 and learned.facts == {"data": "mine", "groups": 3}
    (tmp_path / "run" / "encoder" / "threshold.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        export("wheel", request_of, tmp_path / "again")


def test_the_file_is_named_as_pip_compares_names(request_of, tmp_path):
    export("wheel", replace(request_of, name="My--Site", version="2.0rc1"), tmp_path / "out")
    assert (tmp_path / "out" / "askagain_encoder_my_site-2.0rc1-py3-none-any.whl").is_file()
    installed(next((tmp_path / "out").glob("*.whl")), tmp_path / "site")
    assert (tmp_path / "site" / "askagain_encoder_My__Site" / "encoder" / "encoder.json").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "my site"}, "my site: a name has up to 64 letters"),
        ({"version": "one"}, "--version one: must be a version such as"),
        ({"version": "1.01"}, "--version 1.01: "),
        ({"version": ""}, "--version : "),
        ({"license": "CC BY-SA 4.0"}, "must be an SPDX licence expression such as"),
        ({"summary": "one\nName: other"}, "--summary: must be one line"),
        ({"summary": " "}, "--summary: must be one line"),
    ],
)
def test_what_a_package_cannot_have_is_refused_and_nothing_is_written(request_of, tmp_path, given, message):
    with pytest.raises(InputError) as refused:
        export("wheel", replace(request_of, **given), tmp_path / "out")
    assert message in str(refused.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "given", ["MIT", "MIT AND (Apache-2.0 OR CC-BY-4.0)", "GPL-3.0-or-later WITH GCC-exception-3.1"]
)
def test_licence_expressions_are_taken(request_of, tmp_path, given):
    export("wheel", replace(request_of, license=given), tmp_path / "out")
    metadata = unpacked(tmp_path / "out")["askagain_encoder_my_site-1.0.0.dist-info/METADATA"].decode()
    assert f"\nLicense-Expression: {given}\n" in metadata


def test_a_wheel_needs_a_name_and_other_formats_take_none(request_of):
    with pytest.raises(InputError, match="--name NAME"):
        check_options("wheel", replace(request_of, name=None))
    with pytest.raises(InputError, match="--name: is of --format wheel, not of onnx"):
        check_options("onnx", request_of)
