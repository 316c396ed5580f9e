"""A reader that does what the file says, as a library would on a file made to harm."""

from __future__ import annotations

NAUGHTY = """
import ctypes, logging, os, signal, sys, tempfile, time, warnings
from index.errors import InputError
from index.extras import needs
from index.records import Document, Mark, Rejected
SUFFIXES = (".naughty",)
ISOLATED = True
N_READ = 0
HELD = []

def read(file, *, fields, encoding):
    global N_READ
    N_READ += 1
    what, _, more = file.path.read_text("utf-8").partition(" ")
    if what == "missing":
        with needs("formats", "reading .naughty files"):
            import no_such_library
    yield Document(file.doc_id, file.source, f"{what} {os.getpid()} {N_READ}", marks=(Mark(0, "page=1"),))
    if what == "crash":
        ctypes.string_at(0)
    elif what == "exit":
        os._exit(3)
    elif what == "sleep":
        time.sleep(600)
    elif what == "spin":
        while True:
            pass
    elif what == "memory":
        held = []
        while True:
            held.append(bytearray(64 << 20))
    elif what == "flood":
        while True:
            yield Document(file.doc_id, file.source, "x" * (8 << 20))
    elif what == "large":
        yield Document(file.doc_id, file.source, "x" * (300 << 20))
    elif what == "noise":
        print("noise")
        os.write(1, b"noise")
        os.write(2, b"noise")
        sys.stderr.write("noise")
        warnings.warn("noise")
        logging.getLogger("x").error("noise")
        yield Document("2", file.source, "still read")
    elif what == "raise":
        raise KeyError("what a library raises\\non two lines")
    elif what == "refuse":
        raise InputError("is refused; mend it.")
    elif what == "deep":
        def down(n):
            return down(n + 1)
        down(0)
    elif what == "half":
        yield Document("half", file.source, "half \\ud800", metadata={"\\udc00": [1, None, {"a": 1.5}]})
    elif what == "hoard":
        HELD.append(bytearray(800 << 20))
    elif what == "need":
        yield Document("needed", file.source, str(len(bytearray(800 << 20))))
    elif what == "killed":
        for i in range(4):
            if i == 2 and not os.path.exists(more):
                open(more, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            yield Document(str(i), file.source, f"text {i}")
    elif what == "unpack":
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "private"), "w") as private:
                private.write("mail")
            yield Document("unpacked", file.source, folder)
            time.sleep(600)
    elif what == "many":
        for i in range(int(more)):
            yield Document(str(i), file.source, "text")
            yield Rejected(f"{file.source}:{i}", "is wrong; mend it.", passed_over=True)
"""
PLUG = "import index.readers\nindex.readers.__path__.append({folder!r})\n"
"""Puts the reader among the others, in every program that is started."""
