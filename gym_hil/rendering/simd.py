"""Compiled: eight neighbours of a row at a time, in vector instructions that the compiler does not find by itself.

The same sums and products as for single numbers, each rounded, so that the bytes are the same on every machine. `Lanes`
are eight float32; numbers take part in their arithmetic as eight equal ones.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from gym_hil.rendering.scene import Real, inlined

LANES = 8
intrinsic: Any = extending.intrinsic  # its own types ask for what numba adds to a call
Lanes = Any  # inside compiled code

_REALS, _INTS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_QUAD = ir.VectorType(ir.FloatType(), 4)
_INT = ir.IntType(32)
_STEPS = [float(k) for k in range(LANES)]


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _REALS)


_LANES = _LanesType()


def _splat(builder: Any, value: Any, vector: ir.VectorType = _REALS) -> Any:
    """A vector that has one value in every lane; a vector as it is."""
    if value.type == vector:
        return value
    empty = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, empty, ir.Constant(_INTS, [0] * LANES))


def _register(function: Any, instruction: str, *operands: tuple[Any, ...]) -> None:
    """Let an operator of Python work on lanes, and on lanes and numbers."""
    cases = [signature(_LANES, *each) for each in operands]
    infer_global(function)(type(f"Lanes_{instruction}", (ConcreteTemplate,), {"key": function, "cases": cases}))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, instruction)(*(_splat(builder, value) for value in values))

    for each in operands:
        lower_builtin(function, *each)(generate)


_register(operator.neg, "fneg", (_LANES,))
for _function, _instruction in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
):  # fmt: skip
    _register(_function, _instruction, (_LANES, _LANES), (_LANES, types.float32), (types.float32, _LANES))


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: list[Any], vector: ir.VectorType) -> Any:
    """Pointer to a vector of what an array holds from an index on."""
    made = context.make_array(kind)(context, builder, array)
    first = cgutils.get_item_pointer(context, builder, kind, made, index, wraparound=False)
    return builder.bitcast(first, vector.as_pointer())


def _select(comparison: str) -> Any:
    """Intrinsic (a, b, x, y) -> x in the lanes where a compares so to b, else y."""

    def choose(typing_context: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            first, second, yes, no = (_splat(builder, value) for value in values)
            return builder.select(builder.fcmp_ordered(comparison, first, second), yes, no)

        return _LANES(a, b, x, y), generate

    return intrinsic(choose)


where_less, where_at_least = _select("<"), _select(">=")


def _ramped(builder: Any, start: Any, step: Any) -> Any:
    return builder.fadd(_splat(builder, start), builder.fmul(ir.Constant(_REALS, _STEPS), _splat(builder, step)))


@intrinsic
def ramp(typing_context: Any, start: Any, step: Any) -> Any:
    """Lanes start, start + step, start + 2 step, ..., each rounded twice."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _ramped(builder, *values)

    return _LANES(start, step), generate


def _function_of_llvm(name: str) -> Any:
    """Intrinsic that calls one of LLVM's own functions for each lane."""

    def apply(typing_context: Any, values: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function = ir.FunctionType(_REALS, [_REALS])
            return builder.call(
                cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.v{LANES}f32"), arguments
            )

        return _LANES(values), generate

    return intrinsic(apply)


floors = _function_of_llvm("floor")  # of each lane, to a whole number
ceilings = _function_of_llvm("ceil")  # likewise
roots = _function_of_llvm("sqrt")


@intrinsic
def largest(typing_context: Any, values: Any) -> Any:
    """The largest of the lanes, none of which is NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (values,) = arguments
        for half in (4, 2, 1):
            other = builder.shuffle_vector(
                values, values, ir.Constant(_INTS, [(k + half) % LANES for k in range(LANES)])
            )
            values = builder.select(builder.fcmp_ordered(">", values, other), values, other)
        return builder.extract_element(values, ir.Constant(_INT, 0))

    return types.float32(values), generate


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Eight numbers of an array from an index (a tuple) on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = cgutils.unpack_tuple(builder, values[1])
        return builder.load(_pointer(context, builder, signature.args[0], values[0], place, _REALS), align=4)

    return _LANES(array, index), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write lanes into an array from an index (a tuple) on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = cgutils.unpack_tuple(builder, values[1])
        pointer = _pointer(context, builder, signature.args[0], values[0], place, _REALS)
        builder.store(_splat(builder, values[2]), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, index, lanes), generate


@intrinsic
def store_all(typing_context: Any, array: Any, lanes: Any) -> Any:
    """Write a tuple of lanes into the first rows of an array (n, 8)."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        size = ir.IntType(context.address_size)
        for row, each in enumerate(cgutils.unpack_tuple(builder, values[1])):
            pointer = _pointer(context, builder, signature.args[0], values[0], [size(row), size(0)], _REALS)
            builder.store(each, pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, lanes), generate


@intrinsic
def store_four(typing_context: Any, array: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Write four lanes (a tuple) into four neighbouring columns of eight rows of an array from a row and column on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, row, column, lanes = values
        long = ir.Constant(ir.VectorType(_INT, 2 * LANES), list(range(2 * LANES)))
        a, b, c, d = cgutils.unpack_tuple(builder, lanes)
        left, right = builder.shuffle_vector(a, b, long), builder.shuffle_vector(c, d, long)
        for k in range(LANES):
            picked = ir.Constant(ir.VectorType(_INT, 4), [c * LANES + k for c in range(4)])
            index = [builder.add(row, row.type(k)), column]
            pointer = _pointer(context, builder, signature.args[0], array, index, _QUAD)
            builder.store(builder.shuffle_vector(left, right, picked), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, row, column, lanes), generate


def _columns(builder: Any, rows: list[Any]) -> list[Any]:
    """Four vectors with what stands in each column of eight rows of four."""
    while len(rows) > 1:  # laid side by side
        wide = ir.VectorType(_INT, 2 * rows[0].type.count)
        every = ir.Constant(wide, list(range(wide.count)))
        rows = [builder.shuffle_vector(*rows[k : k + 2], every) for k in range(0, len(rows), 2)]
    steps = ([4 * k + c for k in range(LANES)] for c in range(4))
    return [builder.shuffle_vector(rows[0], rows[0], ir.Constant(_INTS, step)) for step in steps]


@intrinsic
def gather_vertices(typing_context: Any, screen: Any, triangles: Any, first: Any, corner: Any) -> Any:
    """Rows of `screen`, (n, 4), that eight rows of `triangles`, (m, 3), name from a row on in one column."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        screen, triangles, first, corner = values
        start = context.make_array(signature.args[0])(context, builder, screen).data
        made = context.make_array(signature.args[1])(context, builder, triangles)
        rows, size = [], ir.IntType(context.address_size)
        for k in range(LANES):
            index = [builder.add(first, first.type(k)), corner]
            at = builder.load(cgutils.get_item_pointer(context, builder, signature.args[1], made, index, False))
            pointer = builder.gep(start, [builder.shl(builder.sext(at, size), size(2))])
            rows.append(builder.load(builder.bitcast(pointer, _QUAD.as_pointer()), align=4))
        return context.make_tuple(builder, signature.return_type, _columns(builder, rows))

    return types.UniTuple(_LANES, 4)(screen, triangles, first, corner), generate


@intrinsic
def lanes_above_zero(typing_context: Any, values: Any) -> Any:
    """A whole number whose bit k is 1 where lane k is more than 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        above = builder.fcmp_ordered(">", arguments[0], ir.Constant(_REALS, [0.0] * LANES))
        return builder.zext(builder.bitcast(above, ir.IntType(LANES)), ir.IntType(64))

    return types.int64(values), generate


@intrinsic
def lowest_bit(typing_context: Any, number: Any) -> Any:
    """The place of the lowest bit that is 1 in a number that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate


def _places(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Pointers to the numbers that `gather` finds."""
    array, first, rows, row_size, columns, column_size = values
    start = context.make_array(signature.args[0])(context, builder, array).data
    place = _splat(builder, builder.trunc(first, _INT), _INTS)
    for lanes, size in ((rows, row_size), (columns, column_size)):
        step = _splat(builder, builder.trunc(size, _INT), _INTS)
        place = builder.add(place, builder.mul(builder.fptosi(lanes, _INTS), step))
    return [builder.gep(start, [builder.extract_element(place, ir.Constant(_INT, k))]) for k in range(LANES)]


@intrinsic
def gather(
    typing_context: Any, array: Any, first: Any, rows: Any, row_size: Any, columns: Any, column_size: Any
) -> Any:
    """The numbers first + row row_size + column column_size of an array, for lanes of whole rows and columns."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        found = ir.Constant(_REALS, ir.Undefined)
        for k, pointer in enumerate(_places(context, builder, signature, values)):
            found = builder.insert_element(found, builder.load(pointer), ir.Constant(_INT, k))
        return found

    return _LANES(array, first, rows, row_size, columns, column_size), generate


@intrinsic
def gather_four(
    typing_context: Any, array: Any, first: Any, rows: Any, row_size: Any, columns: Any, column_size: Any
) -> Any:
    """The same number as `gather` finds, and the three behind it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        places = _places(context, builder, signature, values)
        rows = [builder.load(builder.bitcast(place, _QUAD.as_pointer()), align=4) for place in places]
        return context.make_tuple(builder, signature.return_type, _columns(builder, rows))

    return types.UniTuple(_LANES, 4)(array, first, rows, row_size, columns, column_size), generate


@intrinsic
def store_bytes(typing_context: Any, image: Any, row: Any, column: Any, red: Any, green: Any, blue: Any) -> Any:
    """Round down three lanes of 0 to 255 into eight pixels of an image (height, width, 3) of bytes."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        image, row, column, *colours = values
        short = ir.VectorType(ir.IntType(8), LANES)
        red, green, blue = (builder.trunc(builder.fptosi(colour, _INTS), short) for colour in colours)
        pairs = builder.shuffle_vector(red, green, ir.Constant(ir.VectorType(_INT, 2 * LANES), list(range(2 * LANES))))
        rest = builder.shuffle_vector(blue, blue, ir.Constant(ir.VectorType(_INT, 2 * LANES), list(range(2 * LANES))))
        order = [c * LANES + k for k in range(LANES) for c in range(3)]
        all_ = ir.VectorType(_INT, 3 * LANES)
        pixels = builder.shuffle_vector(pairs, rest, ir.Constant(all_, order))
        zero = ir.Constant(ir.IntType(context.address_size), 0)
        pointer = _pointer(context, builder, signature.args[0], image, [row, column, zero], pixels.type)
        builder.store(pixels, pointer, align=1)
        return context.get_dummy_value()

    return types.void(image, row, column, red, green, blue), generate


@intrinsic
def copy_pixels(typing_context: Any, source: Any, target: Any, row: Any, column: Any) -> Any:
    """Write eight pixels of an image (height, width, 3) of bytes into another one, at the same place."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, target, row, column = values
        pixels, index = ir.VectorType(ir.IntType(8), 3 * LANES), [row, column, ir.IntType(context.address_size)(0)]
        found = builder.load(_pointer(context, builder, signature.args[0], source, index, pixels), align=1)
        builder.store(found, _pointer(context, builder, signature.args[1], target, index, pixels), align=1)
        return context.get_dummy_value()

    return types.void(source, target, row, column), generate


@intrinsic
def count_ids(typing_context: Any, ids: Any, row: Any, column: Any, name: Any) -> Any:
    """How many samples of eight pixels, two rows of sixteen from a row and column on, have the id `name`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        ids, row, column, name = values
        names = _splat(builder, builder.trunc(name, _INT), _INTS)
        total = ir.Constant(_INT, 0)
        for down in (0, 1):
            for right in (0, LANES):
                index = [builder.add(row, row.type(down)), builder.add(column, column.type(right))]
                found = builder.load(_pointer(context, builder, signature.args[0], ids, index, _INTS), align=4)
                same = builder.bitcast(builder.icmp_signed("==", found, names), ir.IntType(LANES))
                total = builder.add(total, builder.zext(builder.ctpop(same), _INT))
        return builder.sext(total, ir.IntType(64))

    return types.int64(ids, row, column, name), generate


@intrinsic
def fill_lanes(
    typing_context: Any, depth: Any, ids: Any, row: Any, column: Any, edges: Any, edge_steps: Any, w: Any, w_step: Any,
    name: Any,
) -> Any:  # fmt: skip
    """Write eight samples of a row wherever all edge functions are positive and 1/depth w is the greatest so far.

    `edges` and `w` are the values at the first sample, at a row and column of `depth`, the steps what they gain from
    sample to sample. `name` is the id to write into `ids`, unless that is None.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        depth, ids, row, column, edges, edge_steps, w, w_step, name = values
        there = _pointer(context, builder, signature.args[0], depth, [row, column], _REALS)
        old, new = builder.load(there, align=4), _ramped(builder, w, w_step)
        nearer = builder.fcmp_ordered(">", new, old)
        for start, step in zip(
            cgutils.unpack_tuple(builder, edges), cgutils.unpack_tuple(builder, edge_steps), strict=True
        ):
            inside = builder.fcmp_ordered(">=", _ramped(builder, start, step), ir.Constant(_REALS, [0.0] * LANES))
            nearer = builder.and_(nearer, inside)
        builder.store(builder.select(nearer, new, old), there, align=4)
        if signature.args[1] != types.none:
            there = _pointer(context, builder, signature.args[1], ids, [row, column], _INTS)
            names = _splat(builder, builder.trunc(name, _INT), _INTS)
            builder.store(builder.select(nearer, names, builder.load(there, align=4)), there, align=4)
        return context.get_dummy_value()

    return types.void(depth, ids, row, column, edges, edge_steps, w, w_step, name), generate


@inlined
def less(one: Lanes, other: Lanes) -> Lanes:
    """The lesser in each lane."""
    return where_less(one, other, one, other)


@inlined
def greater(one: Lanes, other: Lanes) -> Lanes:
    """The greater in each lane; of a lane that is no number the other."""
    return where_at_least(one, other, one, other)


@inlined
def between(start: Real, end: Real, share: Lanes) -> Lanes:
    """What lies between two values, 0 at the start and 1 at the end."""
    return start + (end - start) * share
