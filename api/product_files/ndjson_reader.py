"""An NDJSON file as products: a line is a whole product, as `POST /v1/products` takes it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from api.product_files.lines import MAX_LINE_BYTES, FileRefused, Line, read_lines, without_mark
from schemas.problem_codes import ProblemCode
from schemas.product_files import FileProduct, RowFault


def read_ndjson(chunks: Iterable[bytes]) -> Iterator[FileProduct]:
    """The products of the file, the faulty ones with what is wrong. Raises FileRefused when there are none."""
    nothing = True
    for line in read_lines(chunks):
        data = without_mark(line) if line.number == 1 else line.data
        if line.too_long or data.strip():
            nothing = False
            yield _product(line, data)
    if nothing:
        raise FileRefused(ProblemCode.EMPTY_FILE, "The file is empty.")


def _product(line: Line, data: bytes) -> FileProduct:
    product = FileProduct(line.end, [line.number])
    if line.too_long:
        return _faulty(product, "line_too_long", f"A line has at most {MAX_LINE_BYTES} bytes.")
    try:
        found = json.loads(data.decode(), parse_constant=_no_number)
    except UnicodeDecodeError:
        return _faulty(product, "invalid_utf8", "The line is not UTF-8.")
    except (ValueError, RecursionError) as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return _faulty(product, "malformed_json", f"The line is not JSON{where}.")
    if not isinstance(found, dict):
        return _faulty(product, "malformed_json", "The line must be a JSON object.")
    variants = found.get("variants")
    many = len(variants) if isinstance(variants, list) and variants else 1
    number = found.get("code", found.get("sku"))
    product.lines = [line.number] * many
    product.data, product.code = found, number if isinstance(number, str) else None
    return product


def _faulty(product: FileProduct, code: str, message: str) -> FileProduct:
    product.faults.append(RowFault(product.lines[0], "", code, message))
    return product


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
