"""The kernels for CUDA, in Triton; see `askagain.training.kernels.choice.Kernels` for what each does."""

import torch
import triton
import triton.language as tl

TOKENS = 32  # that one program adds up
ROWS, COLUMNS = 64, 128  # of the logits that one program has in its registers


def row_sums(gradients: torch.Tensor, users: torch.Tensor, user_offsets: torch.Tensor) -> torch.Tensor:
    """See `Kernels.row_sums`. A frequent row is shared by many programs: each adds up some of its tokens, and one of
    them all that they found.
    """
    tokens, dim = len(users), gradients.shape[1]
    sums = gradients.new_zeros(len(user_offsets) - 1, dim)
    if tokens == 0:
        return sums
    positions = torch.arange(tokens, dtype=user_offsets.dtype, device=users.device)
    row_of = torch.searchsorted(user_offsets, positions, right=True, out_int32=True) - 1
    programs = triton.cdiv(tokens, TOKENS)
    heads = gradients.new_empty(programs, dim)
    sizes = {"dim": dim, "WIDTH": triton.next_power_of_2(dim), "TOKENS": TOKENS}
    _add_up_tokens[(programs,)](gradients, users, row_of, sums, heads, tokens, **sizes)
    if programs > 1:
        _add_up_heads[(programs - 1,)](user_offsets, row_of, sums, heads, **sizes)
    return sums


@triton.jit
def _add_up_tokens(gradients, users, row_of, sums, heads, tokens, dim, WIDTH: tl.constexpr, TOKENS: tl.constexpr):
    """Adds up `TOKENS` tokens, row by row. What belongs to a row that began in an earlier program becomes a head."""
    program = tl.program_id(0)
    columns = tl.arange(0, WIDTH)
    mask = columns < dim
    first = program * TOKENS
    row = tl.load(row_of + first)
    began_before = tl.load(row_of + first - 1, mask=first > 0, other=-1) == row
    total = tl.zeros([WIDTH], dtype=tl.float32)
    for position in range(first, tl.minimum(first + TOKENS, tokens)):
        user = tl.load(users + position).to(tl.int64)
        total += tl.load(gradients + user * dim + columns, mask=mask, other=0.0)
        following = tl.load(row_of + position + 1, mask=position + 1 < tl.minimum(first + TOKENS, tokens), other=-1)
        if following != row:
            if began_before:
                tl.store(heads + program * dim + columns, total, mask=mask)
            else:
                tl.store(sums + row.to(tl.int64) * dim + columns, total, mask=mask)
            began_before = False
            total = tl.zeros([WIDTH], dtype=tl.float32)
            row = following


@triton.jit
def _add_up_heads(user_offsets, row_of, sums, heads, dim, WIDTH: tl.constexpr, TOKENS: tl.constexpr):
    """Adds all heads of a row to its sum, where its first head is that of this program."""
    program = tl.program_id(0) + 1
    row = tl.load(row_of + program * TOKENS)
    begin = tl.load(user_offsets + row)
    if (begin < program * TOKENS) & (begin >= (program - 1) * TOKENS):
        columns = tl.arange(0, WIDTH)
        mask = columns < dim
        total = tl.load(sums + row.to(tl.int64) * dim + columns, mask=mask)
        end = tl.load(user_offsets + row + 1)
        for other in range(program, tl.cdiv(end, TOKENS)):
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
        _update_row[(len(rows),)](table, moments, rows, gradients, lr, eps, dim, WIDTH=width)


@triton.jit
def _update_row(table, moments, rows, gradients, lr, eps, dim, WIDTH: tl.constexpr):
    number = tl.program_id(0).to(tl.int64)
    row = tl.load(rows + number)
    if row != tl.load(rows + number - 1, mask=number > 0, other=-1):
        columns = tl.arange(0, WIDTH)
        mask = columns < dim
        gradient = tl.load(gradients + number * dim + columns, mask=mask, other=0.0)
        moment = tl.load(moments + row) + tl.sum(gradient * gradient) / dim
        tl.store(moments + row, moment)
        places = table + row * dim + columns
        weights = tl.load(places, mask=mask)
        tl.store(places, weights - lr / (tl.sqrt_rn(moment) + eps) * gradient, mask=mask)


def sum_exponentials(
    logits: torch.Tensor, diagonal: torch.Tensor, groups: torch.Tensor | None, start: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """See `Kernels.sum_exponentials`."""
    rows, pairs = logits.shape
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(pairs, COLUMNS))
    of_rows, of_columns = diagonal.new_empty(grid[1], rows), diagonal.new_empty(grid[0], pairs)
    _sum_tile[grid](
        logits, diagonal, diagonal if groups is None else groups, of_rows, of_columns, start, rows, pairs,
        GROUPED=groups is not None, ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip
    return of_rows.sum(dim=0), of_columns.sum(dim=0)


def put_weights(
    logits: torch.Tensor,
    diagonal: torch.Tensor,
    groups: torch.Tensor | None,
    start: int,
    factors: torch.Tensor,
    own: float,
) -> None:
    """See `Kernels.put_weights`."""
    rows, pairs = logits.shape
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(pairs, COLUMNS))
    _weigh_tile[grid](
        logits, diagonal, diagonal if groups is None else groups, factors, own, start, rows, pairs,
        GROUPED=groups is not None, ROWS=ROWS, COLUMNS=COLUMNS,
    )  # fmt: skip


@triton.jit
def _exponentials(
    logits, diagonal, groups, start, rows, pairs,
    GROUPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of exponentials; the places of its logits, which of them exist, and which are on the diagonal."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    exist = (row < rows)[:, None] & (column < pairs)[None, :]
    places = logits + row.to(tl.int64)[:, None] * pairs + column[None, :]
    values = tl.load(places, mask=exist, other=float("-inf")).to(tl.float32)
    is_own = (row + start)[:, None] == column[None, :]
    own_logits = tl.load(diagonal + start + row, mask=row < rows, other=0.0)
    if GROUPED:
        own_groups = tl.load(groups + start + row, mask=row < rows, other=-1)
        other_groups = tl.load(groups + column, mask=column < pairs, other=-2)
        values = tl.where(own_groups[:, None] == other_groups[None, :], float("-inf"), values)
    values = tl.where(is_own & exist, own_logits[:, None], values)
    return tl.exp2(values), places, exist, is_own


@triton.jit
def _sum_tile(
    logits, diagonal, groups, of_rows, of_columns, start, rows, pairs,
    GROUPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    exponentials, _, _, _ = _exponentials(logits, diagonal, groups, start, rows, pairs, GROUPED, ROWS, COLUMNS)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row_place = of_rows + tl.program_id(1).to(tl.int64) * rows + row
    tl.store(row_place, tl.sum(exponentials, axis=1), mask=row < rows)
    column_place = of_columns + tl.program_id(0).to(tl.int64) * pairs + column
    tl.store(column_place, tl.sum(exponentials, axis=0), mask=column < pairs)


@triton.jit
def _weigh_tile(
    logits, diagonal, groups, factors, own, start, rows, pairs,
    GROUPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    exponentials, places, exist, is_own = _exponentials(
        logits, diagonal, groups, start, rows, pairs, GROUPED, ROWS, COLUMNS
    )
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row_factors = tl.load(factors + start + row, mask=row < rows, other=0.0)
    column_factors = tl.load(factors + pairs + column, mask=column < pairs, other=0.0)
    weights = exponentials * (row_factors[:, None] + column_factors[None, :]) - tl.where(is_own, own, 0.0)
    tl.store(places, weights.to(logits.dtype.element_ty), mask=exist)
