"""DCBX, in the forms of IEEE 802.1Q, CEE 1.01 and CIN 1.0: values and TLVs."""
