"""What becomes of each word under each policy and answer, and who is in doubt."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from evbagent.libvirtdomain import Change, changes, chooser, doubts
from evbagent.libvirtxml import DocumentError, read
from tests.support.domains import DOMAIN, NETWORK, Teller, domain


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[Teller]:
    teller = Teller(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(teller.start())
        yield teller
        teller.stop()


def decided(teller: Teller, text: str, policy: str = "prefer-vepa") -> tuple[list[Change], list[str]]:
    return changes(read(text.encode()), policy, chooser(str(teller.directory)))


def source(mode: str, dev: str = "eth0") -> str:
    return domain(f"<source dev='{dev}' mode='{mode}'/>")


@pytest.mark.parametrize("word", ["auto", "all", "VEPA", "AUTO", "All", "Vepa"])
@pytest.mark.parametrize(
    ("relay", "policy", "becomes", "mode"),
    [
        ("active", "prefer-vepa", "vepa", "vepa"),
        ("active", "require-vepa", "vepa", "vepa"),
        ("active", "veb", "bridge", "veb"),
        ("active", "private", "private", "private"),
        ("inactive", "prefer-vepa", "bridge", "veb"),
        ("unknown", "prefer-vepa", "bridge", "veb"),
        ("unknown", "private", "private", "private"),
    ],
)
def test_words_that_leave_it_open(teller: Teller, word: str, relay: str, policy: str, becomes: str, mode: str) -> None:
    teller.say(eth0=relay)
    made, refused = decided(teller, source(word), policy)
    assert [(c.place.mode, c.word, c.mode, c.reflective_relay) for c in made] == [(word, becomes, mode, relay)]
    assert not refused


@pytest.mark.parametrize("relay", ["active", "inactive", "unknown"])
@pytest.mark.parametrize("policy", ["prefer-vepa", "require-vepa", "veb", "private"])
@pytest.mark.parametrize(
    ("word", "becomes"), [("VEB", "bridge"), ("veb", "bridge"), ("PEPA", "private"), ("pepa", "private")]
)
def test_words_that_need_no_switch(teller: Teller, word: str, becomes: str, policy: str, relay: str) -> None:
    teller.say(eth0=relay)
    made, refused = decided(teller, source(word), policy)
    assert [change.word for change in made] == [becomes]
    assert not refused


@pytest.mark.parametrize("word", ["vepa", "bridge", "private", "passthrough"])
def test_libvirts_own_words_stay(teller: Teller, word: str) -> None:
    teller.say(eth0="inactive")
    assert decided(teller, source(word)) == ([], [])


@pytest.mark.parametrize("relay", ["inactive", "unknown"])
def test_a_policy_that_is_not_met(teller: Teller, relay: str) -> None:
    teller.say(eth0=relay)
    made, refused = decided(teller, source("auto"), "require-vepa")
    assert not made
    assert refused == [f"line 9, column 7: eth0: require-vepa is not met: the relay of eth0 is {relay}"]


def test_who_says_nothing(teller: Teller, tmp_path: Path) -> None:
    ((change,), _) = decided(teller, source("auto", "eth7"))
    assert (change.word, change.reason) == ("bridge", "the agent does not serve eth7")
    teller.stop()
    ((change,), _) = decided(teller, source("auto"))
    assert change.word == "bridge"
    assert change.reason == f"there is no {tmp_path}/state.json: no agent is running"


def test_several_interfaces(teller: Teller) -> None:
    teller.say(eth0="active", eth1="inactive", eth2="active")
    made, _ = decided(teller, DOMAIN)
    assert [(c.place.uplinks, c.place.mode, c.word) for c in made] == [
        (("eth0",), "auto", "vepa"),
        (("eth1",), "VEPA", "bridge"),
        (("eth2",), "all", "vepa"),
    ]
    made, refused = decided(teller, DOMAIN, "require-vepa")
    assert len(made) == 2
    assert [text.partition(": require")[0] for text in refused] == ["line 15, column 7: eth1"]


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [("active", "active", "vepa"), ("active", "inactive", "bridge"), ("unknown", "active", "bridge")],
)
def test_a_network_is_in_vepa_if_all_its_uplinks_are_reflected(teller: Teller, one: str, other: str, word: str) -> None:
    teller.say(eth0=one, eth1=other)
    ((change,), refused) = decided(teller, NETWORK)
    assert (change.place.uplinks, change.word) == (("eth0", "eth1"), word)
    assert not refused
    _, refused = decided(teller, NETWORK, "require-vepa")
    assert bool(refused) == (word == "bridge")


@pytest.mark.parametrize("mode", ["nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev"])
def test_a_networks_own_words_stay(teller: Teller, mode: str) -> None:
    assert decided(teller, f"<network><forward mode='{mode}'/></network>") == ([], [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            source("brigde"),
            "line 9, column 7: there is no mode 'brigde': choose auto, or one of libvirt's: vepa, bridge",
        ),
        (source(""), "there is no mode ''"),
        (source(" auto"), "there is no mode ' auto'"),
        (source("nat"), "there is no mode 'nat'"),
        (domain("<source mode='auto'/>"), "line 9, column 7: mode 'auto' needs to know the uplink: add dev="),
        (domain("<source dev='' mode='auto'/>"), "needs to know the uplink"),
        (
            domain("<source bridge='br0' mode='auto'/>", "bridge"),
            "is for interfaces of type 'direct', this one has type",
        ),
        (domain("<source dev='eth0' mode='VEB'/>", ""), "this one has no type"),
        ("<network><forward mode='auto'/></network>", "needs to know the uplink"),
        ("<network><forward mode='vepo'/></network>", "there is no mode 'vepo'"),
    ],
)
def test_what_cannot_be_decided(teller: Teller, text: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decided(teller, text)
    assert words in str(caught.value)


def test_who_is_in_doubt(teller: Teller) -> None:
    """In VEPA by libvirt's word, or by its default, where nothing reflects."""
    teller.say(eth0="active", eth1="inactive", eth2="unknown")
    sources = [f"<source dev='eth{number}'{mode}/>" for mode in (" mode='vepa'", "") for number in range(3)]
    others = [f"<source dev='eth1' mode='{mode}'/>" for mode in ("bridge", "private", "auto")]
    interfaces = "".join(f"<interface type='direct'>{source}</interface>\n" for source in sources + others)
    document = read(f"<domain><devices>\n{interfaces}</devices></domain>".encode())
    found = doubts(document, chooser(str(teller.directory)))
    assert [(doubt.place.line, doubt.uplink, doubt.reflective_relay) for doubt in found] == [
        (3, "eth1", "inactive"),
        (4, "eth2", "unknown"),
        (6, "eth1", "inactive"),
        (7, "eth2", "unknown"),
    ]


def test_a_network_in_doubt(teller: Teller) -> None:
    teller.say(eth0="active", eth1="inactive")
    document = read(NETWORK.replace("auto", "vepa").encode())
    assert [doubt.uplink for doubt in doubts(document, chooser(str(teller.directory)))] == ["eth1"]
    assert not doubts(read(b"<network><forward dev='eth1'/></network>"), chooser(str(teller.directory)))


def test_one_answer_for_all_of_a_document(teller: Teller) -> None:
    """Guests of one document are not split by an answer that changes while it is asked for."""
    teller.say(eth0="active")
    choose = chooser(str(teller.directory))
    assert choose("eth0", "prefer-vepa").mode == "vepa"
    teller.say(eth0="inactive")
    assert choose("eth0", "prefer-vepa").mode == "vepa"
    assert chooser(str(teller.directory))("eth0", "prefer-vepa").mode == "veb"
