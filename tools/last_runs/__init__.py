"""docs/checks.toml: when the sessions outside CI last ran."""
