"""Codes and lane vectors as the integers that a simulator's vector signals take."""

import numpy as np

__all__ = ["from_bits", "pack_lanes", "planes", "to_bits", "unpack_lanes"]


def to_bits(value: int, width: int) -> np.ndarray:
    """Bits of `value`, lowest first: uint8 [width]."""
    raw = np.frombuffer(value.to_bytes((width + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(raw, count=width, bitorder="little")


def from_bits(bits: np.ndarray) -> int:
    """The integer whose bits, lowest first, are the flattened `bits`."""
    return int.from_bytes(np.packbits(bits, axis=None, bitorder="little").tobytes(), "little")


def pack_lanes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Bits of non-negative codes [..., lane], lane by lane: uint8 [..., lane * bits]."""
    spread = codes.astype(np.uint16)[..., None] >> np.arange(bits, dtype=np.uint16)
    return (spread & 1).astype(np.uint8).reshape(*codes.shape[:-1], -1)


def unpack_lanes(value: int, lanes: int, bits: int, signed: bool = False) -> np.ndarray:
    """Codes that lie lane by lane in `value`, int64 [lanes]; two's complement if `signed`."""
    codes = to_bits(value, lanes * bits).reshape(lanes, bits) @ (1 << np.arange(bits))
    return np.where(codes >> (bits - 1) == 1, codes - (1 << bits), codes) if signed else codes


def planes(codes: np.ndarray, bits: int) -> int:
    """Non-negative codes [lane] as bit planes: bit b of lane i is bit b * lanes + i."""
    codes = codes.astype(np.uint16)
    return from_bits(codes[None, :] >> np.arange(bits, dtype=np.uint16)[:, None] & 1)
