"""What is wrong with a file, before it is known how the file is called."""


class FormatError(RuntimeError):
    """The bytes are not what the format says; the message says where, the caller adds the file's name."""


class ForeignFormatError(FormatError, NotImplementedError):
    """The bytes are in a format that is known, or hold something that is, but cannot be read."""


class RefusedError(FormatError):
    """The file asks for something that could run code."""
