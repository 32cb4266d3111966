"""Which organizational TLVs this agent can read: the others are counted as unrecognized (802.1AB 9.2.6)."""

from protocols.dcbx.model import CEE_OUI, LegacySubtype
from protocols.evb.draft import DRAFT
from protocols.lldp.dot1 import DOT1_OUI, Dot1Subtype
from protocols.lldp.dot3 import DOT3_OUI, Dot3Subtype
from protocols.lldp.med import MED_OUI, MedSubtype
from protocols.lldp.vendors import Form, vendor_kind


def recognizes(oui: bytes, subtype: int) -> bool:
    """A vendor's TLV whose name is known but not its layout is not recognized."""
    if (oui, subtype) in _STANDARD:
        return True
    kind = vendor_kind(oui, subtype)
    return kind is not None and kind.form is not Form.UNPUBLISHED


_NOT_READ = frozenset(
    {
        Dot1Subtype.PORT_EXTENSION,
        Dot1Subtype.LRP_ECP_DISCOVERY,
        Dot1Subtype.LRP_TCP_DISCOVERY,
        Dot1Subtype.CONGESTION_ISOLATION,
        Dot1Subtype.TOPOLOGY_RECOGNITION,
    }
)
_STANDARD = frozenset(
    [
        *((DOT1_OUI, int(subtype)) for subtype in Dot1Subtype if subtype not in _NOT_READ),
        *((DOT3_OUI, int(subtype)) for subtype in Dot3Subtype),
        *((MED_OUI, int(subtype)) for subtype in MedSubtype),
        *((CEE_OUI, int(subtype)) for subtype in LegacySubtype),
        (DRAFT.oui, DRAFT.subtype),
    ]
)
