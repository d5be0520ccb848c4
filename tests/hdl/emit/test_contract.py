"""The port contract as its readers find it."""

import pytest

from common.errors import ArtefactError
from common.files import write_json
from hdl.emit.contract import port_widths, read_contract
from hdl.emit.verilog import TOP, emit, emit_core
from tests.hdl.clocked import small_spec


def test_what_is_emitted_is_read(tmp_path):
    spec = small_spec()
    contract = emit(spec, tmp_path)
    assert read_contract(tmp_path / f"{TOP}.json") == contract
    assert port_widths(contract)["pins__q_pulse"] == spec.geometry.head_dim
    core = emit_core(spec, 2, tmp_path)
    assert read_contract(tmp_path / "attention_core.json") == core


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ports": []}, "has no port and payload token__payload"),
        ({"ports": None}, "ports = None: Input should be a valid list"),
        ({"sha256": 3}, "sha256 = 3: Input should be a valid string"),
        ({"top": "a b"}, "top = 'a b': String should match pattern"),
        ({"payloads": {}}, "has no port and payload token__payload"),
        ({"simulation": {"file": "../x.v", "sha256": ""}}, "simulation.file = '../x.v'"),
        ({"heads": 0}, "heads = 0: Input should be greater than or equal to 1"),
    ],
)
def test_a_damaged_contract_is_named_with_what_to_do(tmp_path, change, message):
    contract = emit(small_spec(), tmp_path)
    path = write_json(tmp_path / f"{TOP}.json", contract | change)
    with pytest.raises(ArtefactError) as error:
        read_contract(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert str(error.value).endswith("; remove its folder, and it is written anew")


def test_a_field_beyond_its_port_is_refused(tmp_path):
    contract = emit(small_spec(), tmp_path)
    contract["payloads"]["token__payload"]["q"]["lanes"] *= 100
    with pytest.raises(ArtefactError, match=r"payloads\.token__payload\.q reaches beyond its port"):
        read_contract(write_json(tmp_path / f"{TOP}.json", contract))


def test_a_port_that_is_not_there_is_named(tmp_path):
    widths = port_widths(emit(small_spec(), tmp_path))
    with pytest.raises(ArtefactError, match="has no port pins__none"):
        widths["pins__none"]
