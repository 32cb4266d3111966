"""What is written to a NIC, and what is not."""

from dataclasses import replace

import pytest

from evbagent.dcbnl import Ets, Ieee, Pfc
from evbagent.dcbplan import Difference, Plan, Wanted, app_words, make_plan, settings_of, why_impossible
from protocols.dcbx.model import Application
from protocols.dcbx.settings import Tables

HALVES = Tables((0, 0, 0, 1, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (50, 50, 0, 0, 0, 0, 0, 0))
FCOE, ROCE, OLD = Application(3, 1, 0x8906), Application(3, 3, 4791), Application(4, 3, 4791)
NIC = Ieee(Ets(8), Pfc(8), ())
WANTED = Wanted(HALVES, None, True, 1 << 3, None, (FCOE, ROCE))


def having(nic: Ieee, plan: Plan) -> Ieee:
    """A NIC that does as it is told."""
    apps = tuple(app for app in nic.apps if app not in plan.delete) + plan.add
    return replace(nic, ets=plan.ets or nic.ets, pfc=plan.pfc or nic.pfc, apps=apps)


def test_all_of_it_and_then_nothing() -> None:
    plan = make_plan(NIC, WANTED)
    assert plan == Plan(
        Ets(
            traffic_classes=8,
            willing=True,
            tc_tx_bw=HALVES.tc_bw,
            tc_tsa=HALVES.tc_tsa,
            prio_tc=HALVES.prio_tc,
            tc_reco_bw=HALVES.tc_bw,
            tc_reco_tsa=HALVES.tc_tsa,
            reco_prio_tc=HALVES.prio_tc,
        ),
        Pfc(8, 1 << 3),
        (),
        (FCOE, ROCE),
        (
            Difference("prio-tc", "3:0", "3:1"),
            Difference("tc-tsa", "0:strict 1:strict", "0:ets 1:ets"),
            Difference("tc-bw", "0:0 1:0", "0:50 1:50"),
            Difference("prio-pfc", "3:off", "3:on"),
            Difference("ethtype-prio", "-", "0x8906:3"),
            Difference("dgram-port-prio", "-", "4791:3"),
        ),
    )
    assert not make_plan(having(NIC, plan), WANTED)
    assert [str(one) for one in plan.differences][:1] == ["prio-tc 3:0 -> 3:1"]


@pytest.mark.parametrize(
    "nic",
    [
        replace(NIC, ets=replace(Ets(8), tc_tx_bw=(0, 0, 0, 0, 0, 0, 0, 100))),
        replace(NIC, ets=replace(Ets(8), tc_rx_bw=(100, 0, 0, 0, 0, 0, 0, 0), willing=True)),
        replace(NIC, ets=replace(Ets(8), tc_reco_bw=(100, 0, 0, 0, 0, 0, 0, 0), credit_based_shaper=True)),
        replace(NIC, pfc=Pfc(8, 0, True, 700)),
    ],
    ids=["strict-share", "receiving", "recommendation", "delay"],
)
def test_what_is_no_reason_to_write(nic: Ieee) -> None:
    """Drivers keep, or invent, what has no effect; to write it again and again would reset the port each time."""
    assert not make_plan(nic, Wanted(Tables(), None, False, 0, None, ()))


def test_shares_without_a_meaning_are_not_written() -> None:
    absurd = Tables((0,) * 8, (2, 0, 0, 0, 0, 0, 0, 0), (100, 200, 200, 0, 0, 0, 0, 0))
    plan = make_plan(NIC, replace(WANTED, ets=absurd))
    assert plan.ets is not None
    assert plan.ets.tc_tx_bw == plan.ets.tc_reco_bw == (100, 0, 0, 0, 0, 0, 0, 0)


def test_what_is_not_ours_stays_as_it_is() -> None:
    nic = Ieee(replace(Ets(4), tc_rx_bw=(10,) * 8, credit_based_shaper=True), Pfc(4, 0, True, 700), (OLD,))
    plan = make_plan(nic, replace(WANTED, apps=None))
    assert plan.ets is not None and plan.pfc is not None
    assert (plan.ets.traffic_classes, plan.ets.tc_rx_bw, plan.ets.credit_based_shaper) == (4, (10,) * 8, True)
    assert plan.pfc == Pfc(4, 8, True, 700)
    assert (plan.add, plan.delete) == ((), ())
    assert make_plan(nic, Wanted()) == Plan()


def test_a_recommendation_of_its_own_is_written_along() -> None:
    recommended = Tables((1,) * 8, (2, 0, 0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0, 0, 0))
    plan = make_plan(NIC, replace(WANTED, recommended=recommended))
    assert plan.ets is not None
    assert (plan.ets.reco_prio_tc, plan.ets.tc_reco_bw) == ((1,) * 8, (100, 0, 0, 0, 0, 0, 0, 0))


def test_delay_is_set_when_it_is_asked_for() -> None:
    plan = make_plan(NIC, Wanted(pfc=0, delay=4096))
    assert plan.pfc == Pfc(8, 0, False, 4096)
    assert plan.differences == (Difference("delay", "0", "4096"),)


def test_another_priority_takes_the_place_of_the_old() -> None:
    plan = make_plan(replace(NIC, apps=(OLD, FCOE)), Wanted(apps=(ROCE, FCOE, ROCE)))
    assert (plan.delete, plan.add) == ((OLD,), (ROCE,))
    assert plan.differences == (
        Difference("dgram-port-prio", "4791:4", "-"),
        Difference("dgram-port-prio", "-", "4791:3"),
    )


def test_features_that_a_driver_does_not_have_are_left_alone() -> None:
    plan = make_plan(Ieee(None, Pfc(8), ()), WANTED)
    assert plan.ets is None and plan.pfc is not None
    assert not make_plan(Ieee(), replace(WANTED, apps=()))


def test_what_a_nic_cannot_have() -> None:
    small = Ieee(Ets(2), Pfc(1), ())
    assert why_impossible(small, WANTED) == ()
    three = replace(WANTED, ets=replace(HALVES, prio_tc=(0, 0, 0, 2, 0, 0, 0, 0)), pfc=0x18)
    assert why_impossible(small, three) == (
        "priority 3 is in traffic class 2, and there are 2",
        "PFC is asked for in 2 traffic classes, and 1 can have it",
    )
    assert why_impossible(small, replace(WANTED, pfc=0x17)) == (), "they share a class"
    assert why_impossible(small, Wanted(pfc=0xFF)) == (), "as they do now"
    share = replace(WANTED, ets=Tables((0,) * 8, (0, 0, 0, 2, 0, 0, 0, 0), (0, 0, 0, 100, 0, 0, 0, 0)))
    assert why_impossible(small, share) == ("traffic class 3 has a share, and there are 2",)
    assert why_impossible(Ieee(Ets(0), None, ()), WANTED) == (), "a driver that does not say how many"
    assert why_impossible(Ieee(), WANTED) == ()
    absurd = replace(WANTED, ets=replace(HALVES, tc_bw=(100, 100, 0, 0, 0, 0, 0, 0)))
    assert why_impossible(NIC, absurd) == ("the bandwidths of the ETS classes are 200 %, not 100",)


def test_back_to_what_was() -> None:
    before = Ieee(
        Ets(8, False, False, (100, 0, 0, 0, 0, 0, 0, 0), (0,) * 8, (2, 0, 0, 0, 0, 0, 0, 0), (0,) * 8),
        Pfc(8, 0x10, False, 99),
        (OLD,),
    )
    changed = having(before, make_plan(before, WANTED))
    assert changed != before
    back = having(changed, make_plan(changed, settings_of(before)))
    assert back == before
    assert settings_of(Ieee()) == Wanted(apps=())


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (Application(3, 1, 0x8906), "ethtype-prio 0x8906:3"),
        (Application(1, 1, 0), "default-prio 1"),
        (Application(4, 2, 3260), "stream-port-prio 3260:4"),
        (Application(3, 3, 4791), "dgram-port-prio 4791:3"),
        (Application(2, 4, 22), "port-prio 22:2"),
        (Application(3, 5, 26), "dscp-prio AF31:3"),
        (Application(3, 5, 0), "dscp-prio 0:3"),
        (Application(3, 5, 27), "dscp-prio 27:3"),
        (Application(3, 7, 9), "selector-7 9:3"),
    ],
)
def test_applications_in_words(app: Application, words: str) -> None:
    assert app_words(app) == words
