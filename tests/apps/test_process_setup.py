"""The memory of a training, in a process of its own: PyTorch reads its setting once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from askagain.apps.process_setup import HUGE_PAGES

PROGRAM = """
import re, torch
from pathlib import Path
from askagain.apps.process_setup import set_up_process

set_up_process()
numbers = torch.empty(1 << 24)
place = numbers.data_ptr() + (1 << 25)  # in the middle
for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())[1:]:
    begin, end = (int(number, 16) for number in part.split()[0].split("-"))
    if begin <= place < end:
        print("hg" in re.search("VmFlags: (.*)", part)[1].split())
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists(), reason="this system has no transparent huge pages"
)
@pytest.mark.parametrize(("chosen", "asked_for"), [(None, "True"), ("0", "False")])
def test_huge_pages_are_asked_for_unless_it_is_set_otherwise(chosen, asked_for):
    environment = {name: value for name, value in os.environ.items() if name != HUGE_PAGES}
    environment |= {} if chosen is None else {HUGE_PAGES: chosen}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [asked_for], done.stderr
