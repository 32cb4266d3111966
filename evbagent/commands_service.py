"""`evbagent install`, `evbagent uninstall` and `evbagent reload`."""

import argparse
from pathlib import Path

from evbagent.client import Client, ClientError
from evbagent.install import (
    InstallError,
    activate,
    deactivate,
    drop_ins_there,
    reload_manager,
    remove,
    service_files,
    this_program,
    write,
)
from evbagent.terminal import DONE, FAILED, complain, print_json

ROOT = Path("/")


def install(arguments: argparse.Namespace) -> int:
    """Put the files in place, or print them."""
    root = arguments.root or ROOT
    try:
        drop_ins = dict.fromkeys([*arguments.drop_in, *drop_ins_there(root, _prefix(arguments))])
        files = service_files(_program(arguments), _prefix(arguments), list(drop_ins))
        if arguments.print_only:
            if arguments.json:
                print_json([{"path": str(file.path), "text": file.text} for file in files])
            else:
                print("\n".join(f"# {file.path}\n{file.text}" for file in files), end="")
            return DONE
        written = write(files, root)
    except InstallError as error:
        return complain(str(error))
    failures = list(activate(files)) if root == ROOT else []
    if arguments.json:
        print_json([{"path": str(path)} for path in written])
    else:
        print("\n".join(map(str, written)))
        if root == ROOT and not failures:
            print("`systemctl enable --now evbagent` starts it; evbagent-observe only watches.")
    for failure in failures:
        complain(failure)
    return FAILED if failures else DONE


def uninstall(arguments: argparse.Namespace) -> int:
    """Stop the service and remove its files. Configuration, recordings and the user stay."""
    root = arguments.root or ROOT
    failures = list(deactivate()) if root == ROOT else []
    try:
        removed = remove(root, _prefix(arguments))
    except InstallError as error:
        return complain(str(error))
    if root == ROOT:
        failures += reload_manager()
    print("\n".join(map(str, removed)) if removed else "nothing of `evbagent install` is there")
    for failure in failures:
        complain(failure)
    return FAILED if failures else DONE


def reload(arguments: argparse.Namespace) -> int:
    """Returns when the agent has read its configuration, or has found that it cannot be used."""
    try:
        with Client(arguments.state_dir) as client:
            client.reload()
    except ClientError as error:
        return complain(str(error))
    return DONE


def _program(arguments: argparse.Namespace) -> str:
    """In a staging directory this program's place says nothing."""
    if arguments.program is not None:
        if not arguments.program.is_absolute():
            raise InstallError(f"--program {arguments.program}: has to be an absolute path")
        return str(arguments.program)
    if arguments.root not in (None, ROOT):
        return str(_prefix(arguments) / "bin/evbagent")
    return this_program()


def _prefix(arguments: argparse.Namespace) -> Path:
    prefix: Path = arguments.prefix
    if not prefix.is_absolute():
        raise InstallError(f"--prefix {prefix}: has to be an absolute path")
    return prefix
