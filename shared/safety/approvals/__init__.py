"""Approvals: a change that policy gates waits for people, and what they approved is what runs, once.

`rules` is pure: what an answer, the clock or a newer plan does to a request, and the gate itself. `links` signs and
reads what is sent to one person. `desk` asks, takes answers and sees every request to its end, in Tables.
"""
