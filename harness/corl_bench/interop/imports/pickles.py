"""Tables from pickles, without running any of what a pickle asks for.

A pickle is a program: loading one calls whatever it names. Here every name that belongs to a
frame of pandas and numpy stands for a record that keeps its arguments, every other name ends the
load, and nothing of pandas or pyarrow is imported. What the records say is then read as columns:
blocks of objects and of texts as lists (pandas 3 keeps texts as Arrow's buffers, or as objects
where there is no pyarrow), blocks of plain numbers as numpy arrays. Structured types and all else
that a table does not need are refused.

    columns = read_frame(Path("routerbench_0shot.pkl"))
    columns["sample_id"][0]
"""

from __future__ import annotations

import pickle
import pickletools
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import quoted

_FRAME = frozenset({("pandas.core.frame", "DataFrame"), ("pandas", "DataFrame")})
_NAMES = _FRAME | {
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.internals.blocks", "new_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas", "Index"),
    ("pandas.core.indexes.numeric", "Int64Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas", "RangeIndex"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("builtins", "slice"),
    ("builtins", "bytearray"),
    ("pandas", "StringDtype"),
    ("pandas.arrays", "ArrowStringArray"),
    ("pandas.arrays", "StringArray"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pyarrow.lib", "_restore_array"),
    ("pyarrow.lib", "type_for_alias"),
    ("pyarrow.lib", "py_buffer"),
}
_TEXTS = ("ArrowStringArray", "__pyx_unpickle_NDArrayBacked")
"""A column of texts as pandas 3 has it: one row, never a block of several."""
_OFFSETS = {"large_string": "<i8", "string": "<i4"}
_PLAIN_TYPE = re.compile(r"[<>=|]?(?:[biuf][1248]|b1|O8?)")
_MEMO_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_CELL_LIMIT = 200_000_000


class _Record:
    """What a name in the pickle was called with; it has no behaviour of what it is named after."""

    __slots__ = ("arguments", "state")
    named: tuple[str, str]

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Finds records, made anew for each load so that none outlives its pickle."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self._records: dict[tuple[str, str], type[_Record]] = {}

    def find_class(self, module: str, name: str) -> type[_Record]:
        named = (module, name)
        if named not in _NAMES:
            raise _Refused(
                f"it asks for {quoted(f'{module}.{name}')}, which a table of texts and numbers"
                " does not need"
            )
        if named not in self._records:
            self._records[named] = type("Record", (_Record,), {"named": named, "__slots__": ()})
        return self._records[named]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("it refers to objects outside of the file")


class _Refused(Exception):
    """What a pickle asks for and is not given."""


def read_frame(path: Path) -> dict[str, Sequence[Any]]:
    """The columns of a pickled `pandas.DataFrame`, by name.

    Args:
        path: a file whose size was checked by the caller.

    Raises:
        ConfigError: it is no pickle, holds no frame, or asks for anything else than one.
    """
    advice = "save the table as Parquet or CSV, or get it from somebody you trust"
    try:
        with path.open("rb") as stream:
            _require_sane(stream)
            stream.seek(0)
            root = _Reader(stream).load()
        return _columns(root)
    except _Refused as error:
        raise ConfigError(f"{path}: a pickle that is not loaded: {error}; {advice}") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a broken pickle may raise anything; none of it is ours to mend
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path}: no pickle of a whole table ({quoted(why)}); {advice}") from None


def _require_sane(stream: IO[bytes]) -> None:
    """Refuses memo places beyond the size of the file, for which a loader would make room."""
    for opcode, argument, position in pickletools.genops(stream):
        if opcode.name in _MEMO_PUTS and int(argument or 0) > (position or 0):
            raise _Refused("it numbers its objects beyond reason")


def _columns(root: Any) -> dict[str, Sequence[Any]]:
    if not isinstance(root, _Record) or root.named not in _FRAME:
        raise _Refused("it holds no pandas.DataFrame")
    state = root.state
    manager = state.get("_mgr", state.get("_data")) if isinstance(state, Mapping) else None
    if not isinstance(manager, _Record) or manager.named[1] != "BlockManager":
        raise _Refused("its frame has no blocks of columns")
    blocks, axes = manager.arguments
    names = _array(axes[0])
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise _Refused("its columns are not named by different texts")
    columns: dict[str, Sequence[Any]] = {}
    for block in blocks:
        _require(block, "_unpickle_block", "new_block")
        values, places = block.arguments[:2]
        rows = [_texts(values)] if _is_texts(values) else _array(values)
        for place, row in zip(_places(places), rows, strict=True):
            if names[place] in columns:
                raise _Refused("two blocks are one column")
            columns[names[place]] = row
    if len(columns) < len(names) or len({len(column) for column in columns.values()}) > 1:
        raise _Refused("its columns are not of one length, or one is missing")
    return {name: columns[name] for name in names}


def _places(value: Any) -> Sequence[int]:
    if isinstance(value, _Record) and value.named[1] == "slice":
        numbers = [number for number in value.arguments if number is not None]
        if not all(type(number) is int and abs(number) < 10**6 for number in numbers):
            raise _Refused("its columns have places that are no numbers")
        return range(*value.arguments)
    return [int(place) for place in _array(value)]


def _array(value: Any) -> Any:
    """Texts or numbers of an array or index: one dimension as a list, two as a list of them."""
    if isinstance(value, _Record) and value.named[1] == "_new_Index":
        return _array(value.arguments[1]["data"])
    if _is_texts(value):
        return _texts(value)
    if isinstance(value, _Record) and value.named[1] == "_frombuffer":
        data, dtype, shape, order = value.arguments
        return _numbers(bytes(data), _type_of(dtype), shape, order)
    _require(value, "_reconstruct")
    _, shape, dtype, is_fortran, data = value.state
    code = _type_of(dtype)
    if not code.endswith(("O", "O8")):
        return _numbers(bytes(data), code, shape, "F" if is_fortran else "C")
    count = _cells(shape)
    if not isinstance(data, list) or len(data) != count:
        raise _Refused("an array has more or fewer cells than it says")
    cells = [_cell(cell) for cell in data]
    if len(shape) == 1:
        return cells
    height, width = shape
    if is_fortran:
        return [cells[row::height] for row in range(height)]
    return [cells[row * width : (row + 1) * width] for row in range(height)]


def _is_texts(value: Any) -> bool:
    return isinstance(value, _Record) and value.named[1] in _TEXTS


def _texts(value: Any) -> list[Any]:
    """A column of texts; None where one is missing."""
    if value.named[1] != "ArrowStringArray":
        return list(_array(value.state[1]))
    array = value.state["_pa_array"]
    _require(array, "_restore_array")
    ((kind, length, _, start, buffers, _, _),) = array.arguments
    _require(kind, "type_for_alias")
    if kind.arguments[0] not in _OFFSETS:
        raise _Refused(f"a column of type {quoted(kind.arguments[0])}")
    count = _cells((length,))
    first = _cells((start,))
    validity, offsets, data = map(_buffer, buffers)
    return _split(
        data, _bounds(offsets, _OFFSETS[kind.arguments[0]], first, count), validity, first
    )


def _bounds(offsets: bytes, code: str, first: int, count: int) -> list[int]:
    """Where texts begin and end in the bytes of all of them: one place more than texts."""
    import numpy as np

    places = np.frombuffer(offsets, dtype=np.dtype(code))[first : first + count + 1].tolist()
    if count and len(places) != count + 1:
        raise _Refused("a column has more or fewer texts than it says")
    return [int(place) for place in places]


def _split(data: bytes, bounds: list[int], validity: bytes, first: int) -> list[Any]:
    texts: list[Any] = []
    for number, (begin, end) in enumerate(pairwise(bounds), first):
        if not 0 <= begin <= end <= len(data):
            raise _Refused("a text lies outside of its column")
        is_there = not validity or validity[number >> 3] >> (number & 7) & 1
        texts.append(data[begin:end].decode() if is_there else None)
    return texts


def _buffer(value: Any) -> bytes:
    """Bytes as Arrow holds them; none for a buffer that is not there."""
    if value is None:
        return b""
    _require(value, "py_buffer")
    (data,) = value.arguments
    if isinstance(data, _Record) and data.named[1] == "bytearray":
        data = data.arguments[0] if data.arguments else b""
    if not isinstance(data, bytes | bytearray):
        raise _Refused("a buffer that is no bytes")
    return bytes(data)


def _numbers(data: bytes, code: str, shape: Sequence[int], order: str) -> Any:
    import numpy as np

    if code.endswith(("O", "O8")) or order not in ("C", "F"):
        raise _Refused("an array of objects has no list of them")
    count = _cells(shape)
    array = np.frombuffer(data, dtype=np.dtype(code))
    if array.size != count:
        raise _Refused("an array has more or fewer cells than it says")
    return array.reshape(shape, order="C" if order == "C" else "F").tolist()


def _cells(shape: Any) -> int:
    if not isinstance(shape, tuple) or len(shape) not in (1, 2):
        raise _Refused("an array is no row and no block of rows")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise _Refused("an array has no size")
    count = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if count > _CELL_LIMIT or shape[0] > _CELL_LIMIT:
        raise _Refused("an array is too large")
    return int(count)


def _type_of(value: Any) -> str:
    """A plain type with its byte order, as numpy writes it."""
    _require(value, "dtype")
    code = value.arguments[0]
    if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
        raise _Refused(f"an array of type {quoted(code)}")
    order = value.state[1] if value.state else "|"
    if order not in ("<", ">", "=", "|"):
        raise _Refused("a type without a byte order")
    return code if code[0] in "<>=|" else f"{order}{code}"


def _cell(value: Any) -> Any:
    """A text or number; a numpy scalar as what it holds."""
    if isinstance(value, _Record) and value.named[1] == "scalar":
        dtype, data = value.arguments
        return _numbers(bytes(data), _type_of(dtype), (1,), "C")[0]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return list(value)
    raise _Refused(f"a cell that is no text or number but {quoted(type(value).__name__)}")


def _require(value: Any, *names: str) -> None:
    if not isinstance(value, _Record) or value.named[1] not in names:
        raise _Refused(f"{names[0]} is missing where a table has one")
