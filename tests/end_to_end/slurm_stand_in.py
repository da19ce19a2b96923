"""Stands in for SLURM on one machine: `sbatch`, `srun` and `sacct` on PATH that run this file, see `write_commands`.

`sbatch` starts the jobs of an array one after the other, and returns; `srun` starts the job's tasks, in the environment
that SLURM gives them, as if each were on the nodes that were asked for.
"""

import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path


def write_commands(folder: Path) -> None:
    """Writes the commands into a folder that comes first in PATH."""
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct"):
        command = shlex.join([sys.executable, str(Path(__file__).resolve()), name])
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)


def options_of(script: Path) -> dict[str, str]:
    """The `#SBATCH --name=value` lines of a script."""
    lines = [line.removeprefix("#SBATCH --") for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    return {name: shlex.split(value)[0] if value else "" for name, _, value in (line.partition("=") for line in lines)}


def sbatch(*words: str) -> None:
    script = Path(words[-1]).resolve()
    job = os.getpid()
    nowhere = subprocess.DEVNULL
    subprocess.Popen([sys.executable, __file__, "work", str(job), str(script)], stdout=nowhere, stderr=nowhere)
    print(f"Submitted batch job {job}")


def work(job: str, script: str) -> None:
    options = options_of(Path(script))
    nodes, tasks = int(options["nodes"]), int(options["ntasks-per-node"])
    common = {
        "SLURM_JOB_NAME": options["job-name"],
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_NTASKS": str(nodes * tasks),
        "SLURM_NTASKS_PER_NODE": str(tasks),
        "SLURM_CPUS_PER_TASK": options["cpus-per-task"],
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_JOB_NODELIST": "127.0.0.1",
    }
    if "array" not in options:
        subprocess.run(["bash", script], env=os.environ | common | {"SLURM_JOB_ID": job})
        return
    first, last = (int(number) for number in options["array"].partition("%")[0].split("-"))
    for index in range(first, last + 1):
        ids = {
            "SLURM_JOB_ID": str(int(job) + index),
            "SLURM_ARRAY_JOB_ID": job,
            "SLURM_ARRAY_TASK_ID": str(index),
        }
        subprocess.run(["bash", script], env=os.environ | common | ids)


def srun(*words: str) -> None:
    values = {words[at]: words[at + 1] for at in (1, 3)}
    assert words[0] == "--unbuffered" and set(values) == {"--output", "--error"}, words
    size, nodes = int(os.environ["SLURM_NTASKS"]), int(os.environ["SLURM_JOB_NUM_NODES"])
    tasks = []
    for rank in range(size):
        node, local = divmod(rank, size // nodes)
        environment = {
            "SLURM_STEP_NUM_TASKS": str(size),
            "SLURM_STEP_NUM_NODES": str(nodes),
            "SLURM_PROCID": str(rank),
            "SLURM_NODEID": str(node),
            "SLURM_LOCALID": str(local),
        }
        with file_of(values["--output"], rank).open("a") as output, file_of(values["--error"], rank).open("a") as error:
            tasks.append(subprocess.Popen(words[5:], env=os.environ | environment, stdout=output, stderr=error))
    sys.exit(max(task.wait() for task in tasks))


def file_of(pattern: str, rank: int) -> Path:
    """The file that SLURM means by a pattern such as %A_%a_%t_log.out."""
    ids = {
        "%A": os.environ.get("SLURM_ARRAY_JOB_ID", ""),
        "%a": os.environ.get("SLURM_ARRAY_TASK_ID", ""),
        "%j": os.environ["SLURM_JOB_ID"],
        "%t": str(rank),
    }
    for name, value in ids.items():
        pattern = pattern.replace(name, value)
    path = Path(pattern)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sacct(*words: str) -> None:
    jobs = [job for option, job in pairwise(words) if option == "-j"]
    print("\n".join(["JobID|State|NodeList", *(f"{job}|RUNNING|127.0.0.1" for job in jobs)]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
