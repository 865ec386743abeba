#!/usr/bin/env python3
"""Writes values/FAMILY.txt: what PyTorch, SciPy and NumPy make, in double precision, of the calls
that tests/lua/test_golden.lua repeats.  Give families to write only those."""
import importlib
import pathlib
import sys

sys.dont_write_bytecode = True

import oracle                                        # noqa: E402

HERE = pathlib.Path(__file__).parent
FAMILIES = ["elementwise", "special", "reductions", "movement", "images", "convolution", "layers",
            "matrices"]


def write(family):
    oracle.cases.clear()
    importlib.import_module("families." + family).make()
    path = HERE / "values" / (family + ".txt")
    path.parent.mkdir(exist_ok=True)
    head = f"-- Made by tests/golden/make.py; see its README.  Cases of families/{family}.py.\n\n"
    path.write_text(head + "\n".join(oracle.cases))
    print(f"{family}: {len(oracle.cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    for family in sys.argv[1:] or FAMILIES:
        write(family)
