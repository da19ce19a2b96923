import subprocess
import sys

import pytest

SCRIPT = """
import sys
from askagain.apps.lightning import import_lightning
import_lightning()
import pytorch_lightning as pl
import torch
from torchmetrics import Metric
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
parameter = torch.nn.Parameter(torch.zeros(2))
optimizer = RowwiseAdagrad([parameter], lr=0.1, eps=1e-8, second_moment="row")
parameter.grad = torch.ones(2)
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
unneeded = {{"torchmetrics.functional", "scipy.signal", "torch._dynamo", "torch._prims", "matplotlib"}}
assert not unneeded & set(sys.modules)
{use}
import torchmetrics.metric
assert torchmetrics.Metric is Metric is torchmetrics.metric.Metric
"""
PLOTTED = """
import importlib.util
from torchmetrics import MeanMetric
metric = MeanMetric()
metric.update(2.0)
if importlib.util.find_spec("matplotlib"):
    import matplotlib
    matplotlib.use("agg")
    figure, axes = metric.plot()
    assert axes.lines[0].get_ydata() == [2] and metric.plot()[1] is not axes
else:
    try:
        metric.plot()
    except ModuleNotFoundError as error:
        assert "matplotlib" in str(error)
"""
COMPILED = """
linear = torch.nn.Linear(1, 1)
compiled = torch.compile(linear, backend="eager")
assert isinstance(compiled, torch._dynamo.OptimizedModule)
from lightning_fabric.wrappers import _unwrap_compiled
assert _unwrap_compiled(compiled)[0] is linear and _unwrap_compiled(linear)[0] is linear
assert torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(2)).sum() == 2
"""
OWN_SHAPES = """
import tempfile
from pathlib import Path
folder = Path(tempfile.mkdtemp())
(folder / "my_own_module.py").write_text("import torch")
sys.path.append(str(folder))
import my_own_module
bag = torch.nn.EmbeddingBag(9, 3, device="meta")
assert bag(torch.zeros(2, 4, dtype=torch.long, device="meta")).shape == (2, 3)
"""
FAKED_SHAPES = """
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    assert torch.nn.EmbeddingBag(9, 3)(torch.zeros(2, 4, dtype=torch.long)).shape == (2, 3)
"""
COMPILERS_SHAPES = """
import torch._decomp
bag = torch.nn.EmbeddingBag(9, 3, device="meta")
assert bag(torch.zeros(2, 4, dtype=torch.long, device="meta")).shape == (2, 3)
"""
PACKAGE_SHAPES = """
import importlib.util
if importlib.util.find_spec("transformers"):
    import transformers
    assert "torch._prims" in sys.modules and "Lazy" not in str(type(torch._meta_registrations))
"""


@pytest.mark.slow
def test_a_lightning_that_asks_more_of_the_compiler_gets_it():
    script = (
        "import sys\nfrom askagain.apps import lightning\ndel lightning.OF_COMPILER['disable']\n"
        "lightning.import_lightning()\nimport pytorch_lightning as pl\n"
        "assert 'torch._dynamo.eval_frame' in sys.modules and pl.Trainer(accelerator='cpu', logger=False)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        "import torchmetrics; torchmetrics.MeanMetric().update(1.0); assert 'Lazy' not in str(type(torchmetrics))",
        "from torchmetrics.classification import BinaryAccuracy; assert issubclass(BinaryAccuracy, Metric)",
        "from torchmetrics import functional; functional.accuracy",
        "import torchmetrics.utilities.plot as plot; plot.plot_curve; assert sys.modules[plot.__name__] is plot",
        PLOTTED,
        COMPILED,
        OWN_SHAPES,
        FAKED_SHAPES,
        COMPILERS_SHAPES,
        PACKAGE_SHAPES,
    ],
    ids=[
        *("a metric", "a module of metrics", "functions", "plots", "a plotted metric", "a compiled module"),
        *("shapes in an own module", "shapes of a mode", "shapes of a compiler", "shapes in a package"),
    ],
)
def test_a_training_imports_little_and_whoever_asks_gets_all(use):
    result = subprocess.run([sys.executable, "-c", SCRIPT.format(use=use)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
