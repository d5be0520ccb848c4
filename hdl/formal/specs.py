"""The specifications that properties are proved at: the preset, in few cells and few levels."""

from analog_models.spec import HardwareSpec, Schedule, load_preset

__all__ = ["FEW_SLOTS", "SHORT"]

FEW_SLOTS: HardwareSpec = load_preset().replace(
    name="few-slots", geometry__head_dim=2, geometry__subtile=3, geometry__subtiles=2
)
"""Levels and schedules of the preset; a window of 6 slots, no power of two."""

SHORT: HardwareSpec = load_preset().replace(
    name="short",
    geometry__head_dim=1,
    geometry__subtile=2,
    geometry__subtiles=2,
    levels__q=4,
    levels__kv=2,
    levels__out_magnitude_bits=2,
    converter__t_max_ps=3000,
    timing__strobe=1,
    timing__reset=1,
    schedules={
        "leroux2025": Schedule(
            period=19,
            hold=6,
            capacitors=1,
            write_k=(0, 3),
            write_v=(3, 6),
            reset_k=(6, 8),
            reset_v=(6, 8),
            score=(8, 11),
            activate=(11, 14),
            read_out=(16, 19),
        ),
        "overlapped": Schedule(
            period=14,
            hold=0,
            capacitors=1,
            write_k=(0, 3),
            write_v=(3, 6),
            reset_k=(0, 1),
            reset_v=(0, 1),
            score=(3, 6),
            activate=(6, 9),
            read_out=(11, 14),
        ),
        "pipelined": Schedule(
            period=9,
            hold=8,
            capacitors=2,
            write_k=(0, 3),
            write_v=(5, 8),
            reset_k=(0, 2),
            reset_v=(7, 9),
            score=(3, 6),
            activate=(9, 12),
            read_out=(20, 23),
        ),
    },
)
"""The preset's schedules with phases of three cycles, in the same order and overlap."""
