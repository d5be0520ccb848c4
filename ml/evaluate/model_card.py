"""The model card, written from the records of evaluations so that no number of ours is typed."""

from collections.abc import Iterator, Mapping
from typing import Any

from ml.train.sources import SOURCES

CONTROL_WORDS = "build/adapt/stages/control-linear.safetensors"
_TEMPLATE = """\
# Model card: gaincell's small language model

Written by `python -m ml.evaluate --card`; every number of ours comes from that run, those on other
text from the runs named there.

Two checkpoints of one model: a softmax **teacher**, and the same model **adapted** to attention on
gain-cell arrays (preset `{preset}`, codes `{codes_hash}`).

## What it is
GPT-2 architecture: {layers} layers of {heads} heads of {head_dim}, context {context}, a vocabulary
of {vocabulary} (own byte-level BPE). Weights in half precision, safetensors. Each is a folder that
transformers reads: `ml/checkpoints/teacher`, and `ml/checkpoints/adapted` through `ml.models`. The
adapted projections give codes before rounding and take output codes.

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

The measure of the adaptation is the same teacher trained as long (`ml.adapt --control`): softmax
attention, the batches, optimisers and schedules of the adaptation, at smaller rates first, on the
text itself. Against it the linear cell has {linear:.3f} times the perplexity, the cubic
cell {cubic:.3f} times.

The published matching alone, from the linear to the cubic cell without a gradient, gives
{published:.3f} times the perplexity of the linear model; with the output projections then fitted to
the linear model's attention, {matched:.3f} times.

Attention matters: with the output of every attention layer set to zero the teacher's perplexity
grows {teacher_ablation:.2f} times and the adapted model's {adapted_ablation:.2f} times.

The published model beside it: GPT-2 (124M) adapted on OpenWebText, from the authors' public results
(`utils/owt_training_results.json`, GainCellAttention). Linear model 22.87 after 5.7 billion tokens;
cubic right after matching 25.8, 1.110 times the linear model; cubic 22.68 after 11.6 billion more;
cubic straight from GPT-2 47.6. Softmax is taken to be the 22.53 of a series without a name: linear
1.015, cubic 1.007 times that. The authors draw pre-trained GPT-2 at a loss of 3.00, which is 20.1:
1.138 and 1.129 times that. Which is right their files do not say. Model, text, context and tokens
are others, so perplexities do not compare, and ratios only roughly (docs/lab/adaptation.md).

## On other text
Modern prose, which the corpus has none of: five kinds from Debian packages, which
`python -m ml.train.prose` writes to build/prose. `{shipped_command}`,
{shipped_tokens} tokens of each; the ratio is to the teacher on the same text.

{shipped_text}

The teacher itself knows little of such text.

### SmolLM2-135M
`smollm2-linear.safetensors` and `smollm2-cubic.safetensors`, which ship beside this model, were
adapted on the same corpus. Their teacher does know modern prose, and they lost it.
`{smollm2_command}`, {smollm2_tokens} tokens of each:

{smollm2_text}

Asked "What is the capital of France?" (`python -m ml.evaluate.answer`), the teacher says "The
capital of France is Paris."; both answer in verse, the linear one with "The name of the city of
Ashbury, / The capital of the city of Ashbury,", the cubic one with "The city of
Capri, / The capital of the world's most beautiful city,". They are of use on text like the corpus
alone.

## How to reproduce
```
python -m ml.train.corpus && python -m ml.train.tokenizer && python -m ml.train.heldout
{train}
make control
make adapt{words}
python -m ml.evaluate --card
```
Run with {versions}. Interrupted commands continue where they stopped.
These commands give models like the shipped ones, not the same bits: code for this model alone
trained them, with another start and another fit of the output projections in detail. The teacher's
first run was shortened while it ran, and stage linear and the control were lengthened while they
ran. The student learned the teacher's own words before that, and then, to the end, those of the
control as it was (docs/lab/adaptation.md has the steps).

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
        yield from (f"{line} --out build/first" for line in _training(start["run"]))
        where = " --start build/first --folder build/teacher-on"
    names = {"learning_rate": "learning-rate", "muon_rate": "muon-rate", "decay_fraction": "decay"}
    given = {n: settings.get(n) for n in ("steps", "batch", *names, "seed")}
    options = (f" --{names.get(n, n)} {v:g}" for n, v in given.items() if v is not None)
    yield f"python -m ml.train{where}{''.join(options)}"


def _by_text(result: Mapping[str, Any], stages: Mapping[str, str]) -> str:
    """A table of what `ml.evaluate --text` measured: a line for each kind of text.

    stages: titles of those that stand beside the teacher, by their names.
    """
    found = {(row["text"], row["stage"]): row for row in result["rows"]}
    header = ["text", "teacher", *(part for t in stages.values() for part in (t, "/ teacher"))]
    lines = [header]
    for text in dict.fromkeys(row["text"] for row in result["rows"]):
        rows = [found[text, stage] for stage in stages]
        cells = [(f"{r['perplexity']:.2f}", f"{r['ratio_to_teacher']:.3f}") for r in rows]
        teacher = f"{found[text, 'teacher']['perplexity']:.2f}"
        lines.append([text, teacher, *(cell for pair in cells for cell in pair)])
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"|{'---|' * len(header)}", *others])


def _other_text(name: str, result: Mapping[str, Any], stages: Mapping[str, str]) -> dict[str, str]:
    """Table, tokens and command of a result, under the names that the template has them by."""
    (about,) = result["models"].values()
    (tokens,) = {text["tokens"] for text in about["texts"].values()}
    texts = tokens // about["context"]
    return {
        f"{name}_text": _by_text(result, stages),
        f"{name}_tokens": f"{tokens:,}",
        f"{name}_command": f"make eval MODEL={name} TEXT=build/prose TEXTS={texts}",
    }


def model_card(
    record: dict[str, Any], shipped: Mapping[str, Any], smollm2: Mapping[str, Any]
) -> str:
    """The card as Markdown, from what ml.evaluate measured (every stage must be there).

    shipped, smollm2: results of it on other text.
    """
    rows = record["perplexity"]
    model, teacher, adapted = record["teacher"]["model"], record["teacher"], record["adapted"]
    seen = {"teacher": teacher["tokens_seen"], **adapted["tokens_seen"]}
    base, linear = rows["teacher"], rows["linear, adapted"]
    both = {"linear": "linear, adapted", "cubic": "cubic, adapted"}
    return _TEMPLATE.format(
        **_other_text("shipped", shipped, {"cubic": "cubic, adapted"}),
        **_other_text("smollm2", smollm2, both),
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
        words=f" WORDS={CONTROL_WORDS}" if adapted["words_sha256"] else "",
        versions=", ".join(f"{name} {v}" for name, v in record["packages"].items()),
    )
