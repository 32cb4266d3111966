"""IEEE DCBX beside the tables of the sheet, and what a peer's settings may not do."""

from dataclasses import replace
from itertools import product

import pytest

from protocols.dcbx import ieee
from protocols.dcbx.ieee_machine import ETS_RULES, PFC_RULES, Use, keeps_own
from protocols.dcbx.model import (
    Application,
    ApplicationPriority,
    Eight,
    EtsConfiguration,
    EtsRecommendation,
    IeeeTlv,
    PfcConfiguration,
)
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import DcbxResult, DcbxSettings, State, Tables
from tests.support.dcbx import (
    FCOE,
    HIGH,
    LOW,
    OTHERS,
    ROCE,
    SHARED,
    End,
    assert_possible,
    converge,
    key,
    neighbor,
    willing,
)

OURS = DcbxSettings(ets=SHARED, recommended=SHARED, pfc=0b1000, apps=(FCOE,))
THEIRS = DcbxSettings(ets=OTHERS, recommended=OTHERS, pfc=0b0100, apps=(ROCE,))


def told(settings: DcbxSettings, *tlvs: IeeeTlv, mac: bytes = LOW, peer: bytes = HIGH) -> DcbxResult:
    """What a port with these settings comes to when it hears such a peer."""
    port = DcbxPort(settings, mac)
    port.heard(neighbor(peer, [(ieee.OUI, *ieee.encode(tlv)) for tlv in tlvs]))
    assert port.result is not None
    return port.result


def pfc(enable: int, willing: bool = False) -> PfcConfiguration:
    return PfcConfiguration(willing, False, 8, enable)


def recommendation(tables: Tables) -> EtsRecommendation:
    return EtsRecommendation(tables.prio_tc, tables.tc_bw, tables.tc_tsa)


def test_tables_are_complete() -> None:
    assert set(ETS_RULES) == set(product((False, True), repeat=2))
    assert set(PFC_RULES) == set(product((False, True), (None, False, True)))
    assert [rule for rule, (use, _) in ETS_RULES.items() if use is Use.REMOTE] == [(True, True)]
    assert {rule: use for rule, (use, _) in PFC_RULES.items() if use is not Use.LOCAL} == {
        (True, False): Use.REMOTE,
        (True, True): Use.TIE,
    }


def test_the_higher_address_keeps_its_own() -> None:
    assert keeps_own(HIGH, LOW) and not keeps_own(LOW, HIGH) and not keeps_own(LOW, LOW)


@pytest.mark.parametrize("mac", [LOW, HIGH])
@pytest.mark.parametrize("theirs", [None, False, True])
@pytest.mark.parametrize("ours", [False, True])
def test_pfc(ours: bool, theirs: bool | None, mac: bytes) -> None:
    """Sheet 2.2, each row, at either end of a tie."""
    peer = LOW if mac == HIGH else HIGH
    tlvs = [pfc(0b0100, theirs)] if theirs is not None else [recommendation(OTHERS)]
    result = told(replace(OURS, pfc_willing=ours), *tlvs, mac=mac, peer=peer)
    takes = ours and theirs is not None and (not theirs or mac == LOW)
    assert result.pfc.operational == (0b0100 if takes else 0b1000)
    assert (result.pfc.willing, result.pfc.remote_willing) == (ours, theirs)
    assert result.pfc.reason and not result.pfc.error and not result.warnings


@pytest.mark.parametrize("recommended", [False, True])
@pytest.mark.parametrize("ours", [False, True])
def test_ets(ours: bool, recommended: bool) -> None:
    """Sheet 2.1: neither the peer's configuration nor its willing bit plays a part."""
    tlvs: list[IeeeTlv] = [EtsConfiguration(True, False, 8, OTHERS.prio_tc, OTHERS.tc_bw, OTHERS.tc_tsa)]
    tlvs += [recommendation(OTHERS)] if recommended else []
    result = told(replace(OURS, ets_willing=ours), *tlvs)
    assert result.ets.operational == (OTHERS if ours and recommended else SHARED)
    assert result.ets.remote == (OTHERS if recommended else None)


def test_applications() -> None:
    """Own entries stay, whatever priority the peer has for them; others come with the peer and go with it."""
    port = DcbxPort(willing(OURS), LOW)
    table = ApplicationPriority((Application(7, 1, 0x8906), ROCE))
    port.heard(neighbor(HIGH, [(ieee.OUI, *ieee.encode(table))]))
    assert port.result is not None and port.result.app.operational == (FCOE, ROCE)
    port.lost(key(HIGH))
    assert port.result.app.operational == (FCOE,) and port.result.state is State.ALONE


@pytest.mark.parametrize(("one", "other"), list(product((False, True), repeat=2)))
def test_two_ends(one: bool, other: bool) -> None:
    """Each combination of willing: done after a few LLDPDUs; where anybody is willing they agree on PFC."""
    low, high = End(LOW, willing(OURS, one)), End(HIGH, willing(THEIRS, other))
    assert converge(low, high) <= 6
    low_result, high_result = low.port.result, high.port.result
    assert low_result is not None and high_result is not None
    assert low_result.ets.operational == (OTHERS if one else SHARED)
    assert high_result.ets.operational == (SHARED if other else OTHERS)
    agreed = {(True, True): 0b0100, (True, False): 0b0100, (False, True): 0b1000}.get((one, other))
    if agreed is not None:
        assert low_result.pfc.operational == high_result.pfc.operational == agreed
    else:
        assert (low_result.pfc.operational, high_result.pfc.operational) == (0b1000, 0b0100)
        assert "differ" in low_result.pfc.reason


def test_what_is_sent_is_what_is_in_operation() -> None:
    """But for the recommendation, and applications that the peer has named (sheet 2)."""
    low, high = End(LOW, willing(OURS)), End(HIGH, THEIRS)
    converge(low, high)
    sent = [ieee.decode(subtype, body) for _, subtype, body in low.port.tlvs]
    assert sent == [
        EtsConfiguration(True, False, 8, OTHERS.prio_tc, OTHERS.tc_bw, OTHERS.tc_tsa),
        recommendation(SHARED),
        PfcConfiguration(True, False, 8, 0b0100),
        ApplicationPriority((FCOE,)),
    ]


def test_an_application_is_taken_back() -> None:
    """Also when both take over what the other names: neither gives it back to its owner for the owner's own."""
    low, high = End(LOW, willing(OURS)), End(HIGH, willing(THEIRS))
    converge(low, high)
    low.port.configure(replace(willing(OURS), apps=()), LOW)
    converge(low, high)
    for end in (low, high):
        assert end.port.result is not None and end.port.result.app.operational == (ROCE,)


TWO: Eight = (0, 1, 0, 0, 0, 0, 0, 0)
SINGLE = Tables()


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        (Tables((9, 0, 0, 0, 0, 0, 0, 0), OTHERS.tc_tsa, OTHERS.tc_bw), "traffic class 9"),
        (Tables((3, 0, 0, 0, 0, 0, 0, 0), OTHERS.tc_tsa, OTHERS.tc_bw), "traffic class 3, and there are 3"),
        (Tables(TWO, (2, 2, 0, 0, 0, 0, 0, 0), (100, 100, 0, 0, 0, 0, 0, 0)), "200 %"),
        (Tables(TWO, (2, 2, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0)), "0 %"),
        (Tables(TWO, (2, 2, 0, 0, 0, 0, 0, 0), (200, 0, 0, 0, 0, 0, 0, 0)), "200 %"),
        (Tables(TWO, (0, 0, 0, 0, 0, 0, 0, 0), (0, 200, 0, 0, 0, 0, 0, 0)), "200 %"),
        (Tables(TWO, (0, 1, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0)), "transmission selection 1"),
        (Tables(TWO, (0, 255, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0)), "transmission selection 255"),
        (Tables((0, 0, 0, 1, 2, 0, 0, 0), (0,) * 8, (0,) * 8), "PFC is asked for in 2 traffic classes, and 1"),
        (Tables(TWO, (2, 3, 0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0, 0, 0)), "transmission selection 3"),
        (Tables(TWO, (2, 0, 0, 0, 2, 0, 0, 0), (50, 0, 0, 0, 50, 0, 0, 0)), "traffic class 4 has a share"),
    ],
)
def test_tables_that_cannot_be(tables: Tables, word: str) -> None:
    settings = willing(replace(OURS, classes=3, pfc=0b11000, capability=1, ets=SINGLE))
    result = told(settings, recommendation(tables))
    assert result.ets.operational == SINGLE and result.ets.error and word in result.ets.reason
    assert any(word in warning for warning in result.warnings)


def test_a_share_without_ets_means_nothing() -> None:
    given = Tables(TWO, (0, 2, 1, 0, 0, 0, 0, 0), (40, 100, 20, 0, 0, 0, 0, 0))
    result = told(willing(replace(OURS, credit_based_shaper=True)), recommendation(given))
    assert result.ets.operational == replace(given, tc_bw=(0, 100, 0, 0, 0, 0, 0, 0)) and not result.warnings
    assert result.ets.remote == given


def test_what_the_peer_does_itself_is_its_own() -> None:
    """It may have algorithms of its vendor; absurdities are named, though nothing follows from them."""
    vendors = EtsConfiguration(False, False, 8, TWO, (0,) * 8, (255,) * 8)
    assert not told(willing(OURS), vendors).warnings
    assert "transmission selection 9" in told(willing(OURS), replace(vendors, selection=(9,) * 8)).warnings[0]


def test_absurdities_are_named_also_where_nobody_would_follow() -> None:
    """What this NIC alone cannot have is no absurdity."""
    absurd = recommendation(replace(OTHERS, tc_bw=(200, 0, 0, 0, 0, 0, 0, 0)))
    assert "200 %" in told(replace(OURS, ets_willing=False), absurd).warnings[0]
    assert not told(replace(OURS, ets_willing=False, classes=1), recommendation(OTHERS)).warnings
    assert len(told(willing(OURS), absurd).warnings) == 1


def test_more_lossless_classes_than_there_can_be() -> None:
    spread = Tables((0, 1, 2, 3, 4, 5, 6, 7))
    result = told(replace(willing(OURS), ets=spread, capability=2), pfc(0b111))
    assert (result.pfc.operational, result.pfc.error) == (0b1000, True)
    assert any("3 traffic classes, and 2" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("applications", "word"),
    [
        ([Application(1, 1, 0x9000 + number) for number in range(168)], "168 applications"),
        ([Application(1, 0, 1)], "reserved selector"),
        ([Application(1, 6, 1)], "reserved selector"),
        ([Application(1, 1, 1500)], "no EtherType"),
        ([Application(1, 5, 64)], "no DSCP"),
        ([Application(1, 3, 4791), Application(2, 3, 4791)], "priorities 1, 2"),
    ],
)
def test_applications_that_cannot_be(applications: list[Application], word: str) -> None:
    """Named, and nobody's; a sound one beside them is taken unless there are too many."""
    sound = Application(4, 1, 0x8915)
    result = told(willing(OURS), ApplicationPriority((*applications, sound)[:168]))
    assert result.app.operational == ((FCOE,) if len(applications) > 100 else (FCOE, sound))
    assert any(word in warning for warning in result.warnings) and result.app.error


def test_a_tlv_that_comes_twice_counts_once() -> None:
    result = told(willing(OURS), pfc(1), pfc(2))
    assert result.pfc.operational == 1 and any("twice" in warning for warning in result.warnings)


def test_every_truncation_and_every_change_of_every_octet() -> None:
    """Nothing that cannot be is ever in operation, and what counts for nothing is named."""
    tables = (recommendation(OTHERS), pfc(0b0100), ApplicationPriority((ROCE, Application(1, 5, 46))))
    sound = [(ieee.OUI, *ieee.encode(tlv)) for tlv in tables]
    settings = willing(replace(OURS, classes=3, capability=2))
    port = DcbxPort(settings, LOW)
    for place, (oui, subtype, body) in enumerate(sound):
        changes = [body[:length] for length in range(len(body))]
        changes += [body[:at] + bytes([octet]) + body[at + 1 :] for at in range(len(body)) for octet in range(256)]
        for changed in changes:
            port.heard(neighbor(HIGH, [*sound[:place], (oui, subtype, changed), *sound[place + 1 :]]))
            result = port.result
            assert result is not None
            assert_possible(result, settings)
            if result.ets.error or result.pfc.error or result.app.error:
                assert result.warnings
