"""What a switch answers: which rule, which capacity, which VIDs; and that it all comes back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.policy import BridgePolicy, Decision
from protocols.vdp.rules import IndexedRule, PolicyRules, Rule
from protocols.vdp.vsi import Mode, Response, VsiId, VsiIdFormat, VsiTlv

PORT, OTHER_PORT = "swp1", "swp2"
MANAGER = bytes(15) + b"\1"
OTHER_MANAGER = bytes(15) + b"\2"


def vsi(number: int) -> VsiId:
    return VsiId(VsiIdFormat.UUID, number.to_bytes(16, "big"))


def mac(number: int) -> bytes:
    return bytes([2, 0, 0, 0, number >> 8, number & 0xFF])


def macs(*vids: int, pcp: int | None = None) -> Filters:
    return Filters(
        FilterFormat.MAC_VID, tuple(FilterEntry(vid, pcp, mac(number), None) for number, vid in enumerate(vids))
    )


def plain(*vids: int) -> Filters:
    return Filters(FilterFormat.VID, tuple(FilterEntry(vid, None, None, None) for vid in vids))


def groups(*pairs: tuple[int, int]) -> Filters:
    return Filters(FilterFormat.GROUP_VID, tuple(FilterEntry(vid, None, None, group) for vid, group in pairs))


def tlv(
    number: int = 1,
    filters: Filters | None = None,
    mode: Mode = Mode.ASSOCIATE,
    type_id: int = 1,
    version: int = 1,
    manager: bytes = MANAGER,
) -> VsiTlv:
    return VsiTlv(mode, vsi(number), manager, type_id, version, macs(100) if filters is None else filters)


def vids(decision: Decision) -> tuple[int, ...]:
    assert decision.response is Response.SUCCESS, decision.reason
    return tuple(entry.vid for entry in decision.filters.entries)


def types(*numbers: int) -> tuple[tuple[int, int], ...]:
    return tuple((number, number) for number in numbers)


class TestRules:
    def test_without_rules_everything_is_granted_as_asked(self) -> None:
        asked = tlv(filters=macs(100, 200, pcp=3))
        assert BridgePolicy().decide(PORT, asked) == Decision(
            Response.SUCCESS, asked.filters, reason="default: success"
        )

    @pytest.mark.parametrize(
        ("rule", "fits"),
        [
            (Rule(), True),
            (Rule(managers=frozenset({MANAGER, OTHER_MANAGER})), True),
            (Rule(managers=frozenset({OTHER_MANAGER})), False),
            (Rule(type_ids=((1, 1),)), True),
            (Rule(type_ids=((5, 9), (1, 2))), True),
            (Rule(type_ids=((2, 9),)), False),
            (Rule(type_ids=((0, 0xFFFFFF),)), True),
            (Rule(versions=((1, 1),)), True),
            (Rule(versions=((2, 255),)), False),
            (Rule(instances=frozenset({vsi(1), vsi(2)})), True),
            (Rule(instances=frozenset({vsi(2)})), False),
            (Rule(instances=frozenset({vsi(1)}), type_ids=((2, 2),)), False),
            (Rule(managers=frozenset({MANAGER}), type_ids=((1, 1),), versions=((1, 1),)), True),
            (Rule(managers=frozenset({MANAGER}), type_ids=((1, 1),), versions=((2, 2),)), False),
            (Rule(managers=frozenset()), False),
        ],
    )
    def test_a_rule_is_for_what_fits_all_of_it(self, rule: Rule, fits: bool) -> None:
        policy = BridgePolicy(PolicyRules((rule,)))
        assert policy.decide(PORT, tlv()).reason == ("rule[0]: success" if fits else "default: success")

    @settings(deadline=None)
    @given(
        st.lists(
            st.builds(
                Rule,
                managers=st.none() | st.frozensets(st.sampled_from((MANAGER, OTHER_MANAGER))),
                type_ids=st.none() | st.sampled_from((((1, 1),), ((2, 3),), ((0, 0xFFFFFF),), ((3, 3), (1, 2)))),
                versions=st.none() | st.sampled_from((((1, 1),), ((1, 9),))),
                instances=st.none() | st.frozensets(st.integers(1, 3).map(vsi)),
            ),
            max_size=8,
        ),
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 2),
        st.sampled_from((MANAGER, OTHER_MANAGER)),
    )
    def test_the_first_that_fits_is_found(
        self, rules: list[Rule], number: int, type_id: int, version: int, manager: bytes
    ) -> None:
        def fits(rule: Rule) -> bool:
            return (
                (rule.managers is None or manager in rule.managers)
                and (rule.type_ids is None or any(first <= type_id <= last for first, last in rule.type_ids))
                and (rule.versions is None or any(first <= version <= last for first, last in rule.versions))
                and (rule.instances is None or vsi(number) in rule.instances)
            )

        first = next((f"rule[{place}]" for place, rule in enumerate(rules) if fits(rule)), "default")
        decision = BridgePolicy(PolicyRules(tuple(rules))).decide(
            PORT, tlv(number, type_id=type_id, version=version, manager=manager)
        )
        assert decision.reason == f"{first}: success"

    def test_the_rules_of_other_vsis_and_types_are_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rules = [Rule(instances=frozenset({vsi(number)})) for number in range(1000)]
        rules += [Rule(type_ids=types(type_id)) for type_id in range(1000)]
        policy = BridgePolicy(PolicyRules(tuple(rules)))
        looked: list[str] = []
        fits = IndexedRule.fits
        monkeypatch.setattr(IndexedRule, "fits", lambda rule, *about: looked.append(rule.name) or fits(rule, *about))
        policy.decide(PORT, tlv(7, type_id=8))
        assert looked == ["rule[7]"]
        policy.decide(PORT, tlv(5000, type_id=8))
        assert looked == ["rule[7]", "rule[1008]"]

    def test_a_rules_refusal_and_its_bits(self) -> None:
        rule = Rule(response=Response.MANAGER_UNREACHABLE, hard=True, keep=True, delay=5)
        decision = BridgePolicy(PolicyRules(default=rule)).decide(PORT, tlv())
        assert decision == Decision(
            Response.MANAGER_UNREACHABLE,
            macs(100),
            hard=True,
            keep=True,
            delay=5,
            reason="default: unable-to-contact-vsi-manager",
        )

    def test_hard_and_keep_are_not_said_in_a_grant(self) -> None:
        decision = BridgePolicy(PolicyRules(default=Rule(hard=True, keep=True, delay=5))).decide(PORT, tlv())
        assert (decision.response, decision.hard, decision.keep, decision.delay) == (Response.SUCCESS, False, False, 5)

    def test_who_is_silent_holds_nothing(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(silent=True)))
        assert all(policy.decide(PORT, tlv(mode=mode)).silent for mode in Mode)
        assert not list(policy.holdings())


class TestForm:
    @pytest.mark.parametrize(
        ("filters", "response"),
        [
            (Filters(5, (), 1, b"\1\2"), Response.INVALID_FORMAT),
            (Filters(0, (), 1, b"\1\2"), Response.INVALID_FORMAT),
            (plain(4095), Response.INVALID_ADDRESS),
            (plain(0, 0), Response.INVALID_ADDRESS),
            (plain(7, 7), Response.INVALID_ADDRESS),
            (groups((7, 0)), Response.INVALID_ADDRESS),
            (Filters(FilterFormat.MAC_VID, (FilterEntry(7, None, bytes(6), None),)), Response.INVALID_ADDRESS),
            (Filters(FilterFormat.MAC_VID, (FilterEntry(7, None, b"\1" * 6, None),)), Response.INVALID_ADDRESS),
        ],
    )
    def test_what_no_rule_can_grant(self, filters: Filters, response: Response) -> None:
        policy = BridgePolicy()
        policy.decide(PORT, tlv())
        decision = policy.decide(PORT, tlv(filters=filters))
        assert (decision.response, decision.filters, decision.hard) == (response, filters, False)
        assert decision.reason
        assert not list(policy.holdings()), "the VSI has ended"

    def test_a_vsi_id_of_unknown_format(self) -> None:
        asked = VsiTlv(Mode.ASSOCIATE, VsiId(9, bytes(16)), MANAGER, 1, 1, macs(100))
        decision = BridgePolicy().decide(PORT, asked)
        assert (decision.response, decision.reason) == (Response.INVALID_FORMAT, "VSI ID format 9 is unknown")

    @pytest.mark.parametrize("filters", [macs(100), plain(4095), Filters(9, (), 1, b"\1")])
    def test_deassociate_is_always_granted(self, filters: Filters) -> None:
        """Also for a VSI that there is not (interop-notes V5), and as it was asked: lldpad compares (V8)."""
        policy = BridgePolicy(PolicyRules(default=Rule(response=Response.OTHER_FAILURE, pcp=3)))
        decision = policy.decide(PORT, tlv(filters=filters, mode=Mode.DEASSOCIATE))
        assert (decision.response, decision.filters) == (Response.SUCCESS, filters)


class TestCapacity:
    def test_what_reserves_and_what_does_not(self) -> None:
        policy = BridgePolicy(PolicyRules(capacity=1))
        for mode, reserved in (
            (Mode.PREASSOCIATE, 0),
            (Mode.PREASSOCIATE_RR, 1),
            (Mode.PREASSOCIATE_RR, 1),
            (Mode.ASSOCIATE, 1),
            (Mode.PREASSOCIATE, 0),
            (Mode.ASSOCIATE, 1),
            (Mode.DEASSOCIATE, 0),
        ):
            assert policy.decide(PORT, tlv(mode=mode)).response is Response.SUCCESS
            assert policy.reserved == reserved

    @pytest.mark.parametrize(
        ("rules", "reason"),
        [
            (PolicyRules(capacity=2), "default: the switch's capacity of 2 VSIs is in use"),
            (PolicyRules(default=Rule(capacity=2)), "default: its capacity of 2 VSIs is in use"),
            (PolicyRules((Rule(capacity=2),)), "rule[0]: its capacity of 2 VSIs is in use"),
        ],
    )
    def test_as_many_as_there_is_capacity_for(self, rules: PolicyRules, reason: str) -> None:
        policy = BridgePolicy(rules)
        assert policy.decide(PORT, tlv(1)).response is Response.SUCCESS
        assert policy.decide(OTHER_PORT, tlv(1)).response is Response.SUCCESS, "the same VSI, migrating"
        refused = policy.decide(PORT, tlv(2))
        assert (refused.response, refused.reason) == (Response.INSUFFICIENT_RESOURCES, reason)
        assert policy.decide(PORT, tlv(2, mode=Mode.PREASSOCIATE)).response is Response.SUCCESS
        assert policy.decide(PORT, tlv(1)).response is Response.SUCCESS, "a keep-alive is no second one"
        policy.release(OTHER_PORT, vsi(1))
        policy.release(OTHER_PORT, vsi(1))
        assert policy.decide(PORT, tlv(2)).response is Response.SUCCESS
        assert policy.decide(PORT, tlv(3)).response is Response.INSUFFICIENT_RESOURCES

    def test_the_answer_for_want_of_capacity_can_be_another(self) -> None:
        policy = BridgePolicy(PolicyRules(capacity=0, exhausted=Response.OTHER_FAILURE))
        assert policy.decide(PORT, tlv()).response is Response.OTHER_FAILURE

    def test_a_vsi_of_another_type_counts_where_it_is_now(self) -> None:
        policy = BridgePolicy(PolicyRules(tuple(Rule(type_ids=types(number), capacity=1) for number in (1, 2))))
        assert policy.decide(PORT, tlv(1, type_id=1)).response is Response.SUCCESS
        assert policy.decide(PORT, tlv(1, type_id=2)).response is Response.SUCCESS
        assert policy.decide(PORT, tlv(2, type_id=2)).response is Response.INSUFFICIENT_RESOURCES
        assert policy.decide(PORT, tlv(2, type_id=1)).response is Response.SUCCESS

    def test_a_refusal_ends_the_vsi(self) -> None:
        policy = BridgePolicy()
        policy.decide(PORT, tlv())
        policy.replace(PolicyRules(default=Rule(response=Response.OTHER_FAILURE)))
        policy.decide(PORT, tlv())
        assert (policy.reserved, list(policy.holdings())) == (0, [])

    def test_keep_keeps_what_was_before(self) -> None:
        policy = BridgePolicy()
        policy.decide(PORT, tlv())
        policy.replace(PolicyRules(default=Rule(response=Response.OTHER_FAILURE, keep=True)))
        policy.decide(PORT, tlv())
        assert [(held.vsi_id, held.vids, held.reserved) for held in policy.holdings()] == [(vsi(1), (100,), True)]

    def test_other_rules_keep_the_holdings_and_count_them(self) -> None:
        policy = BridgePolicy()
        for number in (1, 2, 3):
            policy.decide(PORT, tlv(number, type_id=number))
        policy.replace(PolicyRules((Rule(type_ids=types(1, 2), capacity=1),), capacity=3))
        assert [held.rule for held in policy.holdings()] == ["rule[0]", "rule[0]", "default"]
        assert policy.decide(PORT, tlv(2, type_id=2)).response is Response.SUCCESS, "more than capacity, but its own"
        assert policy.decide(PORT, tlv(4, type_id=4)).response is Response.INSUFFICIENT_RESOURCES
        for number in (1, 2):
            policy.release(PORT, vsi(number))
        assert policy.decide(PORT, tlv(4, type_id=1)).response is Response.SUCCESS
        assert policy.decide(PORT, tlv(5, type_id=1)).response is Response.INSUFFICIENT_RESOURCES


class TestVids:
    def test_explicit_ones_that_are_not_allowed(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(vids=((100, 199), (300, 300)))))
        assert vids(policy.decide(PORT, tlv(filters=macs(100, 199, 300)))) == (100, 199, 300)
        refused = policy.decide(PORT, tlv(filters=macs(100, 200)))
        assert (refused.response, refused.reason) == (
            Response.INVALID_ADDRESS,
            "default: VID 200 is not among its VIDs",
        )
        assert refused.filters == macs(100, 200)

    def test_a_profile_has_one_vlan(self) -> None:
        policy = BridgePolicy()
        null = macs(0)
        assert vids(policy.decide(PORT, tlv(1, null, type_id=1))) == (2,)
        assert vids(policy.decide(OTHER_PORT, tlv(2, null, type_id=1))) == (2,)
        assert vids(policy.decide(PORT, tlv(3, null, type_id=2))) == (3,)
        assert vids(policy.decide(PORT, tlv(4, null, version=2))) == (4,)
        assert vids(policy.decide(PORT, tlv(5, null, manager=OTHER_MANAGER))) == (5,)

    def test_a_group_has_one_vlan_whatever_the_profile(self) -> None:
        policy = BridgePolicy()
        assert vids(policy.decide(PORT, tlv(1, groups((0, 7), (0, 8), (0, 7 + 2**24))))) == (2, 3, 4)
        assert vids(policy.decide(PORT, tlv(2, groups((0, 8)), type_id=2))) == (3,)
        assert vids(policy.decide(PORT, tlv(3, macs(0)))) == (5,)

    def test_several_null_vids_of_one_vsi_are_one_vlan(self) -> None:
        assert vids(BridgePolicy().decide(PORT, tlv(filters=macs(0, 50, 0)))) == (2, 50, 2)

    @pytest.mark.parametrize("filters", [plain(2, 0), plain(0, 2)])
    def test_a_vid_is_not_assigned_beside_itself(self, filters: Filters) -> None:
        """Else the station's next keep-alive would have the same entry twice, which is invalid."""
        policy = BridgePolicy()
        assert set(vids(policy.decide(PORT, tlv(1, filters)))) == {2, 3}
        assert set(vids(policy.decide(PORT, tlv(1, filters)))) == {2, 3}, "and the same again"
        policy = BridgePolicy()
        assert vids(policy.decide(PORT, tlv(2, macs(0)))) == (2,)
        assert set(vids(policy.decide(PORT, tlv(1, filters)))) == {2, 3}, "though the profile has VID 2"

    @pytest.mark.parametrize("mode", [Mode.PREASSOCIATE, Mode.PREASSOCIATE_RR, Mode.ASSOCIATE])
    def test_a_vsi_keeps_its_vid(self, mode: Mode) -> None:
        """However its keep-alive says it (interop-notes S4: also as null), and whoever comes and goes meanwhile."""
        policy = BridgePolicy()
        policy.decide(PORT, tlv(1, macs(0), type_id=1))
        assert vids(policy.decide(PORT, tlv(2, macs(0), mode, type_id=2))) == (3,)
        policy.release(PORT, vsi(1))
        for filters in (macs(3), macs(0), macs(3), macs(0)):
            assert vids(policy.decide(PORT, tlv(2, filters, mode, type_id=2))) == (3,)
            assert vids(policy.decide(PORT, tlv(3, macs(0), type_id=2))) == (3,)
        assert vids(policy.decide(PORT, tlv(2, macs(0), Mode.ASSOCIATE, type_id=2))) == (3,)

    def test_a_vid_that_was_told_is_held_before_the_association(self) -> None:
        policy = BridgePolicy()
        assert vids(policy.decide(PORT, tlv(1, macs(0), Mode.PREASSOCIATE, type_id=1))) == (2,)
        assert vids(policy.decide(PORT, tlv(2, macs(0), type_id=2))) == (3,)
        assert vids(policy.decide(PORT, tlv(1, macs(2), Mode.ASSOCIATE, type_id=1))) == (2,)

    def test_the_first_free_one_in_the_order_of_the_ranges(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(assign=((300, 300), (10, 11)))))
        assert [vids(policy.decide(PORT, tlv(n, macs(0), type_id=n))) for n in (1, 2, 3)] == [(300,), (10,), (11,)]
        refused = policy.decide(PORT, tlv(4, macs(0), type_id=4))
        assert (refused.response, refused.reason) == (
            Response.INSUFFICIENT_RESOURCES,
            "default: no VID is left to assign",
        )
        assert vids(policy.decide(PORT, tlv(5, macs(0), type_id=2))) == (10,), "a profile that has one needs none"
        policy.release(PORT, vsi(2))
        assert policy.decide(PORT, tlv(4, macs(0), type_id=4)).response is Response.INSUFFICIENT_RESOURCES
        policy.release(PORT, vsi(5))
        assert vids(policy.decide(PORT, tlv(4, macs(0), type_id=4))) == (10,)

    def test_an_assignment_that_fails_halfway_takes_nothing(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(assign=((10, 11),))))
        refused = policy.decide(PORT, tlv(1, groups((0, 1), (0, 2), (0, 3))))
        assert refused.response is Response.INSUFFICIENT_RESOURCES
        assert vids(policy.decide(PORT, tlv(2, groups((0, 4), (0, 5))))) == (10, 11)

    def test_a_vsi_may_take_its_last_vid_along_to_another_type(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(assign=((10, 10),))))
        assert vids(policy.decide(PORT, tlv(1, macs(0), type_id=1))) == (10,)
        assert vids(policy.decide(PORT, tlv(1, macs(0), type_id=2))) == (10,)
        assert vids(policy.decide(PORT, tlv(2, macs(0), type_id=2))) == (10,)
        assert policy.decide(PORT, tlv(2, macs(0), type_id=1)).response is Response.INSUFFICIENT_RESOURCES

    def test_explicit_vids_are_not_given_to_others(self) -> None:
        policy = BridgePolicy()
        policy.decide(PORT, tlv(1, plain(2, 3, 5), type_id=1))
        assert vids(policy.decide(PORT, tlv(2, macs(0), type_id=2))) == (4,)
        assert vids(policy.decide(PORT, tlv(3, macs(0), type_id=3))) == (6,)

    def test_a_switch_that_forgot_learns_its_vlans_from_the_stations(self) -> None:
        policy = BridgePolicy()
        policy.decide(PORT, tlv(1, macs(700), type_id=1))
        policy.decide(PORT, tlv(2, groups((800, 7)), type_id=2))
        assert vids(policy.decide(PORT, tlv(3, macs(0), type_id=1))) == (700,)
        assert vids(policy.decide(PORT, tlv(4, groups((0, 7)), type_id=9))) == (800,)

    def test_a_vlan_outside_the_assignable_ones_is_nobodys(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(assign=((10, 19),))))
        policy.decide(PORT, tlv(1, macs(700)))
        assert vids(policy.decide(PORT, tlv(2, macs(0)))) == (10,)

    @pytest.mark.parametrize(
        ("rules", "vid"),
        [
            (PolicyRules((Rule(assign=((10, 19),), vids=((20, 29),)),)), 10),
            (PolicyRules((Rule(vids=((20, 29),)),), Rule(assign=((30, 39),))), 20),
            (PolicyRules((Rule(),), Rule(assign=((30, 39),))), 30),
            (PolicyRules((Rule(),), Rule(vids=((40, 49),))), 40),
            (PolicyRules((Rule(),)), 2),
        ],
    )
    def test_where_a_vid_to_assign_comes_from(self, rules: PolicyRules, vid: int) -> None:
        policy = BridgePolicy(rules)
        assert vids(policy.decide(PORT, tlv(filters=macs(0)))) == (vid,)
        assert vids(policy.decide(PORT, tlv(filters=macs(vid)))) == (vid,), "and may then be asked for"

    def test_a_vid_that_was_given_stays_allowed(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(vids=((100, 199),))))
        policy.decide(PORT, tlv(1, macs(0)))
        policy.decide(PORT, tlv(2, macs(150)))
        policy.replace(PolicyRules(default=Rule(vids=((200, 299),))))
        assert vids(policy.decide(PORT, tlv(1, macs(100)))) == (100,)
        assert vids(policy.decide(PORT, tlv(1, macs(100)))) == (100,)
        assert policy.decide(PORT, tlv(2, macs(150))).response is Response.INVALID_ADDRESS
        assert vids(policy.decide(PORT, tlv(3, macs(0)))) == (100,), "the profile still has it"

    def test_the_priority_of_who_asks_for_none(self) -> None:
        policy = BridgePolicy(PolicyRules(default=Rule(pcp=5)))
        entries = (FilterEntry(0, None, mac(1), None), FilterEntry(7, 0, mac(2), None))
        answer = policy.decide(PORT, tlv(filters=Filters(FilterFormat.MAC_VID, entries)))
        assert answer.filters.entries == (FilterEntry(2, 5, mac(1), None), FilterEntry(7, 0, mac(2), None))


operations = st.lists(
    st.tuples(
        st.sampled_from((*Mode, "release")),
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from((PORT, OTHER_PORT)),
        st.one_of(
            st.lists(st.sampled_from((0, 10, 11, 12, 40)), min_size=1, max_size=3).map(lambda v: macs(*v)),
            st.lists(
                st.tuples(st.sampled_from((0, 10, 40)), st.integers(1, 3)),
                min_size=1,
                max_size=3,
                unique_by=lambda pair: pair[1],
            ).map(lambda pairs: groups(*pairs)),
        ),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(operations, st.none() | st.integers(0, 5))
def test_any_sequence_of_requests(steps: list[tuple], capacity: int | None) -> None:
    """What is reserved is what was granted; who asks again is told the same; and in the end nothing is left over."""
    rules = PolicyRules((Rule(type_ids=types(1), capacity=2),), Rule(assign=((10, 12),)), capacity)
    policy = BridgePolicy(rules)
    reserving: set[tuple[str, int]] = set()
    for what, number, type_id, port, filters in steps:
        if what == "release":
            policy.release(port, vsi(number))
            reserving.discard((port, number))
            continue
        asked = tlv(number, filters, what, type_id)
        decision = policy.decide(port, asked)
        reserving.discard((port, number))
        if decision.response is Response.SUCCESS and what is not Mode.DEASSOCIATE:
            assert 0 not in vids(decision)
            if what is not Mode.PREASSOCIATE:
                reserving.add((port, number))
            for again in (asked, tlv(number, decision.filters, what, type_id)):
                assert policy.decide(port, again) == decision
        assert policy.reserved == len(reserving) == sum(held.reserved for held in policy.holdings())
        assert capacity is None or policy.reserved <= capacity
    for held in list(policy.holdings()):
        policy.release(held.port, held.vsi_id)
    fresh = [tlv(number, groups((0, number)), type_id=2, mode=Mode.PREASSOCIATE) for number in (1, 2, 3)]
    assert [vids(policy.decide(PORT, asked)) for asked in fresh] == [(10,), (11,), (12,)]
