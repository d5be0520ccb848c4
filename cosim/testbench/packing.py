"""Codes and lane vectors as the bits of a simulator's vector signals."""

from typing import Any

import numpy as np
from cocotb.handle import Immediate

from common.errors import GaincellError

__all__ = ["digits", "lanes", "pack_lanes", "planes", "read_text", "to_hex", "write_bits"]


def read_text(handle: Any) -> str:
    """Value of a vector signal as binary digits, highest first. Raises if bits are unknown."""
    text = str(handle.value)
    if not text.isdigit():
        raise GaincellError(f"{handle._name} has unknown bits: {text}")
    return text


def digits(text: str) -> np.ndarray:
    """Binary digits, highest first, as bits, lowest first: uint8 [bit]."""
    return np.frombuffer(text.encode(), dtype=np.uint8)[::-1] & 1  # "0" and "1" are 48 and 49


def lanes(bits: np.ndarray, count: int, signed: bool = False) -> np.ndarray:
    """Codes that lie lane by lane in `bits`, int64 [lane]; two's complement if `signed`."""
    width = len(bits) // count
    octets = np.packbits(bits.reshape(count, width), axis=1, bitorder="little")
    codes = octets[:, 0].astype(np.int64)
    for i in range(1, octets.shape[1]):
        codes += octets[:, i].astype(np.int64) << 8 * i
    return np.where(codes >> (width - 1) == 1, codes - (1 << width), codes) if signed else codes


def write_bits(handle: Any, bits: np.ndarray) -> None:
    """Set a vector signal, here and now, to the flattened `bits`, lowest first."""
    packed = np.packbits(bits, axis=None, bitorder="little").tobytes()
    handle.value = Immediate(int.from_bytes(packed, "little"))


def to_hex(bits: np.ndarray) -> str:
    """The hexadecimal number whose bits, lowest first, are `bits`."""
    return np.packbits(bits, bitorder="little").tobytes()[::-1].hex()


def pack_lanes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Bits of non-negative codes [..., lane], lane by lane: uint8 [..., lane * bits]."""
    spread = codes.astype(np.uint16)[..., None] >> np.arange(bits, dtype=np.uint16)
    return (spread & 1).astype(np.uint8).reshape(*codes.shape[:-1], -1)


def planes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Bit planes of non-negative codes [lane]: bool [plane, lane], plane b of weight 2^b."""
    kind = np.min_scalar_type((1 << bits) - 1)
    return codes.astype(kind) & (1 << np.arange(bits)).astype(kind)[:, None] != 0
