"""Ways in which a file may be wrong: strategies of contents for the fuzzers of all readers.

`damaged_json` and `damaged_tensors` start from what a reader takes and change it in a few places;
`damaged_bytes` knows nothing of the form. All of them give bytes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save

__all__ = [
    "Short",
    "damaged_bytes",
    "damaged_folder",
    "damaged_json",
    "damaged_tensors",
    "render",
]

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Short(dict):
    """A mapping too large to be shown with each failure."""

    def __repr__(self) -> str:
        return f"<{', '.join(map(str, list(self)[:3]))}, ...>"


class Raw(str):
    """Text that stands in a JSON file as it is, whether JSON allows it or not."""


class Object(list):
    """An object of JSON as [key, value] pairs, which may have the same key twice."""


class Place(NamedTuple):
    """Where a value stands: `parent[index]`, in an `Object` as the second of a pair."""

    parent: list
    index: int

    @property
    def value(self) -> Any:
        found = self.parent[self.index]
        return found[1] if isinstance(self.parent, Object) else found

    def put(self, value: Any) -> None:
        value = _opened(value)  # a copy: later changes must not reach the original
        if isinstance(self.parent, Object):
            value = [self.parent[self.index][0], value]
        self.parent[self.index] = value


WRONG: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 255, 256, 1024, 65536, 2**31, 2**63 - 1, 2**63),
    *(-(2**63), 2**64, 10**30, 0.0, -0.0, 0.5, 1.0, 1.5, 64.0, 1e-300, 5e-324, 1e300, 1e308),
    *("", "64", "1e3", "true", "null", "NaN", " ", "a\nb", "ä½✓", "\ud800", "\x00", "x" * 5000),
    *("../../etc/passwd", "/etc/passwd", "U8", "F32", "BF16", "F8_E4M3", "I64", "BOOL"),
    *([], {}, [[]], [None], [{}], {"": 0}, {"value": 1}, {"value": 1, "unit": "V", "source": "x"}),
    *map(Raw, ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E400", "9" * 5000, "01", "+1")),
    *(Raw("[" * depth + "]" * depth) for depth in (20, 200, 100_000)),
    Raw('{"a":' * 300 + "1" + "}" * 300),
]
"""Values that few fields allow."""

VALUES = st.one_of(
    st.sampled_from(WRONG),
    st.integers(-300, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(-2, 2), max_size=4),
)


def render(tree: Any) -> str:
    """A tree of `Object`, `Raw` and plain values as the text of a JSON file."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, Object):
        return "{" + ", ".join(f"{json.dumps(key)}: {render(v)}" for key, v in tree) + "}"
    if isinstance(tree, dict):
        return render(Object(map(list, tree.items())))
    if isinstance(tree, list | tuple):
        return "[" + ", ".join(map(render, tree)) + "]"
    return json.dumps(tree)


@st.composite
def damaged_json(draw: Draw, tree: Any, changes: int = 3) -> bytes:
    """The JSON of `tree` with up to so many places changed; now and then its bytes, too."""
    root = [_opened(tree)]
    for _ in range(draw(st.sampled_from([1, 1, *range(1, changes + 1)]))):
        _change(draw, root)
    text = render(root[0] if root else Raw("")).encode()
    return text if draw(st.integers(0, 9)) else draw(damaged_bytes(text))


def _opened(tree: Any) -> Any:
    """A copy with every object as an `Object`."""
    if isinstance(tree, Mapping | Object):
        pairs = tree.items() if isinstance(tree, Mapping) else tree
        return Object([key, _opened(value)] for key, value in pairs)
    return [_opened(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _change(draw: Draw, root: list) -> None:
    """One change of one place, found on a walk down from the root."""
    places = [Place(root, 0)] if root else []
    while places:
        place = draw(st.sampled_from(places))
        inside = place.value
        places = [Place(inside, i) for i in range(len(inside))] if type(inside) is list else []
        if isinstance(inside, Object):
            places = [Place(inside, i) for i in range(len(inside))]
        if not places or not draw(st.integers(0, 4)):
            draw(st.sampled_from(CHANGES))(draw, place, root)


def _replace(draw: Draw, place: Place, _: list) -> None:
    place.put(draw(VALUES))


def _nudge(draw: Draw, place: Place, _: list) -> None:
    """Another type or a neighbour of the same value."""
    value = place.value
    near: list[Any] = [[value], {"value": value}, str(value), None]
    if isinstance(value, int | float):
        near += [value + 1, value - 1, -value, value * 1000, value / 3, float(value), bool(value)]
    if isinstance(value, str):
        near += [value + "x", value[:-1], value.upper(), value * 100]
    place.put(draw(st.sampled_from(near)))


def _drop(draw: Draw, place: Place, _: list) -> None:
    del place.parent[place.index]


def _double(draw: Draw, place: Place, _: list) -> None:
    """The same key or element once more, with the same or another value."""
    again = _opened(place.value if draw(st.booleans()) else draw(VALUES))
    if isinstance(place.parent, Object):
        again = [place.parent[place.index][0], again]
    place.parent.append(again)


def _rename(draw: Draw, place: Place, _: list) -> None:
    if isinstance(place.parent, Object):
        key = place.parent[place.index][0]
        others = st.sampled_from([f"{key}x", key.upper(), "", "a\nb", "x" * 5000, "\ud800"])
        place.parent[place.index] = [draw(others), place.value]


def _exchange(draw: Draw, place: Place, root: list) -> None:
    """The value of a neighbour, or the whole file inside itself."""
    place.put(Place(place.parent, draw(st.integers(0, len(place.parent) - 1))).value)


CHANGES = (_replace, _replace, _nudge, _nudge, _drop, _double, _rename, _exchange)


@st.composite
def damaged_bytes(draw: Draw, content: bytes) -> bytes:
    """`content` cut off, with bytes changed, put in or taken out, or as other editors save it."""
    at = draw(st.integers(0, len(content)))
    to = draw(st.integers(at, min(len(content), at + 16)))
    put = draw(st.binary(max_size=8))
    ways = [
        content[:at],
        content[at:],
        content[:at] + put + content[at:],
        content[:at] + put + content[to:],
        content + put,
        content * 2,
        b"\xef\xbb\xbf" + content,
        content.decode("latin-1").encode("utf-16"),
        content.replace(b" ", b"\t").replace(b"\n", b"\r\n"),
        put,
        b"",
        bytes(64),
    ]
    return draw(st.sampled_from(ways))


@st.composite
def damaged_tensors(
    draw: Draw, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> bytes:
    """A safetensors file of `arrays`: their values or shapes, its header or its bytes changed.

    metadata: each of its values is JSON, and is changed as such.
    """
    kind = draw(st.sampled_from(("arrays", "arrays", "metadata", "header", "length", "bytes")))
    if kind == "arrays":
        return save(_other_arrays(draw, arrays), dict(metadata or {}) or None)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    if kind == "metadata" and metadata:
        key = draw(st.sampled_from(sorted(metadata)))
        value = draw(damaged_json(json.loads(metadata[key]))).decode("latin-1")
        return save(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, {**metadata, key: value}
        )
    content = save(contiguous, dict(metadata or {}))
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    if kind == "bytes":
        return draw(damaged_bytes(content))
    if kind == "header":
        header = draw(damaged_json(json.loads(header)))
        return len(header).to_bytes(8, "little") + header + data
    wrong = st.sampled_from([0, 1, length - 1, length + 1, len(content), 10**8, 2**63, 2**64 - 1])
    return draw(wrong).to_bytes(8, "little") + header + data


def _other_arrays(draw: Draw, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays with one of them missing, of another type or shape, or with other values."""
    found = {name: np.array(array) for name, array in arrays.items()}
    name = draw(st.sampled_from(sorted(found)))
    array = found.pop(name)
    way = draw(st.sampled_from(("value", "value", "type", "shape", "renamed", "gone", "more")))
    if way == "gone":
        return found
    if way == "renamed":
        return found | {f"{name}x": array}
    if way == "more":
        return found | {name: array, "more": array}
    if way == "type":
        types = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint64", "float16", "float64")
        array = array.astype(draw(st.sampled_from(types)))
    if way == "shape":
        array = draw(st.sampled_from(_other_shapes(array)))
    if way == "value" and array.size:
        at = draw(st.integers(0, array.size - 1))
        whole = not np.issubdtype(array.dtype, np.floating)
        info = np.iinfo(array.dtype) if whole and array.dtype != bool else None
        values = [0, 1, info.min, info.max] if info else [0, 1]
        value = draw(st.sampled_from(values if whole else [np.nan, np.inf, -1, 1e300, 0]))
        with np.errstate(over="ignore"):
            array.flat[at] = np.asarray(value).astype(array.dtype)
    return found | {name: np.ascontiguousarray(array)}


def _other_shapes(array: np.ndarray) -> list[np.ndarray]:
    shapes = [array[None], array.reshape(-1), np.zeros((), dtype=array.dtype)]
    if array.ndim:
        shapes += [array[:0], array[:1]]
        shapes += [array[..., :-1], array.T, np.concatenate([array, array]), array[:-1]]
    return shapes


def damaged_folder(
    files: Mapping[str, bytes], damaged: Mapping[str, st.SearchStrategy[bytes]]
) -> st.SearchStrategy[dict[str, bytes]]:
    """The files of a folder, by name, one of them damaged or missing."""
    ways = [
        value.map(lambda content, n=name: {**files, n: content}) for name, value in damaged.items()
    ]
    gone = st.sampled_from(sorted(damaged)).map(
        lambda n: {k: v for k, v in files.items() if k != n}
    )
    return st.one_of(*ways, *ways, gone)
