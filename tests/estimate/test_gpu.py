from estimate.gpu import Work, attention_work, decode_work, gpus
from estimate.models import named_model
from tests.estimate.si import approx


def test_attention_reads_every_key_and_value_once():
    work = attention_work(12, 1024)
    assert work.bytes == 12 * 2 * 1024 * 64 * 2
    assert work.flop == 12 * 2 * 2 * 1024 * 64
    assert attention_work(32, 1024, 128, kv_heads=8).bytes == 8 * 2 * 1024 * 128 * 2


def test_the_slower_of_both_roofs_counts():
    gpu = gpus()["rtx4090"]
    assert gpu.seconds(Work(0, 1008e9)) == 1 and gpu.bound(Work(0, 1)) == "memory"
    assert gpu.seconds(Work(165.2e12, 1)) == 1 and gpu.bound(Work(1e12, 1)) == "arithmetic"


def test_attention_of_a_token_is_bound_by_memory():
    assert gpus()["rtx4090"].seconds(attention_work(12, 1024)) == approx(3.12e-6, rel=1e-3)
    assert all(gpu.bound(attention_work(12, 1024)) == "memory" for gpu in gpus().values())


def test_a_batch_reads_the_weights_once():
    model = named_model("gpt2-124m")
    one, many = (decode_work(model, 1024, batch) for batch in (1, 64))
    cache = model.layers * attention_work(12, 1024).bytes
    assert one.bytes == model.weights * 2 + cache
    assert many.bytes - one.bytes == 63 * cache and many.flop == 64 * one.flop
