"""What httplint, which is not ours, says of the answers of a site by HTTP/1.1.

    python3 lint.py ORIGIN PAGE ASSET NAMED LARGE [GONE]

ORIGIN is http://HOST:PORT or https://HOST:PORT (whose certificate is not looked at: tls.py does that). PAGE is a page of more than 256 bytes, ASSET a style sheet, NAMED the same under a name made of its content, LARGE a file
of more than a MiB, GONE a page that was withdrawn. Each path is asked for in each way that the server knows. Fails with
exit status 1 where a note says that an answer is wrong, or where a warning is none of those that were judged.
"""

import socket
import ssl
import sys
from urllib.parse import urlsplit

from httplint.message import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels

# Warnings that we leave as they are; docs/conformance.md says why.
JUDGED = {
    "HSTS_NO_SUBDOMAINS": "a shop says nothing about the other hosts of its domain",
    "STORE_PUBLIC_UNNECESSARY": "`public` is what old caches know for a year-long life",
    "FRESHNESS_NO_CACHE_NO_VALIDATOR": "a page that says that nothing is there is no version of what was asked for",
    "STATUS_BAD_REQUEST": "what is asked for is no address, on purpose",
}


def connect(origin):
    """A connection to a server, by TLS if it is to be."""
    connection = socket.create_connection((origin.hostname, origin.port), timeout=20)
    if origin.scheme == "http":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(connection)


def ask(origin, method, target, headers):
    """The answer as it came: status line, fields and content. The connection is closed after it."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {origin.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    with connect(origin) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        chunks = []
        while chunk := connection.recv(1 << 16):
            chunks.append(chunk)
    head, _, content = b"".join(chunks).partition(b"\r\n\r\n")
    top, *fields = head.split(b"\r\n")
    return top, [tuple(part.strip() for part in field.split(b":", 1)) for field in fields], content


def lint(origin, method, target, headers):
    """The answer's status and fields, and the notes on it."""
    # Without a time: the server has the clock of this machine, so what it says of the time shows nothing here.
    asked = HttpRequestLinter()
    asked.process_request_topline(method.encode(), f"{origin.geturl()}{target}".encode(), b"1.1")
    asked.process_headers([(b"Host", origin.netloc.encode())] + [(a.encode(), b.encode()) for a, b in headers])
    asked.finish_content(True, [])
    top, fields, content = ask(origin, method, target, headers)
    version, status, phrase = (top.split(b" ", 2) + [b""])[:3]
    linter = HttpResponseLinter(no_content=method == "HEAD", _related=asked)
    linter.process_response_topline(version.rsplit(b"/", 1)[1], status, phrase)
    linter.process_headers(fields)
    if content:
        linter.feed_content(content)
    linter.finish_content(True, [])
    notes = [note for top in linter.notes for note in (top, *top.subnotes)]
    return int(status), dict((name.decode().lower(), value.decode()) for name, value in fields), notes


def questions(origin, page, asset, named, large, gone):
    """Every way in which the paths are asked for, and the status that is due."""
    tag = lint(origin, "GET", page, [])[1]["etag"]
    yield 200, "GET", page, []
    yield 200, "HEAD", page, []
    for coding in ("br", "zstd", "gzip"):
        yield 200, "GET", page, [("Accept-Encoding", coding)]
        yield 200, "GET", asset, [("Accept-Encoding", coding)]
    yield 200, "GET", asset, []
    yield 200, "GET", named, [("Accept-Encoding", "br")]
    yield 304, "GET", page, [("If-None-Match", tag)]
    yield 304, "HEAD", page, [("If-None-Match", tag)]
    yield 412, "GET", page, [("If-Match", '"other"')]
    yield 206, "GET", page, [("Range", "bytes=0-99")]
    yield 206, "GET", large, [("Range", "bytes=-1000")]
    yield 200, "GET", page, [("Range", "bytes=0-99"), ("If-Range", '"other"')]
    yield 416, "GET", page, [("Range", "bytes=99999999-")]
    yield 200, "GET", large, []
    yield 308, "GET", page.rstrip("/"), []
    yield 404, "GET", "/nothing/", []
    yield 404, "HEAD", "/nothing/", []
    yield 400, "GET", "/..%2f..%2fetc/passwd", []
    yield 405, "POST", page, [("Content-Length", "0")]
    yield 405, "TRACE", page, []
    yield 204, "OPTIONS", page, []
    if gone:
        yield 410, "GET", gone, []


def main():
    origin, page, asset, named, large = urlsplit(sys.argv[1]), *sys.argv[2:6]
    gone = sys.argv[6] if len(sys.argv) > 6 else None
    count, wrong = 0, []
    for due, method, target, headers in questions(origin, page, asset, named, large, gone):
        status, _, notes = lint(origin, method, target, headers)
        said = f"{method} {target} {dict(headers) or ''}: {status}"
        print(said)
        count += 1
        if status != due:
            wrong.append(f"{said}, and {due} is due")
        for note in notes:
            if note.level not in (levels.BAD, levels.WARN):
                continue
            kind = type(note).__name__
            print(f"    {note.level.name} {kind}: {note.summary} ({JUDGED.get(kind, 'not judged')})")
            if note.level is levels.BAD or kind not in JUDGED:
                wrong.append(f"{said}: {kind}: {note.summary}")
    if wrong:
        sys.exit("\n".join(["NOT in order:"] + wrong))
    print(f"in order: {count} answers")


if __name__ == "__main__":
    main()
