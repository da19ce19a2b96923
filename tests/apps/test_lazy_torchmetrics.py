import subprocess
import sys

import pytest

SCRIPT = """
import sys
from askagain.apps.lazy_torchmetrics import import_torchmetrics_lazily
import_torchmetrics_lazily()
import pytorch_lightning
from torchmetrics import Metric
assert "torchmetrics.functional" not in sys.modules and "scipy.signal" not in sys.modules
{use}
import torchmetrics.metric
assert torchmetrics.Metric is Metric is torchmetrics.metric.Metric
assert torchmetrics.__version__ and "lazy" not in repr(torchmetrics)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        "import torchmetrics; torchmetrics.MeanMetric().update(1.0)",
        "from torchmetrics.classification import BinaryAccuracy; assert issubclass(BinaryAccuracy, Metric)",
        "from torchmetrics import functional; functional.accuracy",
    ],
)
def test_lightning_imports_little_of_torchmetrics_and_whoever_asks_gets_all(use):
    result = subprocess.run([sys.executable, "-c", SCRIPT.format(use=use)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
