"""A private lab: a host with two guests and an adjacent switch, in network namespaces that leave nothing behind."""
