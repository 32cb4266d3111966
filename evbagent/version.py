"""The version, in one place; the package's metadata take it from here."""

VERSION = "0.3.0"
