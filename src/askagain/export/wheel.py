"""An encoder as a wheel, a Python package that pip installs and `askagain.load` then finds by the encoder's name.

The package holds data and no code. The file has the same bytes whenever and wherever the same encoder is written, by
one version of askagain and of zlib. Sources: the Python Packaging User Guide, "Binary distribution format",
"Recording installed projects" and "Core metadata specifications".
"""

import base64
import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import askagain
from askagain.errors import InputError
from askagain.export.request import Encode, Request
from askagain.files.json_files import read_sealed_json, write_sealed_json
from askagain.models.folder import encoder_folder
from askagain.models.named import check_name, package_of

VERSION = "1.0.0"
NUMBER = "(0|[1-9][0-9]*)"
# As PEP 440 spells them.
VERSIONS = re.compile(rf"{NUMBER}(\.{NUMBER})*((a|b|rc){NUMBER})?(\.post{NUMBER})?(\.dev{NUMBER})?")
WHEEL = "Wheel-Version: 1.0\nGenerator: askagain\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
LICENCES = re.compile(r"\(*[\w.+-]+\)*( (AND|OR|WITH) \(*[\w.+-]+\)*)*", re.ASCII)
ENCODER = "encoder"  # in the package
THRESHOLDS = "threshold.json"  # in an encoder folder; evaluation.thresholds itself needs more than the light core
LARGE = 20_000_000  # bytes of a wheel
EARLIEST = (1980, 1, 1, 0, 0, 0)  # time of a file in a zip archive
MODE, UNIX = 0o100644, 3  # of a file: may be read by all; and the system that this is said for


def write(request: Request, path: Path) -> None:
    """Writes a folder with the wheel in it, the encoder in `request.dtype` (None: as it is).

    Raises InputError for a name, version, licence or summary that a package cannot have.
    """
    _check(request)
    path.mkdir()
    package, info = package_of(_name(request)), f"{_project(request, '_')}-{_version(request)}.dist-info"
    contents = {f"{package}/__init__.py": b""}
    with TemporaryDirectory(dir=path) as scratch:
        folder = Path(scratch) / ENCODER
        request.encoder.save(folder, request.dtype)
        _copy_thresholds(request.run, folder)
        for file in sorted(folder.iterdir()):
            contents[f"{package}/{ENCODER}/{file.name}"] = file.read_bytes()
    contents[f"{info}/METADATA"] = _metadata(request).encode()
    contents[f"{info}/WHEEL"] = WHEEL.encode()
    contents[f"{info}/RECORD"] = _record(contents, f"{info}/RECORD").encode()
    with zipfile.ZipFile(path / wheel_name(request), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, MODE << 16
            archive.writestr(entry, content)


def read(request: Request, path: Path) -> Encode:
    """The encoder in the wheel in a folder."""
    with TemporaryDirectory() as unpacked, zipfile.ZipFile(path / wheel_name(request)) as archive:
        archive.extractall(unpacked)
        return askagain.load(Path(unpacked) / package_of(_name(request))).encode


def wheel_name(request: Request) -> str:
    """The name of the file, from which pip reads what it is."""
    return f"{_project(request, '_')}-{_version(request)}-py3-none-any.whl"


def _check(request: Request) -> None:
    check_name(_name(request))
    if VERSIONS.fullmatch(_version(request)) is None:
        raise InputError(f"--version {request.version}: must be a version such as 1.0.0, 1.2 or 2.0rc1")
    if request.license is not None and LICENCES.fullmatch(request.license) is None:
        raise InputError(f"--license {request.license}: must be an SPDX licence expression such as MIT or CC-BY-SA-4.0")
    if request.summary is not None and not (request.summary.strip() and request.summary.isprintable()):
        raise InputError("--summary: must be one line of text")


def _name(request: Request) -> str:
    return request.name or ""


def _version(request: Request) -> str:
    return VERSION if request.version is None else request.version


def _project(request: Request, separator: str) -> str:
    """The name of the project, as pip compares names."""
    return re.sub(r"[-_]+", separator, package_of(_name(request))).lower()


def _copy_thresholds(run: Path, folder: Path) -> None:
    """Copies what cosines were learned to mean, without the place that the data lay in."""
    if run.suffix == ".ckpt" or not (encoder_folder(run) / THRESHOLDS).is_file():
        return
    path = encoder_folder(run) / THRESHOLDS
    try:
        learned = read_sealed_json(path)
        if "data" in learned["facts"]:
            learned["facts"]["data"] = Path(learned["facts"]["data"]).name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); run askagain threshold again") from error
    write_sealed_json(folder / THRESHOLDS, learned)


def _metadata(request: Request) -> str:
    encoder, name = request.encoder, _name(request)
    summary = request.summary or f"A text encoder of {len(encoder.table):,} rows of {encoder.dim} numbers, for askagain"
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {_project(request, '-')}",
        f"Version: {_version(request)}",
        f"Summary: {summary}",
        *([] if request.license is None else [f"License-Expression: {request.license}"]),
        "Description-Content-Type: text/markdown",
        "",
        summary,
        "",
        "```python",
        "import askagain",
        "",
        f'encoder = askagain.load("{name}")',
        "```",
    ]
    return "\n".join(lines) + "\n"


def _record(contents: Mapping[str, bytes], own_name: str) -> str:
    """The list of all files with their digests, in which its own line has none."""
    lines = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in contents.items()]
    return "".join([*lines, f"{own_name},,\n"])


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
