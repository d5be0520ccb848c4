"""Engines for what is not attention: matrix products with fixed weights, and what feeds them."""

from dataclasses import dataclass

from estimate.errors import EstimateError
from estimate.models import LanguageModel
from estimate.quantities import ShippedTable, Table

__all__ = ["ENGINES", "Engine", "engine_names"]

ENGINES: Table = ShippedTable("engines")
TITLES = {
    "lpddr": "digital, weights in LPDDR5",
    "hbm": "digital, weights in HBM3",
    "sram": "digital, weights in SRAM on chip",
    "sram_cim": "SRAM compute-in-memory",
    "pcm_cim": "phase-change compute-in-memory",
}
WEIGHT_BYTES = 1  # 8 bit


def engine_names() -> list[str]:
    """Engines that ship with the estimate."""
    return list(TITLES)


@dataclass(frozen=True)
class Engine:
    """One engine, by its name in `presets/engines.json`; raises `EstimateError` for another.

    A compute-in-memory engine holds every weight in a place that multiplies, so that a matrix takes
    one product whatever its size, and all layers can work at once. A digital engine is one for all
    layers, and what it streams serves all tokens that are there.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in TITLES:
            raise EstimateError(f"no engine {self.name!r}: there are {', '.join(TITLES)}")

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def in_memory(self) -> bool:
        """It computes where the weights are."""
        return f"{self.name}.product_s" in ENGINES

    def _of(self, key: str) -> float:
        """Its own figure, or that of all digital engines; 0 where neither has one."""
        common = 0.0 if self.in_memory else ENGINES.get(f"digital.{key}", 0.0)
        return ENGINES.get(f"{self.name}.{key}", common)

    def product_s(self, weights: int, tokens: int = 1) -> float:
        """Time for one matrix and so many tokens at once."""
        if self.in_memory:
            return tokens * self._of("product_s")
        stream_s = weights * WEIGHT_BYTES / self._of("weight_byte_per_s")
        return max(stream_s, weights * tokens / self._of("mac_per_s"))

    def product_j(self, weights: int, tokens: int = 1) -> dict[str, float]:
        """Energy for one matrix and so many tokens: of arithmetic and of memory."""
        memory_j = weights * WEIGHT_BYTES * self._of("weight_byte_j")
        return {"arithmetic": weights * tokens * self._of("mac_j"), "weight memory": memory_j}

    def area_m2(self, model: LanguageModel) -> float:
        """Area on chip; memory chips do not count."""
        return self._of("area_m2") + model.weights * self._of("weight_area_m2")
