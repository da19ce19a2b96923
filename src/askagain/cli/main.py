"""The console script `askagain`, a command with verbs; each answers a mistake with one line and exit status 2.

Nothing heavy is imported here: the verbs import what they need when they are called, so that `--help` is at once there.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import click

from askagain.cli.convert import convert
from askagain.cli.describe import describe
from askagain.cli.duplicates import duplicates
from askagain.cli.export import export
from askagain.cli.fetch import fetch
from askagain.cli.index import add, index, info, remove
from askagain.cli.report import report
from askagain.cli.search import search
from askagain.cli.serve import serve
from askagain.cli.threshold import threshold
from askagain.errors import InputError, missing_package, shortage
from askagain.files.writing import TEMPORARY
from askagain.native.idle_threads import let_idle_threads_sleep

USAGE_ERROR, INTERRUPTED, BROKEN_PIPE, TERMINATED = 2, 130, 141, 143  # exit status
# Packages that the light core does without, and the extra that installs each.
EXTRAS = {
    **dict.fromkeys(("faiss", "polars", "sklearn"), "search"),
    **dict.fromkeys(("filelock", "lxml", "requests"), "data"),
    **dict.fromkeys(("hydra", "omegaconf", "pydantic", "pytorch_lightning", "torch"), "train"),
    **dict.fromkeys(("altair", "jinja2", "vl_convert"), "report"),
    "gensim": "vectors",
    **dict.fromkeys(("httptools", "orjson", "prometheus_client", "starlette", "uvicorn"), "server"),
}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=SETTINGS)
@click.version_option(package_name="askagain", message="%(version)s")
def askagain() -> None:
    """Finds the question that was already asked.

    Training is `python train.py`; this is what comes before it and after it.

    \b
    Example, from a file of duplicate questions to an answer and to all duplicates of a site:
      askagain convert groups duplicates.csv -o data/mine
      python train.py experiment=dssm data=tsv data.dir=data/mine
      askagain index titles.txt --encoder RUN -o index
      askagain search index "how do i quit vim"
      askagain duplicates titles.txt --encoder RUN --threshold 0.9 -o duplicates
    """


for verb in (convert, fetch, describe, report, index, add, remove, info, search, serve, duplicates, threshold, export):
    askagain.add_command(verb)


def main() -> None:
    """Runs a verb, and exits."""
    let_idle_threads_sleep()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # blocks that clean up do so
    try:
        status = askagain.main(prog_name="askagain", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = USAGE_ERROR
    except click.exceptions.Abort:
        _say("interrupted")
        status = INTERRUPTED
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        see = f"; see {context.command_path} --help" if context is not None else ""
        _say(f"error: {' '.join(error.format_message().split()).rstrip('.')}{see}")
        status = USAGE_ERROR
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    except Exception as error:
        line = _one_line(error)
        if line is None or os.environ.get("ASKAGAIN_FULL_ERROR") == "1":
            traceback.print_exc()
            status = USAGE_ERROR if line is not None else 1
        else:
            _say(f"error: {line}")
            status = USAGE_ERROR
    sys.exit(status or 0)


def _one_line(error: BaseException) -> str | None:
    """What the user is told of an error, or None for a defect of ours."""
    if isinstance(error, InputError):
        return " ".join(str(error).split())
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start]!a} cannot be printed in {error.encoding}; set PYTHONIOENCODING=utf-8"
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRAS:
        package = str(error.name).partition(".")[0]
        return str(missing_package(package, EXTRAS[package]))
    lacking = shortage(error, "close other programs", "free some, or write to another disk with -o")
    if lacking is None and isinstance(error, OSError) and error.filename:
        path = Path(error.filename)
        unfinished = TEMPORARY.fullmatch(path.name)
        lacking = f"{path.with_name(unfinished['name']) if unfinished else path}: {error.strerror}"
    return lacking


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
