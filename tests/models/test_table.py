import numpy as np
import pytest

from askagain.errors import InputError
from askagain.models.table import FEW_IDS, Table
from askagain.text.bags import Bags, offsets_of

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.standard_normal((50, 7)).astype(np.float32)


def some_bags(count: int) -> Bags:
    lengths = RANDOM.integers(0, 9, count)
    return Bags(RANDOM.integers(0, len(ROWS), lengths.sum()).astype(np.int32), offsets_of(lengths)).sorted_within()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_few_bags_and_many_have_the_same_sums_to_the_last_bit(dtype):
    table = Table(ROWS).as_type(dtype)
    bags = some_bags(4_000)
    assert len(bags.ids) > FEW_IDS
    sums = table.sums(bags)
    for start in range(0, 500, 25):
        assert np.array_equal(table.sums(bags.slice(start, start + 25)), sums[start : start + 25])
    rows = table.take(np.arange(len(table)))
    expected = [rows[bags.bag(place)].sum(axis=0) for place in range(100)]
    np.testing.assert_allclose(sums[:100], expected, atol=1e-5)


def test_a_row_of_int8_is_off_by_half_a_step_at_most_and_zero_stays_zero():
    rows = ROWS * np.geomspace(1e-6, 1e6, len(ROWS), dtype=np.float32)[:, np.newaxis]
    rows[3] = 0
    table = Table(rows).as_type("int8")
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127
    kept = table.take(np.arange(len(rows)))
    assert (np.abs(kept - rows) <= steps * 0.501).all() and not kept[3].any()
    assert table.nbytes == rows.size + 4 * len(rows) and table.dtype == "int8"


def test_another_dtype_and_numbers_too_large_for_float16_are_refused():
    with pytest.raises(InputError, match="dtype=int4: not one of float32, float16, int8"):
        Table(ROWS).as_type("int4")
    with pytest.raises(InputError, match="too large for it; choose int8 or float32"):
        Table(ROWS * 1e6).as_type("float16")


@pytest.mark.parametrize(
    "arrays",
    [
        (ROWS.astype(np.float64),),
        (ROWS[0],),
        (ROWS.astype(np.int8),),
        (ROWS, np.ones(50, dtype=np.float32)),
        (ROWS.astype(np.int8), np.ones(49, dtype=np.float32)),
    ],
)
def test_arrays_that_are_no_table_are_refused(arrays):
    with pytest.raises(ValueError, match="table"):
        Table(*arrays)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_numbers_that_are_not_finite_are_seen_in_every_type(dtype):
    assert Table(ROWS).as_type(dtype).is_finite
    for bad in (np.nan, np.inf):
        rows = Table(ROWS).as_type(dtype)
        broken = rows.scales if dtype == "int8" else rows.rows
        broken = broken.copy()
        broken.reshape(-1)[5] = bad
        assert not (Table(rows.rows, broken) if dtype == "int8" else Table(broken)).is_finite
