"""`evbagent wait` when there is no agent, or not yet."""

import asyncio
import threading
from pathlib import Path

import pytest

from evbagent.cli import main
from evbagent.control import ControlServer
from evbagent.terminal import USAGE
from tests.support.fakevsis import FakeVsis


class Yes(FakeVsis):
    def holds(self, interface: str, condition: str) -> bool:
        return True


def wait(directory: Path, *words: str) -> int:
    return main(["wait", "eth0", "--for", "neighbor", "--state-dir", str(directory), *words])


def test_without_a_limit_an_absent_agent_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wait(tmp_path) == 1
    assert "evbagent run" in capsys.readouterr().err


def test_the_limit_holds_for_an_absent_agent_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wait(tmp_path, "--timeout", "0.05") == 3
    assert "no neighbor within 0.05 s: no agent answers" in capsys.readouterr().err


def test_an_agent_that_starts_in_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status: list[int] = []
    refused = threading.Event()
    monkeypatch.setattr("time.sleep", lambda seconds: refused.set())
    client = threading.Thread(target=lambda: status.append(wait(tmp_path, "--timeout", "10")))

    async def start_late() -> None:
        client.start()
        assert await asyncio.to_thread(refused.wait, 10)
        server = ControlServer(tmp_path / "control.sock", Yes())
        await server.start()
        await asyncio.to_thread(client.join, 10)
        server.close()

    asyncio.run(start_late())
    assert status == [0]


@pytest.mark.parametrize("text", ["soon", "nan", "-1", "1e9"])
def test_what_is_no_number_of_seconds(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["wait", "eth0", "--for", "neighbor", f"--timeout={text}"])
    assert exit_.value.code == USAGE
    assert f"{text} is not a number of seconds" in capsys.readouterr().err
