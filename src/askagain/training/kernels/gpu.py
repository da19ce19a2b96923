"""The kernels for CUDA, in Triton; see `askagain.training.kernels.choice.Kernels` for what each does."""

import torch
import triton
import triton.language as tl

TOKENS = 32  # of a row that one program adds up
ROWS = 8  # of a bag that a program reads at a time
TILE = {"tile_rows": 64, "tile_columns": 128}  # of the logits that one program has in its registers


def take_tokens(
    ids: torch.Tensor, starts: torch.Tensor, offsets: torch.Tensor, room: int, rest: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids of some bags, [room] int32, and the bag of each, [room] int32; `rest` and bag 0 where they have no more.

    `ids`: of all bags, int32. `starts`: [n] int64, where each bag begins in them. `offsets`: [n + 1] int64, where it
    begins and ends in the result.
    """
    taken = torch.full((room,), rest, dtype=torch.int32, device=ids.device)
    bags = torch.zeros_like(taken)
    if room:
        _take_bag[(len(starts),)](ids, starts, offsets, taken, bags, width=TOKENS)
    return taken, bags


@triton.jit
def _take_bag(ids, starts, offsets, taken, bags, width: tl.constexpr):
    bag = tl.program_id(0)
    source = tl.load(starts + bag)
    begin, end = tl.load(offsets + bag), tl.load(offsets + bag + 1)
    for first in range(0, (end - begin).to(tl.int32), width):
        tokens = first + tl.arange(0, width)
        mask = tokens < end - begin
        tl.store(taken + begin + tokens, tl.load(ids + source + tokens, mask=mask), mask=mask)
        tl.store(bags + begin + tokens, tl.zeros([width], dtype=tl.int32) + bag, mask=mask)


def bag_sums(
    table: torch.Tensor, ids: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """The sum of the table rows of each bag, [bags, dim], each times its weight; see `embedding_bag_sum`.

    `ids`: [room] int32, `offsets`: [bags + 1] int32; ids beyond the last bag are left out. `weights`: of the rows.
    """
    dim = table.shape[1]
    sums = table.new_empty(len(offsets) - 1, dim)
    if len(sums):
        weighted = weights is not None
        inputs = (table, ids, offsets, weights if weighted else table, sums)
        sizes = {"dim": dim, "width": triton.next_power_of_2(dim), "chunk": ROWS}
        _add_up_bag[(len(sums),)](*inputs, weighted=weighted, **sizes)
    return sums


@triton.jit
def _add_up_bag(
    table, ids, offsets, weights, sums, dim, weighted: tl.constexpr, width: tl.constexpr, chunk: tl.constexpr
):  # fmt: skip
    bag = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, width)
    inside = columns < dim
    begin, end = tl.load(offsets + bag), tl.load(offsets + bag + 1)
    total = tl.zeros([width], dtype=tl.float32)
    for first in range(begin, end, chunk):
        positions = first + tl.arange(0, chunk)
        rows = tl.load(ids + positions, mask=positions < end, other=0).to(tl.int64)
        mask = (positions < end)[:, None] & inside[None, :]
        values = tl.load(table + rows[:, None] * dim + columns[None, :], mask=mask, other=0.0)
        if weighted:
            values *= tl.load(weights + rows, mask=positions < end, other=0.0)[:, None]
        total += tl.sum(values, axis=0)
    tl.store(sums + bag * dim + columns, total, mask=inside)


def row_sums(gradients: torch.Tensor, users: torch.Tensor, user_offsets: torch.Tensor) -> torch.Tensor:
    """The sum of the gradients of the bags that use each row, [rows, dim]; see `TensorBags`.

    `gradients`: [bags, dim]. A frequent row is shared by many programs: each adds up some of its tokens, and one of
    them all that they found. So a sum is always made in the same order. Users beyond the last offset are left out.
    """
    tokens, dim = len(users), gradients.shape[1]
    sums = gradients.new_zeros(len(user_offsets) - 1, dim)
    if tokens == 0:
        return sums
    positions = torch.arange(tokens, dtype=user_offsets.dtype, device=users.device)
    row_of = torch.searchsorted(user_offsets, positions, right=True, out_int32=True) - 1
    programs = triton.cdiv(tokens, TOKENS)
    heads = gradients.new_empty(programs, dim)
    sizes = {"dim": dim, "width": triton.next_power_of_2(dim), "chunk": TOKENS}
    _add_up_tokens[(programs,)](gradients, users, row_of, sums, heads, user_offsets, len(sums), **sizes)
    if programs > 1:
        _add_up_heads[(programs - 1,)](user_offsets, row_of, sums, heads, len(sums), **sizes)
    return sums


@triton.jit
def _add_up_tokens(
    gradients, users, row_of, sums, heads, user_offsets, rows, dim, width: tl.constexpr, chunk: tl.constexpr
):  # fmt: skip
    """Adds up `chunk` tokens, row by row. What belongs to a row that began in an earlier program becomes a head."""
    program = tl.program_id(0)
    columns = tl.arange(0, width)
    mask = columns < dim
    first = program * chunk
    stop = tl.minimum(first + chunk, tl.load(user_offsets + rows))
    row = tl.load(row_of + first)
    began_before = tl.load(row_of + first - 1, mask=first > 0, other=-1) == row
    total = tl.zeros([width], dtype=tl.float32)
    for position in range(first, stop):
        user = tl.load(users + position).to(tl.int64)
        total += tl.load(gradients + user * dim + columns, mask=mask, other=0.0)
        following = tl.load(row_of + position + 1, mask=position + 1 < stop, other=-1)
        if following != row:
            if began_before:
                tl.store(heads + program * dim + columns, total, mask=mask)
            else:
                tl.store(sums + row.to(tl.int64) * dim + columns, total, mask=mask)
            began_before = False
            total = tl.zeros([width], dtype=tl.float32)
            row = following


@triton.jit
def _add_up_heads(user_offsets, row_of, sums, heads, rows, dim, width: tl.constexpr, chunk: tl.constexpr):
    """Adds all heads of a row to its sum, where its first head is that of this program."""
    program = tl.program_id(0) + 1
    exists = program * chunk < tl.load(user_offsets + rows)
    row = tl.load(row_of + program * chunk, mask=exists, other=0)
    begin = tl.load(user_offsets + row)
    if exists & (begin < program * chunk) & (begin >= (program - 1) * chunk):
        columns = tl.arange(0, width)
        mask = columns < dim
        total = tl.load(sums + row.to(tl.int64) * dim + columns, mask=mask)
        end = tl.load(user_offsets + row + 1)
        for other in range(program, tl.cdiv(end, chunk)):
            head = tl.load(heads + other * dim + columns, mask=mask)
            total += head
        tl.store(sums + row.to(tl.int64) * dim + columns, total, mask=mask)


def update_rows(
    table: torch.Tensor,
    moments: torch.Tensor,
    rows: torch.Tensor,
    gradients: torch.Tensor,
    lr: float,
    eps: float,
) -> None:
    """See `Kernels.update_rows`."""
    dim = table.shape[1]
    if len(rows):
        width = triton.next_power_of_2(dim)
        _update_row[(len(rows),)](table, moments, rows, gradients, lr, eps, dim, width=width)


@triton.jit
def _update_row(table, moments, rows, gradients, lr, eps, dim, width: tl.constexpr):
    number = tl.program_id(0).to(tl.int64)
    row = tl.load(rows + number)
    if row != tl.load(rows + number - 1, mask=number > 0, other=-1):
        columns = tl.arange(0, width)
        mask = columns < dim
        gradient = tl.load(gradients + number * dim + columns, mask=mask, other=0.0)
        moment = tl.load(moments + row) + tl.sum(gradient * gradient) / dim
        tl.store(moments + row, moment)
        places = table + row * dim + columns
        weights = tl.load(places, mask=mask)
        rate = tl.where(moment > 0, lr / (tl.sqrt_rn(moment) + eps), 0.0)  # a row without any gradient stays
        tl.store(places, weights - rate * gradient, mask=mask)


def unit_pairs(
    queries: torch.Tensor,
    positives: torch.Tensor,
    eps: float,
    divisor: float,
    product_type: torch.dtype,
    multiple: int,
) -> tuple[torch.Tensor, ...]:
    """See `Kernels.unit_pairs`."""
    pairs, dim = queries.shape
    width = triton.cdiv(dim, multiple) * multiple
    units, lengths = queries.new_empty(2 * pairs, width), queries.new_empty(2 * pairs)
    scaled, others = (queries.new_empty(pairs, width, dtype=product_type) for _ in range(2))
    diagonal = queries.new_empty(pairs)
    outputs = (units, lengths, scaled, others, diagonal)
    sizes = {"dim": dim, "width": width, "padded": triton.next_power_of_2(width)}
    _unit_pair[(pairs,)](queries, positives, *outputs, eps, divisor, pairs, **sizes)
    return outputs


@triton.jit
def _unit_pair(
    queries, positives, units, lengths, scaled, others, diagonal, eps, divisor, pairs, dim, width,
    padded: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, padded)
    inside, written = columns < dim, columns < width
    query = tl.load(queries + pair * dim + columns, mask=inside, other=0.0)
    positive = tl.load(positives + pair * dim + columns, mask=inside, other=0.0)
    query_length = tl.maximum(tl.sqrt_rn(tl.sum(query * query)), eps)
    positive_length = tl.maximum(tl.sqrt_rn(tl.sum(positive * positive)), eps)
    query, positive = query / query_length, positive / positive_length
    tl.store(lengths + pair, query_length)
    tl.store(lengths + pairs + pair, positive_length)
    places = pair * width + columns
    tl.store(units + places, query, mask=written)
    tl.store(units + pairs * width + places, positive, mask=written)
    query = query / divisor
    tl.store(diagonal + pair, tl.sum(query * positive))
    tl.store(scaled + places, query.to(scaled.dtype.element_ty), mask=written)
    tl.store(others + places, positive.to(others.dtype.element_ty), mask=written)


def row_gradients(
    gradient: torch.Tensor,
    units: torch.Tensor,
    lengths: torch.Tensor,
    dim: int,
    eps: float,
    query_divisor: float,
    positive_divisor: float,
) -> torch.Tensor:
    """See `Kernels.row_gradients`."""
    rows, width = units.shape
    gradients = units.new_empty(rows, dim)
    inputs = (gradient, units, lengths, gradients)
    sizes = {"width": width, "dim": dim, "padded": triton.next_power_of_2(width)}
    _row_gradient[(rows,)](*inputs, eps, query_divisor, positive_divisor, rows // 2, **sizes)
    return gradients


@triton.jit
def _row_gradient(
    gradient, units, lengths, gradients, eps, query_divisor, positive_divisor, pairs, width, dim, padded: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, padded)
    mask = columns < width
    own = tl.load(gradient + row * width + columns, mask=mask, other=0.0).to(tl.float32)
    unit = tl.load(units + row * width + columns, mask=mask, other=0.0)
    length = tl.load(lengths + row)
    projection = tl.where(length > eps, tl.sum(own * unit), 0.0)
    divisor = length * tl.where(row < pairs, query_divisor, positive_divisor)
    tl.store(gradients + row * dim + columns, (own - projection * unit) / divisor, mask=columns < dim)


def sum_exponentials(
    logits: torch.Tensor, diagonal: torch.Tensor, groups: torch.Tensor | None, start: int, with_logits: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """See `Kernels.sum_exponentials`."""
    rows, pairs = logits.shape
    grid = (triton.cdiv(rows, TILE["tile_rows"]), triton.cdiv(pairs, TILE["tile_columns"]))
    kinds = 2 if with_logits else 1
    row_parts, column_parts = diagonal.new_empty(grid[1], kinds, rows), diagonal.new_empty(grid[0], kinds, pairs)
    _sum_tile[grid](
        logits, diagonal, diagonal if groups is None else groups, row_parts, column_parts, start, rows, pairs,
        grouped=groups is not None, kinds=kinds, **TILE,
    )  # fmt: skip
    return row_parts.sum(dim=0), column_parts.sum(dim=0)


def group_sizes(groups: torch.Tensor) -> torch.Tensor:
    """See `Kernels.group_sizes`."""
    ordered = groups.sort().values
    return torch.searchsorted(ordered, groups, right=True) - torch.searchsorted(ordered, groups)


def put_weights(
    logits: torch.Tensor,
    diagonal: torch.Tensor,
    groups: torch.Tensor | None,
    start: int,
    factors: torch.Tensor,
    own: float,
    targets: torch.Tensor | None,
) -> None:
    """See `Kernels.put_weights`."""
    rows, pairs = logits.shape
    grid = (triton.cdiv(rows, TILE["tile_rows"]), triton.cdiv(pairs, TILE["tile_columns"]))
    _weigh_tile[grid](
        logits, diagonal, diagonal if groups is None else groups, factors, factors if targets is None else targets, own,
        start, rows, pairs, grouped=groups is not None, smoothed=targets is not None, **TILE,
    )  # fmt: skip


@triton.jit
def _logits(
    logits, diagonal, groups, start, rows, pairs,
    grouped: tl.constexpr, tile_rows: tl.constexpr, tile_columns: tl.constexpr,
):  # fmt: skip
    """A tile of logits, minus infinity where they are left out; their places, which exist, and which are their own."""
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    column = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    exist = (row < rows)[:, None] & (column < pairs)[None, :]
    places = logits + row.to(tl.int64)[:, None] * pairs + column[None, :]
    values = tl.load(places, mask=exist, other=float("-inf")).to(tl.float32)
    is_own = (row + start)[:, None] == column[None, :]
    own_logits = tl.load(diagonal + start + row, mask=row < rows, other=0.0)
    if grouped:
        own_groups = tl.load(groups + start + row, mask=row < rows, other=-1)
        other_groups = tl.load(groups + column, mask=column < pairs, other=-2)
        values = tl.where(own_groups[:, None] == other_groups[None, :], float("-inf"), values)
    return tl.where(is_own & exist, own_logits[:, None], values), places, exist, is_own


@triton.jit
def _sum_tile(
    logits, diagonal, groups, row_parts, column_parts, start, rows, pairs,
    grouped: tl.constexpr, kinds: tl.constexpr, tile_rows: tl.constexpr, tile_columns: tl.constexpr,
):  # fmt: skip
    values, _, _, _ = _logits(logits, diagonal, groups, start, rows, pairs, grouped, tile_rows, tile_columns)
    exponentials = tl.exp2(values)
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    column = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    row_places = row_parts + tl.program_id(1).to(tl.int64) * kinds * rows + row
    column_places = column_parts + tl.program_id(0).to(tl.int64) * kinds * pairs + column
    tl.store(row_places, tl.sum(exponentials, axis=1), mask=row < rows)
    tl.store(column_places, tl.sum(exponentials, axis=0), mask=column < pairs)
    if kinds == 2:
        kept = tl.where(values == float("-inf"), 0.0, values)
        tl.store(row_places + rows, tl.sum(kept, axis=1), mask=row < rows)
        tl.store(column_places + pairs, tl.sum(kept, axis=0), mask=column < pairs)


@triton.jit
def _weigh_tile(
    logits, diagonal, groups, factors, targets, own, start, rows, pairs,
    grouped: tl.constexpr, smoothed: tl.constexpr, tile_rows: tl.constexpr, tile_columns: tl.constexpr,
):  # fmt: skip
    values, places, exist, is_own = _logits(
        logits, diagonal, groups, start, rows, pairs, grouped, tile_rows, tile_columns
    )
    row = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    column = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    row_factors = tl.load(factors + start + row, mask=row < rows, other=0.0)
    column_factors = tl.load(factors + pairs + column, mask=column < pairs, other=0.0)
    weights = tl.exp2(values) * (row_factors[:, None] + column_factors[None, :]) - tl.where(is_own, own, 0.0)
    if smoothed:
        row_targets = tl.load(targets + start + row, mask=row < rows, other=0.0)
        column_targets = tl.load(targets + pairs + column, mask=column < pairs, other=0.0)
        spread = row_targets[:, None] + column_targets[None, :]
        weights -= tl.where(values == float("-inf"), 0.0, spread)
    tl.store(places, weights.to(logits.dtype.element_ty), mask=exist)
