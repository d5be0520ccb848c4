from analog_models.spec import load_preset
PROVED_AT={"window": load_preset().replace(geometry__head_dim=2,geometry__subtile=3,geometry__subtiles=2)}
PROVED_AT["pulses"] = PROVED_AT["window"]
