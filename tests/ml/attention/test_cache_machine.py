"""Any sequence of operations on a cache, against a model that is a list of tokens."""

from typing import Any

import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from torch import Tensor

from analog_models.spec import HardwareSpec, load_preset
from ml.attention.cache import CodeCache
from ml.attention.cache_argument import NAME
from ml.errors import ModelError
from ml.models import convert, heads_of
from tests.ml.families import VOCABULARY, make_family

WINDOW = 8
LONGEST = 100  # tokens: the positions of the model end at 128
CLOSE = 1e-9  # GPT-2 in double precision; another code moves logits by far more


def short_window() -> HardwareSpec:
    """Two sub-tiles of 4 slots."""
    return load_preset().replace(
        name="short",
        geometry__head_dim=16,
        geometry__subtile=WINDOW // 2,
        geometry__subtiles=2,
        converter__s_sat=5.0,
        converter__a_sat=0.5,
    )


class CacheMachine(RuleBasedStateMachine):
    """`text` [B, T] is what the cache stands for; row i begins at token `starts[i]`."""

    model: Any = None

    @initialize(
        starts=st.lists(st.integers(0, 2 * WINDOW), min_size=1, max_size=3),
        count=st.integers(1, 4 * WINDOW),
    )
    def begin(self, starts: list[int], count: int) -> None:
        cls = type(self)
        if cls.model is None:
            cls.model = convert(make_family("gpt2", n_layer=1), short_window()).double()
        self.cache = CodeCache(heads_of(self.model))
        self.begin_text(starts)
        self.ask(count, seed=0)
        self.ask(1, seed=0)

    def begin_text(self, starts: list[int]) -> None:
        self.text = torch.zeros(len(starts), 0, dtype=torch.long)
        self.starts = torch.tensor(starts)[:, None]

    def ask(self, count: int, seed: int) -> None:
        """More tokens, and their logits against those of a pass over everything."""
        before = self.text.shape[1]
        generator = torch.Generator().manual_seed(seed)
        new = torch.randint(VOCABULARY, (len(self.text), count), generator=generator)
        text = torch.cat((self.text, new), dim=1)
        mask = torch.arange(text.shape[1]) >= self.starts
        places = (mask.cumsum(-1) - 1).clamp_min(0)
        with torch.no_grad():
            got = self.model(
                new,
                attention_mask=mask,
                position_ids=places[:, before:],
                **{NAME: self.cache},
            ).logits
            whole = self.model(text, attention_mask=mask, position_ids=places, use_cache=False)
        error = (got - whole.logits[:, before:])[mask[:, before:]].abs()
        assert bool((error < CLOSE).all())
        self.text = text

    @rule(count=st.integers(1, 2 * WINDOW + 3), seed=st.integers(0, 9))
    def append(self, count: int, seed: int) -> None:
        if self.text.shape[1] + count <= LONGEST:
            self.ask(count, seed)

    @rule(count=st.integers(1, 12))
    def one_by_one(self, count: int) -> None:
        for seed in range(min(count, LONGEST - self.text.shape[1])):
            self.ask(1, seed)

    @rule(count=st.integers(0, 3 * WINDOW))
    def crop(self, count: int) -> None:
        """Never refused without a reason: too little is kept, or there is too little."""
        layer, seen = self.cache.layers[0], self.text.shape[1]
        kept, late = seen - layer.forgotten - count, int((self.starts % WINDOW).max())
        refused = count > seen or (layer.forgotten > 0 and kept < WINDOW - 1 + late)
        try:
            self.cache.crop(-count)
        except ModelError:
            assert refused and count != seen
            return
        assert not refused or count == seen
        self.text = self.text[:, : seen - count]

    @rule(data=st.data(), size=st.integers(1, 3), reorder=st.booleans())
    def choose_rows(self, data: st.DataObject, size: int, reorder: bool) -> None:
        row = st.integers(0, len(self.text) - 1)
        rows = torch.tensor(data.draw(st.lists(row, min_size=size, max_size=size)))
        (self.cache.reorder_cache if reorder else self.cache.batch_select_indices)(rows)
        self.choose(rows)

    @rule()
    def repeat_rows(self) -> None:
        if len(self.text) <= 2:
            self.cache.batch_repeat_interleave(2)
            self.choose(torch.arange(len(self.text)).repeat_interleave(2))

    def choose(self, rows: Tensor) -> None:
        self.text, self.starts = self.text[rows], self.starts[rows]

    @rule()
    def record(self) -> None:
        self.cache.activate_past_recording()

    @rule(starts=st.lists(st.integers(0, WINDOW), min_size=1, max_size=3))
    def reset(self, starts: list[int]) -> None:
        self.cache.reset()
        self.begin_text(starts)


TestCache = CacheMachine.TestCase
TestCache.settings = settings(
    max_examples=40,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # finding the shortest example takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
