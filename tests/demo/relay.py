#!/usr/bin/env python3
"""A relay that counts: the wire between two levels, with a hand on it.

  relay.py SOCKET NAME=LISTEN:TARGET...     ports on loopback; SOCKET takes one command a connection:

  count        {"NAME": {"up": bytes, "down": bytes, "connections": n}, ...}
  cut NAME     ends every connection and takes no new ones, as a cut line does
  mend NAME    lets them through again

It sees TLS records only; the bytes counted are those of TCP's payload.  It ends when SOCKET is removed."""
import asyncio
import json
import os
import sys

HOST = "127.0.0.1"


class Line:
    def __init__(self, name, port, target):
        self.name, self.port, self.target = name, port, target
        self.count = {"up": 0, "down": 0, "connections": 0}
        self.whole, self.open = True, set()

    async def pump(self, reader, writer, way):
        try:
            while piece := await reader.read(1 << 16):
                self.count[way] += len(piece)
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def accept(self, reader, writer):
        if not self.whole:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        self.count["connections"] += 1
        ends = {writer.transport, far_writer.transport}
        self.open |= ends
        await asyncio.gather(self.pump(reader, far_writer, "up"), self.pump(far_reader, writer, "down"))
        self.open -= ends

    def cut(self):
        self.whole = False
        for transport in list(self.open):
            transport.abort()

    def mend(self):
        self.whole = True


async def main(path, *specs):
    lines = {}
    for spec in specs:
        name, ports = spec.split("=")
        port, target = map(int, ports.split(":"))
        lines[name] = Line(name, port, target)
        await asyncio.start_server(lines[name].accept, HOST, port)

    async def command(reader, writer):
        word, _, name = (await reader.readline()).decode().strip().partition(" ")
        if word in ("cut", "mend") and name in lines:
            getattr(lines[name], word)()
        writer.write(json.dumps({n: line.count for n, line in lines.items()}).encode())
        await writer.drain()
        writer.close()

    await asyncio.start_unix_server(command, path)
    while os.path.exists(path):
        await asyncio.sleep(.5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
