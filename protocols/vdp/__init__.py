"""VDP, the VSI Discovery and Configuration Protocol (802.1Q clause 41) and its pre-standard draft."""
