"""The attribute protocol of Postfix (attr_print0.c): names and values that end in NUL, and an empty name at the end."""


def packed(pairs):
    message = b""
    for name, value in pairs:
        message += name.encode() + b"\0" + (value if isinstance(value, bytes) else str(value).encode()) + b"\0"
    return message + b"\0"


class Reader:
    """Reads attribute lists from a socket."""

    def __init__(self, source):
        self.source, self.buffer = source, b""

    def token(self):
        while b"\0" not in self.buffer:
            data = self.source.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        token, self.buffer = self.buffer.split(b"\0", 1)
        return token

    def attributes(self):
        """The pairs up to the end of the list."""
        pairs = []
        while name := self.token():
            pairs.append((name.decode(), self.token()))
        return pairs
