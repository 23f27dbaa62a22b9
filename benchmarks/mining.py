"""Time, memory and recall of nearest-neighbor indexes side by side, as the data grow.

Each index runs in a process of its own, so that its peak memory is its own. All search for the 8
nearest others of the same queries; at most --queries rows are searched, and the time for all rows
is that of the fastest 1,000 scaled up, since queries do not depend on each other and other
processes can only add to it. Approximate indexes search more widely until their recall on other
queries reaches 0.99. Real features (--features) are used as far as they reach, clustered
synthetic vectors beyond.

    python benchmarks/mining.py --features cifar10_features.npy
    python benchmarks/mining.py --faiss-python venv-faiss/bin/python    faiss from elsewhere
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DIMENSIONS = 128
COUNT = 9  # 8 neighbors and the row itself
TARGET_RECALL = 0.99
CHECKED = 1000
CHUNK = 1000
Search = Callable[[np.ndarray, int], np.ndarray]


def scann_index(name: str) -> Callable[[np.ndarray], tuple[Search, int]]:
    """Index of lsp_keras by its name."""

    def build(vectors: np.ndarray) -> tuple[Search, int]:
        from lsp_keras.neighbors.search import INDEXES

        index = INDEXES[name](vectors, COUNT)
        return lambda queries, effort: index.search(queries, COUNT, effort), index.max_effort

    return build


def faiss_flat(vectors: np.ndarray) -> tuple[Search, int]:
    """faiss's brute force."""
    import faiss

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    return lambda queries, effort: index.search(queries, COUNT)[1], 0


def faiss_ivf(vectors: np.ndarray) -> tuple[Search, int]:
    """faiss's inverted lists with float32 vectors; effort e searches 8 * 2^e lists."""
    import faiss

    num_lists = round(math.sqrt(len(vectors)))
    quantizer = faiss.IndexFlatL2(vectors.shape[1])
    index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], num_lists)
    index.train(vectors)
    index.add(vectors)

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.nprobe = min(8 * 2**effort, num_lists)
        found: np.ndarray = index.search(queries, COUNT)[1]
        return found

    search.quantizer = quantizer  # type: ignore[attr-defined]  # faiss keeps no reference to it
    return search, math.ceil(math.log2(num_lists / 8))


def faiss_hnsw(vectors: np.ndarray) -> tuple[Search, int]:
    """faiss's graph of 32 links; effort e keeps 32 * 2^e candidates."""
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], 32)
    index.add(vectors)

    def search(queries: np.ndarray, effort: int) -> np.ndarray:
        index.hnsw.efSearch = 32 * 2**effort
        found: np.ndarray = index.search(queries, COUNT)[1]
        return found

    return search, 6


INDEXES: dict[str, Callable[[np.ndarray], tuple[Search, int]]] = {
    "ScaNN exact": scann_index("scann_exact"),
    "ScaNN tree": scann_index("scann_tree"),
    "scikit-learn": scann_index("sklearn"),
    "faiss flat": faiss_flat,
    "faiss IVF": faiss_ivf,
    "faiss HNSW": faiss_hnsw,
}


def main() -> None:
    """Measures every index at every size and prints one Markdown table."""
    options = parse()
    if options.measure:
        print(json.dumps(measure(options.measure, Path(options.folder))))
        return
    sizes = [int(size) for size in options.sizes.split(",")]
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            kind = write_problem(Path(folder), size, options)
            for name in INDEXES:
                if size > options.hnsw_limit and name == "faiss HNSW":
                    continue
                rows.append({"index": name, "vectors": size, "kind": kind})
                rows[-1] |= run(name, folder, options)
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print_table(rows, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,50000,200000,1000000")
    parser.add_argument("--queries", type=int, default=10_000, help="rows to search at most")
    parser.add_argument("--features", type=Path, help=".npy of real features")
    parser.add_argument("--faiss-python", default=sys.executable, help="Python that has faiss")
    parser.add_argument("--hnsw-limit", type=int, default=200_000, help="its build is slow")
    parser.add_argument("--measure", choices=list(INDEXES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_problem(folder: Path, size: int, options: argparse.Namespace) -> str:
    """Vectors, queries and the true neighbors of some; returns what kind of vectors."""
    from sklearn.neighbors import NearestNeighbors

    real = np.load(options.features, mmap_mode="r") if options.features else np.empty((0, 0))
    vectors = unit(real[:size]) if len(real) >= size else clustered(size)
    queries = np.random.default_rng(1).permutation(size)[: options.queries]
    exact = NearestNeighbors(n_neighbors=COUNT, algorithm="brute").fit(vectors)
    true = exact.kneighbors(vectors[queries[: 2 * CHECKED]], return_distance=False)
    for name, array in (("vectors", vectors), ("queries", queries), ("true", true)):
        np.save(folder / f"{name}.npy", array)
    return "real" if len(real) >= size else "synthetic"


def clustered(size: int) -> np.ndarray:
    """Unit vectors in clusters of 24 latent dimensions, about 200 vectors in each."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(max(size // 200, 1), 24)).astype(np.float32)
    latent = centers[generator.integers(0, len(centers), size)]
    latent += 0.5 * generator.standard_normal(latent.shape, np.float32)
    spread = generator.standard_normal((24, DIMENSIONS), np.float32)
    noise = generator.standard_normal((size, DIMENSIONS), np.float32)
    return unit(latent @ spread + 0.2 * noise)


def unit(vectors: np.ndarray) -> np.ndarray:
    """float32 rows of length 1."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def run(name: str, folder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measures one index in its own process."""
    python = options.faiss_python if name.startswith("faiss") else sys.executable
    command = [python, __file__, "--measure", name, "--folder", folder]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr else "no reason given"
        return {"failed": reason}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Build time, search time for all rows, memory above the vectors, recall."""
    vectors, queries, true = (
        np.load(folder / f"{part}.npy") for part in ("vectors", "queries", "true")
    )
    warm = np.random.default_rng(0).standard_normal((2000, vectors.shape[1]), np.float32)
    build_and_search(name, warm)
    forget_peak()
    before = memory("VmRSS")
    start = clocks()
    search, max_effort = INDEXES[name](vectors)
    build = clocks() - start
    tuning, checked = np.split(np.arange(len(true)), 2)
    effort = least_effort(search, max_effort, vectors[queries[tuning]], true[tuning])
    found, seconds = timed_search(search, vectors[queries], effort)
    total = build + seconds * len(vectors) / len(queries)
    return {
        "build": build[0],
        "search": total[0] - build[0],
        "total": total[0],
        "processor": total[1],
        "memory": memory("VmHWM") - before,
        "recall": recall(found[checked], true[checked]),
        "effort": effort if max_effort else None,
        "version": version(name),
    }


def timed_search(search: Search, queries: np.ndarray, effort: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors of all queries, and both clocks' seconds at the speed of the fastest chunk.

    Other processes on the machine can only slow a chunk down.
    """
    found, rates = [], []
    for first in range(0, len(queries), CHUNK):
        chunk = queries[first : first + CHUNK]
        start = clocks()
        found.append(search(chunk, effort))
        rates.append((clocks() - start) / len(chunk))
    return np.concatenate(found), np.min(rates, axis=0) * len(queries)


def clocks() -> np.ndarray:
    """Seconds that have passed, and seconds of processor time of all threads."""
    return np.array([time.perf_counter(), time.process_time()])


def build_and_search(name: str, vectors: np.ndarray) -> None:
    """Once on few vectors, so that imports and first calls are not measured."""
    search, _ = INDEXES[name](vectors)
    search(vectors[:10], 0)


def least_effort(search: Search, largest: int, queries: np.ndarray, true: np.ndarray) -> int:
    """The first effort whose recall is high enough, or the largest."""
    for effort in range(largest):
        if recall(search(queries, effort), true) >= TARGET_RECALL:
            return effort
    return largest


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Share of the true neighbors that were found."""
    return float(
        np.mean([np.isin(row, other).mean() for row, other in zip(true, found, strict=True)])
    )


def memory(field: str) -> float:
    """MB of this process: `VmRSS` now, `VmHWM` at most since `forget_peak` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Lets the peak start from what the process holds now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def version(name: str) -> str:
    """Package and version behind an index."""
    from importlib import metadata

    package = {"S": "scann", "s": "scikit-learn", "f": "faiss-cpu"}[name[0]]
    return f"{package} {metadata.version(package)}"


def print_table(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Header, one row for each measurement, growth of the total with the number of vectors."""
    from _report import print_header

    print_header(Path(__file__))
    print(", ".join(sorted({row["version"] for row in rows if "version" in row})) + "  ")
    print(f"Rows searched: at most {options.queries:,}, times scaled to all of them; ", end="")
    print(f"{os.getloadavg()[1]:.1f} other and own processes ran on average.\n")
    print("| vectors | index | build s | search s | total s | processor s | memory MB | recall |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        start = f"| {row['vectors']:,} {row['kind']} | {row['index']} |"
        if "failed" in row:
            print(f"{start} {row['failed']} | | | | | |")
            continue
        numbers = (f"{row[name]:.1f}" for name in ("build", "search", "total", "processor"))
        print(f"{start} {' | '.join(numbers)} | {row['memory']:,.0f} | {row['recall']:.4f} |")
    print("\nGrowth of processor seconds with N, as the power between neighboring sizes:\n")
    for name in INDEXES:
        points = [row for row in rows if row["index"] == name and "total" in row]
        powers = [
            math.log(right["processor"] / left["processor"])
            / math.log(right["vectors"] / left["vectors"])
            for left, right in itertools.pairwise(points)
        ]
        print(f"- {name}: {', '.join(f'{power:.2f}' for power in powers)}")


if __name__ == "__main__":
    main()
