"""The `[dcbx]` table: the words of dcb(8), either way of writing them, and what cannot be."""

from pathlib import Path

import pytest

from evbagent.config import Config, ConfigError, parse
from evbagent.dcbxconfig import DcbxConfig, DcbxWishes, dcbx_wishes
from protocols.dcbx.model import Application, Selector
from protocols.dcbx.settings import Tables


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "evbagent.toml"
    file.write_text(text)
    return parse([file])


def wishes(tmp_path: Path, text: str, interface: str = "eth0") -> DcbxWishes:
    return dcbx_wishes(read(tmp_path, text).for_uplink(interface).dcbx)


def test_defaults() -> None:
    config = Config().for_uplink("eth0").dcbx
    assert config == DcbxConfig()
    assert (config.mode, config.dialect, config.advertise, config.on_stop) == ("observe", "auto", None, "keep")
    assert dcbx_wishes(config) == DcbxWishes()
    assert DcbxWishes().classes == 1


IN_DCB_WORDS = """
[dcbx.ets]
prio-tc = "all:0 3:1 4:2"
tc-tsa = "all:strict 0:ets 1:ets"
tc-bw = "0:30 1:70"
reco-tc-bw = "0:50 7:50"
[dcbx.pfc]
prio-pfc = "3:on 4:on 5:off"
delay = 4096
[dcbx.app]
default-prio = 1
ethtype-prio = "0x8906:3 35092:3"
stream-port-prio = "3260:4"
dgram-port-prio = "4791:3"
port-prio = "22:2"
dscp-prio = "AF31:3 46:5"
"""

IN_TABLES = """
[dcbx.ets]
prio-tc = { 3 = 1, 4 = 2 }
tc-bw = { 0 = 30, 1 = 70 }
reco-tc-bw = { 0 = 50, 7 = 50 }
[dcbx.pfc]
prio-pfc = [4, 3]
delay = 4096
[dcbx.app]
default-prio = 1
ethtype-prio = { 0x8906 = 3, 0x8914 = 3 }
stream-port-prio = { 3260 = 4 }
dgram-port-prio = { 4791 = 3 }
port-prio = { 22 = 2 }
dscp-prio = { af31 = 3, ef = 5 }
"""


@pytest.mark.parametrize("text", [IN_DCB_WORDS, IN_TABLES], ids=["words", "tables"])
def test_both_ways_of_writing(tmp_path: Path, text: str) -> None:
    assert wishes(tmp_path, text) == DcbxWishes(
        Tables((0, 0, 0, 1, 2, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (30, 70, 0, 0, 0, 0, 0, 0)),
        Tables((0,) * 8, (2, 0, 0, 0, 0, 0, 0, 2), (50, 0, 0, 0, 0, 0, 0, 50)),
        1 << 3 | 1 << 4,
        (
            Application(1, Selector.ETHERTYPE, 0),
            Application(3, Selector.ETHERTYPE, 0x8906),
            Application(3, Selector.ETHERTYPE, 0x8914),
            Application(4, Selector.TCP_SCTP, 3260),
            Application(3, Selector.UDP_DCCP, 4791),
            Application(2, Selector.TCP_SCTP_UDP_DCCP, 22),
            Application(3, Selector.DSCP, 26),
            Application(5, Selector.DSCP, 46),
        ),
    )
    assert wishes(tmp_path, text).classes == 3


def test_what_is_said_of_one_part_leaves_the_others_alone(tmp_path: Path) -> None:
    assert wishes(tmp_path, "[dcbx.pfc]\nprio-pfc = 'all:off'") == DcbxWishes(pfc=0)
    assert wishes(tmp_path, "[dcbx.pfc]\nprio-pfc = { all = true, 0 = false }") == DcbxWishes(pfc=0xFE)
    assert wishes(tmp_path, "[dcbx.ets]\nprio-tc = '7:7'").ets == Tables(prio_tc=(0, 0, 0, 0, 0, 0, 0, 7))
    assert wishes(tmp_path, "[dcbx.ets]\nprio-tc = '7:7'").classes == 8
    assert wishes(tmp_path, "[dcbx.ets]\nwilling = false") == DcbxWishes()
    all_ets = wishes(tmp_path, "[dcbx.ets]\ntc-tsa = 'all:ets'\ntc-bw = 'all:12 0:13 1:13 2:13 3:13'").ets
    assert all_ets == Tables((0,) * 8, (2,) * 8, (13, 13, 13, 13, 12, 12, 12, 12))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ets = {tc-bw = '0:50 1:40'}", "ets.tc-bw: the percentages of the ets classes (0:50 + 1:40) sum to 90, not"),
        ("ets = {tc-tsa = '0:ets'}", "ets.tc-bw: the percentages of the ets classes (0:0) sum to 0, not to 100"),
        ("ets = {tc-bw = '0:200'}", "ets.tc-bw: traffic class 0: '200' is no percentage (0 to 100)"),
        (
            "ets = {tc-tsa = '0:ets', tc-bw = '0:50 1:50'}",
            "ets.tc-bw: traffic class 1 has 50 % but is not ets in tc-tsa",
        ),
        ("ets = {tc-tsa = '0:wrr'}", "ets.tc-tsa: traffic class 0: 'wrr' is none of strict, cbs, ets, vendor"),
        ("ets = {tc-tsa = {0 = 2}}", "ets.tc-tsa: traffic class 0: 2 is none of strict, cbs, ets, vendor"),
        ("ets = {reco-tc-bw = '0:99'}", "ets.reco-tc-bw: the percentages of the ets classes (0:99) sum to 99"),
        ("ets = {prio-tc = '8:0'}", "ets.prio-tc: '8' is no priority (0 to 7)"),
        ("ets = {prio-tc = '3:9'}", "ets.prio-tc: priority 3: '9' is no traffic class (0 to 7)"),
        ("ets = {prio-tc = {3 = -1}}", "ets.prio-tc: priority 3: -1 is no traffic class (0 to 7)"),
        ("ets = {prio-tc = {3 = true}}", "ets.prio-tc: priority 3: True is no traffic class (0 to 7)"),
        ("ets = {prio-tc = '3:1 3:2'}", "ets.prio-tc: 3 is there twice"),
        ("ets = {tc-bw = '0:50 0x0:50'}", "ets.tc-bw: 0 is there twice"),
        ("app = {ethtype-prio = '0x8906:3 35078:4'}", "app.ethtype-prio: 35078 is there twice"),
        ("app = {dscp-prio = '46:5 ef:6'}", "app.dscp-prio: 46 is there twice"),
        ("app = {dscp-prio = {EF = 5, ef = 6}}", "app.dscp-prio: 46 is there twice"),
        ("ets = {prio-tc = '3'}", "ets.prio-tc: '3' is not like \"0:1 3:2\""),
        ("ets = {prio-tc = '3='}", "ets.prio-tc: '3=' is not like"),
        ("ets = {prio-tc = 3}", "ets.prio-tc: Expected `str | object | null`, got `int`"),
        ("ets = {prio_tc = '3:1'}", "ets.prio_tc: unknown key"),
        ("pfc = {prio-pfc = [3, 8]}", "pfc.prio-pfc: 8 is no priority (0 to 7)"),
        ("pfc = {prio-pfc = '3:yes'}", "pfc.prio-pfc: priority 3: 'yes' is neither on nor off"),
        ("pfc = {delay = 70000}", "pfc.delay: Expected `int` <= 65535"),
        ("app = {ethtype-prio = '0x5ff:3'}", "app.ethtype-prio: '0x5ff' is no EtherType (0x600 to 0xffff)"),
        ("app = {ethtype-prio = '0x8906:8'}", "app.ethtype-prio: 0x8906: '8' is no priority (0 to 7)"),
        ("app = {port-prio = '0:3'}", "app.port-prio: '0' is no port (1 to 65535)"),
        ("app = {dscp-prio = '64:3'}", "app.dscp-prio: '64' is no DSCP (0 to 63)"),
        ("app = {dscp-prio = 'AF51:3'}", "app.dscp-prio: 'AF51' is no DSCP (0 to 63)"),
        ("app = {default-prio = 8}", "app.default-prio: Expected `int` <= 7"),
        ("mode = 'write'", "mode: Invalid enum value 'write'"),
        ("dialect = 'ieee-dcbx'", "dialect: Invalid enum value"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, words: str) -> None:
    for where, prefix in (("[dcbx]", "dcbx."), ('[uplink."eth*".dcbx]', "uplink.eth*.dcbx")):
        with pytest.raises(ConfigError) as error:
            read(tmp_path, f"{where}\n{text}\n")
        assert prefix in str(error.value)
        assert words in str(error.value)
        assert str(error.value).startswith(f"{tmp_path / 'evbagent.toml'}: ")


def test_what_differs_on_an_uplink(tmp_path: Path) -> None:
    text = """
[dcbx]
mode = "apply"
ets = { tc-bw = "0:50 1:50", prio-tc = "3:1" }
[uplink."ens*".dcbx]
mode = "off"
ets = { tc-bw = "0:20 1:80", willing = false }
[uplink.eno1.dcbx]
pfc = { prio-pfc = [3] }
"""
    config = read(tmp_path, text)
    assert [config.for_uplink(name).dcbx.mode for name in ("eth0", "ens1", "eno1")] == ["apply", "off", "apply"]
    assert [config.for_uplink(name).dcbx.ets.willing for name in ("eth0", "ens1")] == [None, False]
    shares = [dcbx_wishes(config.for_uplink(name).dcbx).ets for name in ("eth0", "ens1", "eno1")]
    assert [one.tc_bw[:2] for one in shares if one] == [(50, 50), (20, 80), (50, 50)]
    assert all(one and one.prio_tc[3] == 1 for one in shares)
    assert dcbx_wishes(config.for_uplink("eno1").dcbx).pfc == 8


def test_parts_that_are_wrong_only_together(tmp_path: Path) -> None:
    text = "[dcbx.ets]\ntc-tsa = '0:ets 1:ets'\ntc-bw = '0:50 1:50'\n[uplink.eth0.dcbx.ets]\ntc-tsa = '0:ets'\n"
    with pytest.raises(ConfigError, match=r"uplink\.eth0\.dcbx\.ets\.tc-bw: traffic class 1 has 50 % but is not ets"):
        read(tmp_path, text)
