"""The model card, written from the record of an evaluation so that no number is typed by hand."""

from collections.abc import Iterator
from typing import Any

from ml.sources import SOURCES

_TEMPLATE = """\
# Model card: gaincell's small language model

Written by `python -m ml.evaluate --card`; every number comes from that run.

Two checkpoints of one model: a softmax **teacher**, and the same model **adapted** to attention on
gain-cell arrays (preset `{preset}`, codes `{codes_hash}`).

## What it is
GPT-2 architecture: {layers} layers of {heads} heads of {head_dim}, context {context}, a vocabulary
of {vocabulary} (own byte-level BPE). Weights in half precision, safetensors. The adapted checkpoint
has the same tensors; its projections give codes before rounding and take output codes.

## Data
{sources}

Cleaned, deduplicated, split into contiguous blocks of each source: training, validation (chose the
weights), held out (chose nothing). SHA-256 of the prepared text: `{corpus}`.

## Training
| stage | tokens seen |
|---|---|
{tokens}

## Perplexity
{heldout} tokens of held-out text, texts of {context} tokens. The hardware is evaluated exactly:
{q}.

| stage | perplexity | / teacher |
|---|---|---|
{rows}

The measure of the adaptation is the same teacher trained as long (`ml.control`): softmax attention,
the batches, optimisers and schedules of the adaptation, at smaller rates first, on the text itself.
Against it the linear cell has {linear:.3f} times the perplexity, the cubic cell {cubic:.3f} times.

The published matching alone, from the linear to the cubic cell without a gradient, gives
{published:.3f} times the perplexity of the linear model; with the output projections then fitted to
the linear model's attention, {matched:.3f} times.

Attention matters: with the output of every attention layer set to zero the teacher's perplexity
grows {teacher_ablation:.2f} times and the adapted model's {adapted_ablation:.2f} times.

## How to reproduce
```
python -m ml.corpus && python -m ml.tokenizer && python -m ml.heldout
{train}
python -m ml.control {options}
python -m ml.adapt {options}{words}
python -m ml.evaluate --card
```
Run with {versions}. Interrupted commands continue where they stopped.
These commands give models like the shipped ones, not the same bits: the teacher's first run was
shortened while it ran, and stage linear and the control were lengthened while they ran. The student
learned the teacher's own words before that, and then, to the end, those of the control as it was
(docs/adaptation.md has the steps).

## Limits
- It knows English of the 17th to the early 19th century and nothing else, and invents freely.
- Small on purpose: it exists to carry real attention through the hardware, not to be useful text.
- The attention to the whole context is kept in one window; longer texts start anew.
- The adapted model learns from the text as well as from a teacher: the ratio to the teacher is what
  the pair shows, the ratio to the teacher trained as long is nearer to what the hardware costs.
  That teacher learned from the text alone, and no softmax model was taught as the student was.
- Noise, mismatch and stuck cells are not part of this evaluation.
- Perplexities depend on the tokenizer: compare them with each other only.
"""


def _training(teacher: dict[str, Any]) -> Iterator[str]:
    """The commands of the runs that made the teacher, first run first."""
    settings, start, where = teacher["settings"], teacher.get("start"), ""
    if start:
        yield from (f"{line} --out build/first.safetensors" for line in _training(start["run"]))
        where = " --start build/first.safetensors --folder build/teacher-on"
    names = {"learning_rate": "learning-rate", "muon_rate": "muon-rate", "decay_fraction": "decay"}
    given = {n: settings.get(n) for n in ("steps", "batch", *names, "seed")}
    options = (f" --{names.get(n, n)} {v:g}" for n, v in given.items() if v is not None)
    yield f"python -m ml.train{where}{''.join(options)}"


def model_card(record: dict[str, Any]) -> str:
    """The card as Markdown, from what ml.evaluate measured (every stage must be there)."""
    rows = record["perplexity"]
    model, teacher, adapted = record["teacher"]["model"], record["teacher"], record["adapted"]
    seen = {"teacher": teacher["tokens_seen"], **adapted["tokens_seen"]}
    steps = " ".join(f"--{n}-steps {s['steps']}" for n, s in adapted["settings"].items())
    base, linear = rows["teacher"], rows["linear, adapted"]
    return _TEMPLATE.format(
        **{name: model[name] for name in ("layers", "heads", "context", "vocabulary")},
        head_dim=model["width"] // model["heads"],
        preset=record["preset"],
        codes_hash=record["codes_hash"],
        sources="\n".join(f"- {s.name}: {s.package} ({s.licence})" for s in SOURCES),
        corpus=teacher["corpus_sha256"],
        tokens="\n".join(f"| {name} | {count:,} |" for name, count in seen.items()),
        heldout=f"{record['tokens']:,}",
        q="codes, the cell of the stage, leakage, every sub-tile counted",
        rows="\n".join(f"| {n} | {p:.2f} | {p / base:.3f} |" for n, p in rows.items()),
        linear=linear / rows["teacher, as long as linear"],
        cubic=rows["cubic, adapted"] / rows["teacher, as long as cubic"],
        matched=rows["cubic, matched"] / linear,
        published=rows["cubic, as published"] / linear,
        teacher_ablation=rows["teacher, attention zero"] / base,
        adapted_ablation=rows["cubic, attention zero"] / rows["cubic, adapted"],
        train="\n".join(_training(teacher)),
        options=f"{steps} --threads {adapted['threads']}",
        words=" --words build/adapt/control-linear.safetensors" if adapted["words_sha256"] else "",
        versions=", ".join(f"{name} {v}" for name, v in record["packages"].items()),
    )
