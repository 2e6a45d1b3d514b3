"""Bytes of a stream in, whole pieces out: server-sent events (WHATWG HTML, section 9.2), or lines."""


class EventBuffer:
    r"""Cuts a byte stream, however it was chunked, into the data of its events.

    Bytes are cut only at line ends, so a character split over two chunks is whole again before anyone
    decodes it. Lines end with ``\n`` or ``\r\n``; comments and other fields than `data` are passed over.
    """

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next bytes; gives the data of every event that they completed."""
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._rest += chunk
            return []
        self._rest += chunk[:cut]
        lines = bytes(self._rest).split(b"\n")
        self._rest[:] = chunk[cut + 1 :]
        return self._events(lines)

    def end(self) -> list[bytes]:
        """The stream is over: gives the data of a last event that was not closed by an empty line."""
        lines = [bytes(self._rest), b""]
        self._rest.clear()
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removesuffix(b"\r").removeprefix(b" "))
            elif self._data and line in (b"", b"\r"):
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
        return events


class LineBuffer:
    """Cuts a byte stream into its lines (NDJSON); empty ones are passed over."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next bytes; gives every line that they completed."""
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._rest += chunk
            return []
        self._rest += chunk[:cut]
        lines = bytes(self._rest).split(b"\n")
        self._rest[:] = chunk[cut + 1 :]
        return [line for line in lines if line.strip()]

    def end(self) -> list[bytes]:
        """The stream is over: gives a last line that was not ended."""
        rest = bytes(self._rest)
        self._rest.clear()
        return [rest] if rest.strip() else []
