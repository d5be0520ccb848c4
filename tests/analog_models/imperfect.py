"""A small head with every imperfection on, large enough to change codes."""

from typing import Any

from analog_models.spec import HardwareSpec, load_preset, overlaid

SMALL = load_preset().replace(
    name="small",
    geometry__head_dim=6,
    geometry__array_rows=3,
    geometry__subtile=4,
    geometry__subtiles=3,
    converter__s_sat=6.0,
    converter__a_sat=3.0,
    leakage__decay_per_token=0.01,
)
NOISES = ("write_noise_v", "read_noise_k", "read_noise_v", "phi_jitter_ps", "out_jitter_ps")


def with_imperfections(spec: HardwareSpec, **values: float) -> HardwareSpec:
    """`spec` with some fields of its imperfections changed."""
    changes: dict[str, Any] = {f"imperfections__{name}": v for name, v in values.items()}
    return spec.replace(**changes)


IMPERFECT = with_imperfections(
    overlaid(SMALL, "typical"), stuck_fraction=0.1, stuck_level=2, temperature_k=320.0
)
FIXED = with_imperfections(IMPERFECT, **dict.fromkeys(NOISES, 0.0))
