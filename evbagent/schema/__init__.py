"""JSON Schemas of the documents that the agent publishes."""
