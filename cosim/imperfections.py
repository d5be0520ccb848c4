"""What imperfections do to the output codes of the golden vectors, one kind after the other.

    python -m cosim.imperfections [--imperfections NAME] [--tokens N] [--seed N]

Every head of the model is a piece of hardware of its own. Each kind is taken at parts and multiples
of the sizes in the overlay, alone, and then all together; no simulator is needed.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from analog_models.attend import causal_attention
from analog_models.spec import HardwareSpec, Imperfections, load_preset, overlaid
from analog_models.variation import head_variations
from common.arguments import natural, seed_number
from common.errors import run_command
from common.files import write_json
from common.plots import plot_file
from common.provenance import provenance
from common.tables import table
from cosim.arguments import command_parser
from cosim.reference.drift import Drift
from cosim.reference.golden_streams import load_golden

__all__ = ["KINDS", "only", "sweep"]

KINDS: dict[str, tuple[str, ...]] = {
    "write": ("write_error_v", "write_noise_v"),
    "read noise": ("read_noise_k", "read_noise_v"),
    "mismatch of cells": ("mismatch_gain", "mismatch_offset_v"),
    "IR drop": ("ir_drop_row", "ir_drop_column"),
    "stuck cells": ("stuck_fraction",),
    "converters": ("phi_offset", "phi_gain", "out_offset", "out_gain"),
    "jitter": ("phi_jitter_ps", "out_jitter_ps"),
}
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def main() -> int:
    """Command line: print the table, draw the plot, write `result.json`."""
    args = _arguments()
    preset = load_preset()
    spec = overlaid(preset, args.imperfections)
    passage = load_golden(preset, args.golden).passage
    codes = {name: x[:, :, : args.tokens].astype(np.float64) for name, x in passage.items()}
    kinds = KINDS | {"all": tuple(field for kind in KINDS.values() for field in kind)}
    drifts = {name: sweep(spec, kind, codes, args.seed) for name, kind in kinds.items()}
    header = ["relative rms error at", *(f"x {multiple:g}" for multiple in MULTIPLES)]
    rows = [[name, *(f"{d.relative:.1%}" for d in of)] for name, of in drifts.items()]
    print(table(header, rows))
    folder = args.build / "imperfections"
    result = {
        "spec_hash": spec.hash,
        "imperfections": spec.imperfections.model_dump(),
        "multiples": MULTIPLES,
        "drifts": {name: [d._asdict() for d in of] for name, of in drifts.items()},
        "head_tokens": int(np.prod(codes["q"].shape[:-1])),
        "seed": args.seed,
        **provenance(("numpy",)),
    }
    print(f"result: {write_json(folder / 'result.json', result)}")
    title = f"Output codes of {spec.name}: what each kind of imperfection changes"
    print(f"plot:   {_plot(drifts, title, folder / 'imperfections.png')}")
    return 0


def only(spec: HardwareSpec, fields: tuple[str, ...], multiple: float) -> HardwareSpec:
    """`spec` with these imperfections alone, at a multiple of their sizes."""
    sizes = {field: multiple * getattr(spec.imperfections, field) for field in fields}
    values = Imperfections().model_dump() | sizes
    values["device_seed"] = spec.imperfections.device_seed
    changes: dict[str, Any] = {f"imperfections__{field}": v for field, v in values.items()}
    return spec.replace(**changes)


def sweep(
    spec: HardwareSpec, fields: tuple[str, ...], codes: dict[str, np.ndarray], seed: int
) -> list[Drift]:
    """Drift of the codes [layer, head, T, d] at each of `MULTIPLES`, the draws being the same.

    Query heads that share a key and value head run on one piece of hardware.
    """
    layers, shared, *shape = codes["k"].shape
    q, k, v, out = (codes[n].reshape(layers * shared, -1, *shape) for n in ("q", "k", "v", "out"))
    drifts = []
    for multiple in MULTIPLES:
        changed = only(spec, fields, multiple)
        drawn = head_variations(changed, range(len(q)), q).map(lambda x: x[:, None])
        noise = np.random.default_rng(seed)
        got = causal_attention(changed, q, k, v, variation=drawn, noise=noise)
        drifts.append(Drift.between(got, out))
    return drifts


def _plot(drifts: dict[str, list[Drift]], title: str, path: Path) -> Path:
    with plot_file(path, 8, 5) as figure:
        axes = figure.subplots()
        for name, of in drifts.items():
            thick = 2.5 if name == "all" else 1.3
            colour = "black" if name == "all" else None
            errors = [100 * d.relative for d in of]
            axes.plot(MULTIPLES, errors, "o-", markersize=4, lw=thick, color=colour, label=name)
        axes.set(xscale="log", yscale="log", xlabel="multiple of the sizes in the overlay")
        axes.set(ylabel="rms error relative to the rms of ideal codes", title=title)
        axes.set_xticks(MULTIPLES, [f"{multiple:g}" for multiple in MULTIPLES])
        percents = [1, 2, 5, 10, 20, 50]
        axes.set_yticks(percents, [f"{percent} %" for percent in percents])
        axes.minorticks_off()
        axes.legend(ncols=2)
    return path


def _arguments() -> argparse.Namespace:
    parser = command_parser("imperfections", __doc__)
    add = parser.add_argument
    text = "overlay with the sizes (typical)"
    add("--imperfections", default="typical", metavar="NAME", help=text)
    add("--tokens", type=natural(1), default=128, metavar="N", help="of the passage (128)")
    add("--seed", type=seed_number, default=0, metavar="N", help="of the noise (0)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
