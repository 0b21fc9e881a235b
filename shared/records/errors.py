"""What can go wrong with a stored record, in words that say what to do."""


class RecordsError(Exception):
    """Base of everything that this package raises by itself; errors of Azure Storage pass through unchanged."""


class Conflict(RecordsError):
    """Another writer was first. Load again and decide again; never write the same value over the other's."""


class AnswerLost(RecordsError):
    """A write was sent and no answer came: it may have arrived. Read before repeating it."""


class NotStorable(RecordsError, ValueError):
    """A value that could not be read back later; nothing was written."""


class CorruptRow(RecordsError, ValueError):
    """A stored row that is not what its schema says; it was changed by something else than this app."""


class SchemaTooNew(RecordsError):
    """A row written by a newer release than this one; deploy that release (or a newer one) to read it."""


class SettingsMissing(RecordsError, ValueError):
    """App settings that do not name a storage account."""


class InvalidQuestion(RecordsError, ValueError):
    """What was asked for cannot be: wrong times, an id that is none, a scope that is none. The asker can mend it."""


class InvalidCursor(InvalidQuestion):
    """A page cursor that this app did not give out."""
