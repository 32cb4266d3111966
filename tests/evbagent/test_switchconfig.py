"""The `[switch]` table: each key becomes what the policy goes by, and each slip is named."""

import tomllib

import pytest
from msgspec import ValidationError, convert

from evbagent.config import Config
from evbagent.switchconfig import switch_rules
from evbagent.tables import in_words
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.vsi import Response, parse_manager, parse_vsi_id

UUIDS = ("a1412857-60f7-4ce1-e95a-216494353f53", "00000000-0000-0000-0000-000000000001")


def rules(text: str) -> PolicyRules:
    try:
        return switch_rules(convert(tomllib.loads(text), Config).switch)
    except ValidationError as error:
        raise ValueError(in_words(str(error))) from error


def test_nothing_is_the_policys_default() -> None:
    assert rules("") == PolicyRules()


def test_every_key() -> None:
    made = rules(f"""
    [switch]
    capacity = 4000
    exhausted = "other-failure"
    [switch.default]
    answer = "unable-to-contact-vsi-manager"
    hard = true
    [[switch.rule]]
    manager = ["192.0.2.7", "fabric"]
    type = ["100-199", 0x123456, " 0x10 - 0x1f "]
    type-version = 7
    instance = ["{UUIDS[0]}", "{UUIDS[1]}"]
    keep = true
    vids = ["100-199", 300]
    assign = "150-160"
    pcp = 5
    capacity = 10
    delay = 0.25
    silent = true
    [[switch.rule]]
    manager = "blabla"
    instance = "{UUIDS[0]}"
    answer = "vtid-violation"
    """)
    assert made == PolicyRules(
        rules=(
            Rule(
                managers=frozenset({parse_manager("192.0.2.7"), parse_manager("fabric")}),
                type_ids=((100, 199), (0x123456, 0x123456), (16, 31)),
                versions=((7, 7),),
                instances=frozenset(map(parse_vsi_id, UUIDS)),
                keep=True,
                vids=((100, 199), (300, 300)),
                assign=((150, 160),),
                pcp=5,
                capacity=10,
                delay=250_000,
                silent=True,
            ),
            Rule(
                managers=frozenset({parse_manager("blabla")}),
                instances=frozenset({parse_vsi_id(UUIDS[0])}),
                response=Response.VTID_VIOLATION,
            ),
        ),
        default=Rule(response=Response.MANAGER_UNREACHABLE, hard=True),
        capacity=4000,
        exhausted=Response.OTHER_FAILURE,
    )


@pytest.mark.parametrize("answer", list(Response))
def test_every_answer_has_its_word(answer: Response) -> None:
    assert rules(f"[switch.default]\nanswer = '{answer}'").default.response is answer


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vids = '100-99'", "switch.rule[0].vids: '100-99' is empty"),
        ("vids = 0", "switch.rule[0].vids: 0 is not within 1-4094"),
        ("vids = ['1-4094', 4095]", "switch.rule[0].vids: 4095 is not within 1-4094"),
        ("vids = 'all'", "switch.rule[0].vids: 'all' is neither a number nor a range like \"100-199\""),
        ("vids = '-5'", "switch.rule[0].vids: '-5' is neither"),
        ("vids = '1-2-3'", "switch.rule[0].vids: '1-2-3' is neither"),
        ("vids = '010'", "switch.rule[0].vids: '010' is neither"),
        ('vids = "1\\n-2"', "switch.rule[0].vids: '1\\n-2' is neither"),
        ("vids = []", "switch.rule[0].vids: is empty"),
        ("vids = [true]", "switch.rule[0].vids[0]: Expected"),
        ("vids = 1.5", "switch.rule[0].vids: Expected"),
        ("assign = 'x'", "switch.rule[0].assign: 'x' is neither"),
        ("assign = []", "switch.rule[0].assign: is empty"),
        ("type = 16777216", "switch.rule[0].type: 16777216 is not within 0-16777215"),
        ("type = -1", "switch.rule[0].type: -1 is not within"),
        ("type-version = '0-256'", "switch.rule[0].type-version: '0-256' is not within 0-255"),
        ("manager = 'ä'", "switch.rule[0].manager: "),
        ("manager = []", "switch.rule[0].manager: is empty"),
        ("manager = 7", "switch.rule[0].manager: Expected"),
        ("instance = 'x'", "switch.rule[0].instance: "),
        ("instance = ''", "switch.rule[0].instance: is empty"),
        ("answer = 'no'", "switch.rule[0].answer: Invalid enum value 'no'"),
        ("pcp = 8", "switch.rule[0].pcp: Expected `int` <= 7"),
        ("capacity = -1", "switch.rule[0].capacity: Expected `int` >= 0"),
        ("delay = -0.1", "switch.rule[0].delay: Expected `float` >= 0"),
        ("delay = inf", "switch.rule[0].delay: Expected `float` <= 3600"),
        ("delay = nan", "switch.rule[0].delay: "),
        ("silent = 1", "switch.rule[0].silent: Expected `bool`"),
        ("colour = 1", "switch.rule[0].colour: unknown key"),
    ],
)
def test_a_slip_is_named(line: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        rules(f"[[switch.rule]]\n{line}")
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_slip_in_the_rest_of_the_table() -> None:
    with pytest.raises(ValueError, match=r"^switch\.default\.assign: 5000 is not within"):
        rules("[switch.default]\nassign = 5000")
    with pytest.raises(ValueError, match=r"^switch\.exhausted: success"):
        rules("[switch]\nexhausted = 'success'")
    with pytest.raises(ValueError, match=r"^switch\.rule\[1\]\.type:"):
        rules("[[switch.rule]]\n[[switch.rule]]\ntype = 'x'")
