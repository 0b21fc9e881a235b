"""The kinds of signals. Adding one is adding a module with `KINDS`, and a JSON file of the same name with its samples
(own values, the fields of the real payloads); the registry finds both."""
