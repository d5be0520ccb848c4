"""The command line of ml.adapt."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

from analog_models.spec import DEFAULT_PRESET
from common.arguments import integer, natural, number, seed_number
from common.errors import readable
from ml.adapt.initialise import Mapping
from ml.adapt.matching import MATCHINGS
from ml.adapt.work import STAGES, TRAINED, Options, Trained
from ml.errors import SettingError
from ml.train import corpus
from ml.train.loop import Settings
from ml.train.parallel import Ranks

TOKENS = {"layerwise": 240_000, "linear": 1_000_000, "cubic": 500_000}
RATES = {"layerwise": 3e-4, "linear": 2e-4, "cubic": 2e-4}
MUON_RATES = {"layerwise": 1e-2, "linear": 5e-3, "cubic": 5e-3}
DECAYS = {"layerwise": 1.0, "linear": 0.6, "cubic": 0.6}
WARMUP_STEPS = 8
DEFAULT_STAGES = [stage for stage in STAGES if stage != "published"]
Number = TypeVar("Number", int, float)


def per_stage(kind: Callable[[str], Number], default: dict[str, Number]) -> Callable[[str], Any]:
    """Parser of one number for every trained stage, or of STAGE=NUMBER,..."""

    def parse(text: str) -> dict[str, Number]:
        if "=" not in text:
            return dict.fromkeys(TRAINED, kind(text))
        parts = (pair.partition("=") for pair in text.split(","))
        pairs = {name: value for name, _, value in parts}
        if unknown := pairs.keys() - set(TRAINED):
            raise argparse.ArgumentTypeError(
                f"no such stage: {readable(min(unknown))}; there are {', '.join(TRAINED)}"
            )
        return default | {name: kind(value) for name, value in pairs.items()}

    return parse


def stage_list(text: str) -> list[str]:
    """Stages in their order, from names separated by commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in STAGES]:
        raise argparse.ArgumentTypeError(
            f"no such stage: {readable(unknown[0])}; there are {', '.join(STAGES)}"
        )
    return [stage for stage in STAGES if stage in names]


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        prog="ml.adapt",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--base", default="smollm2", help="shipped, smollm2, or a folder (smollm2)")
    add("--text", default="corpus", help="folder of *.txt files, one file, or corpus")
    add("--out", type=Path, required=True, help="folder to write")
    add("--spec", default=DEFAULT_PRESET, help="hardware: a preset or a JSON file")
    names = ",".join(STAGES)
    add("--stages", type=stage_list, default=DEFAULT_STAGES, help=f"{names} (without published)")
    add("--control", action="store_true", help="train the teacher for as long instead")
    add("--fold", type=Path, metavar="FOLDER", help="GPT-2: write it as the shipped one, too")
    add("--start", metavar="STAGE=FILE", help="take FILE for the finished stage STAGE")
    group = parser.add_argument_group(
        "training", "NUMBERS is a number for every trained stage, or STAGE=NUMBER,..."
    ).add_argument
    for name, kind, default, meaning in (
        ("--tokens", integer, TOKENS, "of all ranks"),
        ("--learning-rate", number(), RATES, "of weights"),
        ("--muon", number(0), MUON_RATES, "learning rate of Muon, for matrices; 0: AdamW for them"),
        ("--decay", number(), DECAYS, "share of the steps in which the rate falls to zero"),
    ):
        shown = ",".join(f"{stage}={number:g}" for stage, number in default.items())
        parse = per_stage(kind, default)
        group(name, type=parse, default=default, metavar="NUMBERS", help=f"{meaning} ({shown})")
    group("--context", type=natural(2), default=512, help="tokens of a text (512)")
    group("--batch", type=natural(1), default=4, help="texts per step and rank (4)")
    group("--scaler-factor", type=number(), default=6.0, help="rate of scalers / of weights (6)")
    group("--mixing-factor", type=number(), default=2.0, help="rate of mixing / of weights (2)")
    group("--hidden-weight", type=number(0), default=1.0, help="of the residual stream's error (1)")
    group(
        "--text-weight",
        type=number(),
        default=0.0,
        help="share of the text's own words in the target, 0 to 1; the rest is the teacher's (0)",
    )
    text = "stage of a control to learn the words of, in linear and cubic (the teacher)"
    group("--words", type=Path, metavar="FILE", help=text)
    text = "what learns in linear and cubic, and in a control (attention)"
    group("--train", choices=get_args(Trained), default="attention", help=text)
    group("--mlp-rank", type=natural(0), default=0, help="rank of updates of the MLP (0: none)")
    group("--seed", type=seed_number, default=1)
    group("--validate-every", type=natural(1), default=50, help="steps (50)")
    group("--save-every", type=natural(1), default=25, help="steps (25)")
    group("--validation-texts", type=natural(1), default=8, help="of the validation split (8)")
    group = parser.add_argument_group("mapping").add_argument
    group(
        "--mixing",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a matrix per head for queries and keys, behind the rotary positions",
    )
    spreads = (Mapping.query_spread, Mapping.key_spread, Mapping.value_spread)
    group(
        "--spreads",
        type=number(),
        nargs=3,
        default=spreads,
        metavar=("Q", "K", "V"),
        help=f"standard deviations at first, of full scale {spreads}",
    )
    group(
        "--positive-share",
        type=number(),
        default=Mapping.positive_share,
        help="of the scores, at first",
    )
    group("--ridge", type=number(), default=Mapping.ridge, help=f"of the fits ({Mapping.ridge})")
    group("--calibration-texts", type=natural(1), default=16, help="for statistics (16)")
    group(
        "--refit-texts",
        type=natural(1),
        default=32,
        help="for the refit (32)",
    )
    group(
        "--statistics",
        choices=("student", "teacher"),
        default="teacher",
        help="whose residual stream they are taken on: the teacher's suits a layer-wise training "
        "behind, the student's is better where none comes (teacher)",
    )
    group("--matching", choices=MATCHINGS, default="charge", help="from linear to cubic (charge)")
    group = parser.add_argument_group("machine").add_argument
    group("--threads", type=natural(0, 1024), default=0, help="0: as torch chooses")
    group(
        "--precision",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="of matrix products; float32 where the processor has no bfloat16",
    )
    group("--cache", type=Path, default=corpus.CACHE, help="cached text and tokens")
    return parser


def settings_of(given: argparse.Namespace, ranks: Ranks) -> dict[str, Settings]:
    """Settings of each trained stage; the batch is that of all ranks."""
    batch = given.batch * ranks.size
    settings = {}
    for i, stage in enumerate(TRAINED):
        tokens = given.tokens[stage]
        if tokens < batch * given.context:
            raise SettingError(
                f"tokens is {tokens} for {stage}, must be at least one step: {batch} texts of "
                f"{given.context} tokens"
            )
        settings[stage] = Settings(
            steps=tokens // (batch * given.context),
            batch=batch,
            learning_rate=given.learning_rate[stage],
            warmup_steps=WARMUP_STEPS,
            decay_fraction=given.decay[stage],
            weight_decay=0.0,
            scaler_factor=given.scaler_factor,
            mixing_factor=given.mixing_factor,
            muon_rate=given.muon[stage] or None,
            clip_norm=None if stage == "layerwise" else 1.0,  # layers are independent there
            seed=given.seed + i,
            validate_every=given.validate_every,
            save_every=given.save_every,
        )
    return settings


def options_of(given: argparse.Namespace) -> Options:
    """What decides the result, from the command line."""
    query, key, value = given.spreads
    return Options(
        context=given.context,
        mixing=given.mixing,
        mlp_rank=given.mlp_rank,
        train=given.train,
        matching=given.matching,
        mapping=Mapping(
            query_spread=query,
            key_spread=key,
            value_spread=value,
            positive_share=given.positive_share,
            ridge=given.ridge,
            own_stream=given.statistics == "student",
        ),
        calibration_texts=given.calibration_texts,
        refit_texts=given.refit_texts,
        hidden_weight=given.hidden_weight,
        text_weight=given.text_weight,
        validation_texts=given.validation_texts,
        precision=given.precision,
        seed=given.seed,
    )
