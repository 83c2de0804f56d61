"""Every type beside llama-quantize of the same build, byte by byte; our importance matrix beside llama-imatrix's.

    python -m tests.bench.quantize --peers PEERS [--work WORK] [--types T …]     # the same bytes?
    python -m tests.bench.quantize --peers PEERS --speed [--work WORK]           # how long? wants a quiet machine

PEERS: what `python -m tests.bench.peers` made. Results go to results/quantize.json and quantize.md.
"""

if __name__ == "__main__":  # a child begins with the imports of this file, which an app's has not either
    from tests.bench.quantize_compare import main

    raise SystemExit(main(__doc__))
