"""Check the golden vectors, all of them, against the numpy model and against the RTL.

    python -m cosim.verify [--sim NAME] [--workers N] [--schedule NAME] [--stalls N] [--seed N]

The RTL runs in every schedule, under random back-pressure on both streams.
"""

import argparse

import numpy as np

from analog_models.spec import HardwareSpec, load_preset
from common.arguments import natural
from common.errors import run_command
from common.files import write_json
from common.tables import table
from cosim.arguments import (
    add_back_pressure,
    add_schedule,
    add_simulator,
    command_parser,
)
from cosim.reference.comparison import golden_traces
from cosim.reference.golden_streams import Stream, load_golden
from cosim.run.stream import replay


def main() -> int:
    """Command line: 0 if all codes agree, 1 if not, 2 on an error."""
    args = _arguments()
    spec = load_preset()
    golden = load_golden(spec, args.golden)
    streams = [golden.passage_stream(args.tokens), golden.wrap_stream(args.tokens)]
    options = {"max_gap": args.stalls, "max_stall": args.stalls, "seed": args.seed}
    numpy_mismatches = [_numpy_mismatches(spec, stream) for stream in streams]
    schedules = [args.schedule] if args.schedule else [*spec.schedules]
    done = replay(spec, streams, schedules, args.sim, args.workers, **options)
    result = done.result() | {"numpy_mismatches": sum(numpy_mismatches)}
    path = write_json(args.build / "verify" / "result.json", result)
    rows = [["numpy", s.name, len(s.q), n] for s, n in zip(streams, numpy_mismatches, strict=True)]
    rows += [[f"RTL, {r.schedule}", r.name, r.job.tokens, r.mismatches] for r in done.runs]
    print("\n" + table(["computed by", "golden vectors", "head-tokens", "mismatches"], rows))
    done.print_mismatches()
    print(f"result: {path}")
    return 1 if result["mismatches"] or result["numpy_mismatches"] else 0


def _numpy_mismatches(spec: HardwareSpec, stream: Stream) -> int:
    """Output codes of the golden head in numpy that differ from the golden ones."""
    traces = golden_traces(spec, stream.job(spec))
    return sum(int(np.sum(t.out != out)) for t, out in zip(traces, stream.out, strict=True))


def _arguments() -> argparse.Namespace:
    parser = command_parser("verify", __doc__)
    add_simulator(parser)
    add_schedule(parser, "all")
    add_back_pressure(parser, stalls=40)
    parser.add_argument("--tokens", type=natural(1), metavar="N", help="only N tokens of each head")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
