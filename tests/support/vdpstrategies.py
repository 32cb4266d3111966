"""Hypothesis strategies of VDP's values."""

from hypothesis import strategies as st

from protocols.vdp.filter import FilterEntry, FilterFormat, Filters

WITH_MAC = frozenset({FilterFormat.MAC_VID, FilterFormat.GROUP_MAC_VID})
WITH_GROUP = frozenset({FilterFormat.GROUP_VID, FilterFormat.GROUP_MAC_VID})


@st.composite
def valid_filters(draw: st.DrawFn) -> Filters:
    """Filters that nothing is wrong with."""
    form = draw(st.sampled_from(FilterFormat))
    entry = st.builds(
        FilterEntry,
        st.integers(0, 4094),
        st.none() | st.integers(0, 7),
        st.binary(min_size=5, max_size=5).map(lambda octets: b"\2" + octets) if form in WITH_MAC else st.none(),
        st.integers(1, 0xFFFFFFFF) if form in WITH_GROUP else st.none(),
    )
    entries = draw(st.lists(entry, min_size=1, max_size=5, unique_by=lambda each: (each.vid, each.mac, each.group)))
    return Filters(form, tuple(entries))
