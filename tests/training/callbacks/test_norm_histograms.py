from types import SimpleNamespace

import numpy as np
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from askagain.models.table import Table
from askagain.training.callbacks.norm_histograms import NormHistograms


def test_the_lengths_of_rows_are_counted_and_rows_that_are_not_finite_left_out(tmp_path):
    rows = np.array([[3, 4], [0, 0], [np.nan, 0], [0, 4.5], [1, 0]], dtype=np.float32)
    logger = TensorBoardLogger(tmp_path, name="", version="")
    trainer = SimpleNamespace(loggers=[logger], is_global_zero=True, global_step=8)
    module = SimpleNamespace(encoder=SimpleNamespace(table=Table(rows)))
    NormHistograms(bins=2).on_train_epoch_end(trainer, module)
    logger.experiment.flush()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Histograms("norms/table")
    assert event.step == 7
    assert [count for count in event.histogram_value.bucket if count] == [2, 2]
    assert (event.histogram_value.min, event.histogram_value.max) == (0, 5)
