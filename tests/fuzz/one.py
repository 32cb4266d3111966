"""A target of `make fuzz`: `python -m tests.fuzz.one NAME`, then options and corpora of libFuzzer, or one input."""

import sys

import atheris

with atheris.instrument_imports(include=["evbagent", "protocols"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    check = TARGETS[sys.argv[1]].check
    atheris.Setup([sys.argv[0], *sys.argv[2:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
