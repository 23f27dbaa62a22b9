"""Rounds a .keras file's kernels to float16 values and packs them, for the zoo.

The network stays one of float32 variables that Keras loads as any other; its file takes less than
half the bytes. What is measured and published must be the packed file, since rounding changes it.

    python benchmarks/pack_model.py runs/cifar10-at/ema.keras packed.keras
"""

import io
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"


def main(source: Path, target: Path) -> None:
    """Writes the packed file and says what it saves."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == WEIGHTS:
                new.writestr(item, packed(content))
            else:
                new.writestr(item, content, zipfile.ZIP_DEFLATED)
    print(f"{source}: {source.stat().st_size:,} bytes; {target}: {target.stat().st_size:,}")


def packed(content: bytes) -> bytes:
    """The HDF5 file with kernels of float16 values, shuffled and compressed."""
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as old, h5py.File(buffer, "w", libver="latest") as new:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                new.require_group(name)
            elif item.ndim > 1:
                values = item[()].astype(np.float16).astype(item.dtype)
                new.create_dataset(name, data=values, compression=9, shuffle=True)
            else:
                # Few, and moving variances span more magnitudes than float16 has.
                new.create_dataset(name, data=item[()])
            new[name].attrs.update(item.attrs)

        old.visititems(copy)
        new.attrs.update(old.attrs)
    return buffer.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
