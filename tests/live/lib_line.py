"""A bad line between two nodes of a live test: a relay on loopback that does to the bytes what such lines do."""
import asyncio
import random
import socket
import struct
import threading

HOST = "127.0.0.1"


async def read(reader, n):
    try:
        return await reader.read(n)
    except OSError:
        return b""


def kill(writer):
    """A reset, not an orderly end."""
    try:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()


class Pair:
    """One connection through the line."""

    def __init__(self, near, far, limit):
        self.ends, self.limit, self.frozen, self.up = (near, far), limit, False, 0

    def reset(self):
        for writer in self.ends:
            kill(writer)


class Line:
    """Listens on `port` for what goes to `target`.  `mode` says what happens to bytes from now on:

    good; lag: a piece takes `lag` seconds each way, and of `loss` of them twice that again and again, as a lost packet does;
    bytes: one byte at a time; slow: `rate` bytes a second; hole: takes connections and bytes and never answers; gone: every
    connection is reset at once.  `reset_after`: reset when so many bytes, drawn between the two, have gone up."""

    def __init__(self, port, target, seed=1):
        self.port, self.target, self.draw = port, target, random.Random(seed)
        self.mode, self.lag, self.loss, self.rate, self.reset_after = "good", .3, .3, 8192, None
        self.up = self.down = self.connections = self.resets = 0
        self.pairs = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result(10)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def listen(self):
        self.server = await asyncio.start_server(self.accept, HOST, self.port)

    def set(self, mode, **named):
        """New manners, for new connections: those that stand are reset."""
        self.mode, self.reset_after = mode, None
        for name, value in named.items():
            setattr(self, name, value)
        self.loop.call_soon_threadsafe(lambda: [p.reset() for p in list(self.pairs)])

    def freeze(self):
        """What is connected now hears nothing any more, and nobody tells it: an address has changed."""
        self.loop.call_soon_threadsafe(lambda: [setattr(p, "frozen", True) for p in self.pairs])

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def end(self):
        self.server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(.05)

    async def accept(self, reader, writer):
        self.connections += 1
        if self.mode == "gone":
            kill(writer)
            return
        if self.mode == "hole":
            pair = Pair(writer, writer, None)
            self.pairs.add(pair)
            try:
                while await read(reader, 1 << 16):
                    pass
            except asyncio.CancelledError:
                pass
            self.pairs.discard(pair)
            kill(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            kill(writer)
            return
        for w in (writer, far_writer):
            w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(writer, far_writer, self.draw.randint(*self.reset_after) if self.reset_after else None)
        self.pairs.add(pair)
        try:
            await asyncio.gather(self.pump(pair, reader, far_writer, True), self.pump(pair, far_reader, writer, False))
        except asyncio.CancelledError:
            pair.reset()
        self.pairs.discard(pair)

    async def pump(self, pair, reader, writer, up):
        try:
            while piece := await read(reader, 1 << 14):
                while pair.frozen:
                    await asyncio.sleep(.05)
                if up:
                    self.up += len(piece)
                    pair.up += len(piece)
                else:
                    self.down += len(piece)
                if pair.limit and pair.up > pair.limit:
                    self.resets += 1
                    pair.reset()
                    return
                await self.carry(piece, writer)
            writer.close()
        except (OSError, asyncio.CancelledError):
            pair.reset()

    async def carry(self, piece, writer):
        if self.mode == "lag":
            wait = self.lag
            while self.draw.random() < self.loss:
                wait += 2 * self.lag
            await asyncio.sleep(wait)
        elif self.mode == "slow":
            await asyncio.sleep(len(piece) / self.rate)
        if self.mode == "bytes":
            for i in range(len(piece)):
                writer.write(piece[i:i + 1])
                await asyncio.sleep(0)
        else:
            writer.write(piece)
        await writer.drain()
