"""The words of `docs/policy.md` before the tables of fields."""

INTRODUCTION = """\
# The policy

Generated from the models in `shared/policy/` by `python -m shared.policy docs`; do not edit.

The policy says which queue is served by which deployment, what is promised to the queue, and how far Watchkeeper may
go. It is the platform's YAML document, and beside it one document per project (see "Two layers").
[`infra/policies/sample.yaml`](../infra/policies/sample.yaml) is one to start from;
[`infra/policies/platform.yaml`](../infra/policies/platform.yaml) is one with projects. By their first line, editors
check and complete against [`policy.schema.json`](../infra/policies/policy.schema.json), and projects' documents
against [`project.schema.json`](../infra/policies/project.schema.json).

* **Where it lives.** In Azure blobs, in development files. The platform's document: `WATCHKEEPER_POLICY_BLOB`
  (`container/path`) or `WATCHKEEPER_POLICY_FILE`. The projects': `WATCHKEEPER_POLICY_PROJECTS`, `container/prefix`
  beside a blob and a folder beside a file; each is named `<project>.yaml`.
* **A bad version is never in force.** It is refused as a whole, the last good one stays, and the refusal is shown
  with its reasons until the document is mended (`GET /api/policy`). Last good versions are kept in the table
  `WatchkeeperPolicies`, so a process that starts later has them too. If the platform's document has never been good,
  nothing is decided.
* **Warnings** point at what is allowed but odd, such as an approval's scope that names nothing. They refuse nothing.
* **What counts.** A field of a target's `scaling` goes before the same field of its project's `defaults`, those
  before its environment's, those before the platform's, and those before the default below. The most cautious `mode`
  counts: target, project's loop, environment's loop, platform's loop. The highest floor counts, and goes before
  `max`.
* **Its version** is a hash of what is in force. Comments, the order of keys, and a default that is spelt out do not
  change it. A decision's `policy_version` is another: a hash of the part that it rests on (the target's scaling,
  its floors and limits), so that a change elsewhere makes no new decision.
* **YAML** is read as version 1.2: `off` is the word off, not false. Keys written twice, aliases and tags are refused.

## Two layers

The platform's document grants and bounds; a project's document, owned by its team, tightens. A platform's document
with targets of its own and no projects is a whole policy.

* **Deny by default.** `projects` says which deployments (workspaces, and endpoints in them) and which queues a
  project may name, and which secrets its channels may use. A deployment belongs to the first entry, in the order of
  the document, that fits it, so no two projects can name one. Grants never go by tags: who may write a tag could
  grant himself.
* **Tighten, never loosen.** The last column of the tables says what a project may do with a field. What would loosen
  is a problem of the project's document: a new version with one is refused alone, and changes nothing for the others.
  Asking for a bolder `mode` is none, the more cautious counts.
* **Names.** A project's target `chat` is known as `search.chat` outside of its document: in logs, web addresses, the
  ledger, scopes. So are the names of its freezes, channels and rules. In the document itself, names have no dot.
* **Lists** of a project (`floors`, `freezes`, `approvals`, channels) are added to the platform's and concern the
  project alone: `all` is all of the project. Other scopes than its own and its targets' are refused.
* **Environments.** A target is dev, stage or prod by the platform's rules for its workspace; where none claims it, a
  target of the platform's document is what it says of itself, one of a project prod. Tags are read every 10 minutes;
  while they are not known, the most careful of what they could mean counts. An environment's limits and modes may only
  be stricter than the document's.
* **When the platform becomes stricter**, documents that were good stay in force, held to the stricter values: a size
  above a limit is cut to it, a target that is no longer granted is left out. `GET /api/policy` shows what is held,
  people hear of it (`policy_refused`), and the next version of that document must fit.
* **A document that waits for its grant** is in force as soon as the platform's document has it.
* **A document that is removed** takes its targets out of the watch; what is under way is followed to its end.

### How old a copy may be

Every process asks for the platform's document by its ETag, and for the list of the projects' with theirs, at most
every `WATCHKEEPER_POLICY_MAX_AGE_S` (15 s): what has not changed costs these two requests and nothing else, however
many projects there are. Function groups are processes of their own, so for that long two of them may decide by two
versions. An act asks both again before its gates, whatever the age: modes and limits are those of that moment. Where
they cannot be read then, the last good versions count.

### What nobody watches

`workspaces` says what should be watched. A workspace that its rules find, that is granted to no project and has no
target of the platform's own, is listed by `GET /api/policy/unwatched`, and people hear of each set of them once
(`unwatched`). Deployments in these workspaces that no target names are listed too; that may be as it should be.

### What holds for a target, and why

`GET /api/policy/targets/{name}` shows every effective field with its value, the layer that set it (target, project,
environment, platform, default), and document, path and line.

## At the command line

`python` is the project's own here and on all pages: `.venv/bin/python`, after `make setup`.

```
python -m shared.policy check FILE...                          # each document by itself
python -m shared.policy check platform.yaml --projects DIR     # all together, every problem at once
python -m shared.policy plan --before OLD --after NEW --projects DIR [--before-projects OLD_DIR] [--json]
python -m shared.policy schema [--project]                     # the JSON Schemas
```

`plan` shows what a change would do: targets that come and go, every effective field that changes with the line that
sets it then, and whom to tell. What lets Watchkeeper do more, or protects less, is marked with `!`. Tags cannot be
read offline: what hangs on them is planned as the most careful.

| exit code | meaning |
|---|---|
| 0 | valid; by the plan, nothing becomes looser |
| 1 | not valid: the problems are printed, one a line |
| 2 | the command makes no sense |
| 3 | valid, and by the plan something becomes looser |
"""
