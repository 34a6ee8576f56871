"""The `dspatch` command, and when it looks for garbage."""

import gc


def main() -> None:
    """Run the command line.

    What is imported stays for good: looking for cycles in it would take a sixth of the start and
    stop the event loop now and then. At the end the interpreter frees everything one by one; that
    it looks for cycles in all modules besides would take a server half a second of a processor
    after its last answer.
    """
    gc.disable()
    from app.commands.cli import cli  # noqa: PLC0415 - it imports everything

    gc.freeze()
    gc.enable()
    try:
        cli()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
