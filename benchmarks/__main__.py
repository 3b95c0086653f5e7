"""`python -m benchmarks` lists them; `python -m benchmarks NAME` runs one.

The last line of output is one JSON object; see `benchmarks.figures`.
"""

import argparse
import importlib
import os
import pkgutil
import sys

import benchmarks
from benchmarks.figures import Options
from worker.tuning import is_tuned, tune

_HELPERS = {
    "__main__", "direct", "figures", "hinton", "killed", "lessons", "listeners", "option_chart",
    "real_data", "reference_loop", "seeding", "stack", "trials", "twins",
}  # fmt: skip


def names() -> list[str]:
    """Every benchmark there is."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if name not in _HELPERS)


def main() -> int:
    """List, or run one, in an environment like that of an engine child."""
    if not is_tuned():
        tune(os.environ)
        # The new process reads it at its start.
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=names())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--budget", choices=["quick", "full"], default="quick")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name in names():
            module = importlib.import_module(f"benchmarks.{name}")
            sys.stdout.write(f"{name:16} {(module.__doc__ or '').partition(chr(10))[0]}\n")
        return 0
    module = importlib.import_module(f"benchmarks.{arguments.name}")
    options = Options(arguments.seed, arguments.minutes, arguments.budget)
    report = module.run(options)
    sys.stdout.write(report.to_json(arguments.name, options) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
