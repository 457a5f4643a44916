#!/bin/sh
# run.sh [SEED=n] [KEEP=1] [HOUSEHOLDS=n]: the demonstration; `make demo` builds first and calls this.
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/demo/demo.py "$@"
