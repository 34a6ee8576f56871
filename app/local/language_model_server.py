"""The process of the local language model: serves until its standard input ends.

Run as a file, without the rest of the house: it needs nothing but xllamacpp.
"""

import json
import os
import sys

import xllamacpp


def _parameters(model: str, name: str, slots: int, threads: int) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.offline = True
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.n_parallel = slots
    parameters.n_ctx = 4096 * slots
    parameters.cpuparams.n_threads = threads
    parameters.cache_ram_mib = 0
    parameters.verbosity = 2
    return parameters


def main() -> None:
    """Load the model, print the server's address, and wait for the end of standard input."""
    # Whatever the native code prints goes to the log; the parent hears one line only.
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = xllamacpp.Server(_parameters(**json.loads(sys.argv[1])))
    with parent:
        parent.write(f"{server.listening_address}\n")
    sys.stdin.read()
    # Its destructor waits for ever while an answer is under way.
    os._exit(0)


if __name__ == "__main__":  # pragma: no branch - it is never imported
    main()
