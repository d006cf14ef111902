"""The label of a shipment: one page of PDF, as large as a label printer's."""

from dev.carrier_simulator.wire import Json

_WIDTH, _HEIGHT = 288, 432  # 4 by 6 inches, in points


def label_of(shipment: Json) -> bytes:
    """Who it goes to, by which service, under which number; characters that its font lacks are question marks."""
    to = shipment["ship_to"]
    place = f"{to['postal_code']} {to['city']}"
    address = [to["name"], to["line1"], to.get("line2"), place, to.get("region"), to["country"]]
    lines = [*filter(None, address), "", shipment["service"].upper(), shipment["tracking_number"]]
    shown = "\n".join(f"({_escaped(line)}) Tj T*" for line in lines)
    text = f"BT /F1 14 Tf 18 TL 24 {_HEIGHT - 48} Td\n{shown}\nET".encode("cp1252", "replace")
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>" % (_WIDTH, _HEIGHT),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        ]
    )


def _escaped(line: str) -> str:
    for special in ("\\", "(", ")"):
        line = line.replace(special, f"\\{special}")
    return line


def _document(objects: list[bytes]) -> bytes:
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, entries)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + table + trailer
