"""Telling people: one way in (`Door`), one outbox, three ways out, each delivery with its receipt in the ledger.

`templates` puts a notice into words, `routing` says who hears of it, `digest` keeps floods short: all three pure.
`delivery` carries what waits, `channels/` are the ways. A failure in telling stops nothing; who needs a notice to have
arrived asks `delivery.delivered`.
"""
