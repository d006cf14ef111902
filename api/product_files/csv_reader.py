"""A CSV file as products: a row is a variant, and the rows of a product follow each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from api.product_files import cells
from api.product_files.columns import ATTRIBUTE, EMPTIABLE, NEEDED, OF_VARIANT, OPTION, PRICE, SIZES, Columns, Parse
from api.product_files.csv_records import Record, number_in, read_records
from api.product_files.lines import FileRefused, Line, read_lines, without_mark
from schemas.problem_codes import ProblemCode
from schemas.product_files import FileProduct, RowFault

MAX_ROWS = 200
"""As many variants as a product may have; more are refused without being held."""
_MAX_BYTES = 4 * 1024 * 1024
_MAY_ACT = frozenset("'=+-@＝＋－＠")


@dataclass
class _Group:
    """Rows that follow each other and name one product. `doubt` is a line before them that may be theirs."""

    number: str | None
    doubt: int | None = None
    rows: list[Record] = field(default_factory=list)
    size: int = 0

    @property
    def full(self) -> bool:
        return len(self.rows) > MAX_ROWS or self.size > _MAX_BYTES

    def add(self, record: Record) -> None:
        self.rows.append(record)
        self.size += record.size


def read_csv(chunks: Iterable[bytes]) -> Iterator[FileProduct]:
    """The products of the file, the faulty ones with what is wrong. Raises FileRefused when the header is not ours."""
    lines = read_lines(chunks)
    columns = Columns.of(_header(lines))
    nothing = True
    for group in _groups(read_records(lines, columns.count), columns):
        nothing = False
        yield _product(group, columns)
    if nothing:
        raise FileRefused(ProblemCode.EMPTY_FILE, "The file has a header and no rows.")


def _header(lines: Iterator[Line]) -> list[str]:
    first = next(lines, None)
    if first is None:
        raise FileRefused(ProblemCode.EMPTY_FILE, "The file is empty.")
    header = Line(first.number, without_mark(first), first.end, first.too_long)
    found = next(read_records([header]), None)
    if found is None or found.code:
        message = found.message if found else "The first line is empty."
        raise FileRefused(ProblemCode.MALFORMED_HEADER, f"The first line must name the columns. {message}")
    return found.cells


def _groups(records: Iterable[Record], columns: Columns) -> Iterator[_Group]:
    """A row that cannot be read belongs to the product it names; else to what is before and, perhaps, behind it."""
    group: _Group | None = None
    for record in records:
        number = number_in(record, columns.product)
        if group is None:
            group = _Group(number)
        elif group.full or number not in (None, group.number):
            doubt = _doubt(group, number, columns)
            yield group
            group = _Group(number, doubt)
        group.add(record)
    if group is not None:
        yield group


def _doubt(group: _Group, number: str | None, columns: Columns) -> int | None:
    """The line that forbids to write what follows: of a product that is refused already, or nobody knows whose."""
    if group.full and number in (None, group.number):
        return group.rows[0].line
    last = group.rows[-1]
    return last.line if number_in(last, columns.product) is None else None


def _product(group: _Group, columns: Columns) -> FileProduct:
    rows = group.rows
    product = FileProduct(rows[-1].end, [row.line for row in rows], partial=True)
    product.faults.extend(RowFault(row.line, "", row.code, row.message) for row in rows if row.code)
    if group.full and group.number is not None:
        message = f"A product has at most {MAX_ROWS} variants, and {_MAX_BYTES} bytes in a file."
        product.faults.insert(0, RowFault(rows[0].line, "product", "product_too_large", message))
    elif group.doubt is not None:
        message = f"Not written, because line {group.doubt} is not acceptable and may belong to this product."
        product.faults.insert(0, RowFault(rows[0].line, "product", "product_refused", message))
    if not product.faults:
        _Builder(product, columns, rows).build(group.number or "")
    return product


class _Builder:
    """Makes JSON values of readable rows, noting every cell that does not say what its column is for."""

    def __init__(self, product: FileProduct, columns: Columns, rows: Sequence[Record]) -> None:
        self._product = product
        self._columns = columns
        self._rows = [self._plain(row) for row in rows]
        self._by_place = list(zip(*self._rows, strict=True))

    def build(self, number: str) -> None:
        lines = self._product.lines
        data: dict[str, Any] = {"code": number, **self._of_product()}
        data["variants"] = [self._variant(line, row) for line, row in zip(lines, self._rows, strict=True)]
        if self._columns.options and "options" not in data:
            used = {name for variant in data["variants"] for name in variant["options"]}
            data["options"] = [name for name in self._columns.options if name in used]
        self._product.code, self._product.data = number, data
        self._product.place = partial(_place, lines=lines)

    def _of_product(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name, parse in EMPTIABLE.items():
            if name in self._columns.fixed:
                data[name] = self._shared(name, self._columns.fixed[name], parse)
        for name, parse in NEEDED.items():
            if name in self._columns.fixed and any(self._by_place[self._columns.fixed[name]]):
                data[name] = self._shared(name, self._columns.fixed[name], parse)
        if self._columns.attributes:
            data["attributes"] = {
                name: self._shared(f"{ATTRIBUTE}{name}", place, cells.attribute) if any(self._by_place[place]) else None
                for name, place in self._columns.attributes.items()
            }
        return data

    def _shared(self, title: str, place: int, parse: Parse) -> Any:
        """A field of the product: the rows that have it must agree."""
        filled = [(line, cell) for line, cell in zip(self._product.lines, self._by_place[place], strict=True) if cell]
        line, cell = filled[0] if filled else (self._product.lines[0], "")
        for at, other in filled[1:]:
            if other != cell:
                message = f"Line {line} has another value for the same product."
                self._product.note(RowFault(at, title, "conflicting_rows", message))
        return self._parsed(line, title, cell, parse)

    def _variant(self, line: int, row: list[str]) -> dict[str, Any]:
        fixed = self._columns.fixed
        variant: dict[str, Any] = {"sku": row[self._columns.sku]}
        for name, parse in SIZES.items():
            if name in fixed:
                variant[name] = parse(row[fixed[name]]) if row[fixed[name]] else None
        for name, parse in OF_VARIANT.items():
            if name in fixed and row[fixed[name]]:
                variant[name] = parse(row[fixed[name]])
        if self._columns.options:
            variant["options"] = {name: row[at] for name, at in self._columns.options.items() if row[at]}
        variant["prices"] = {
            currency: self._parsed(line, f"{PRICE}{currency}", row[at], partial(cells.prices, currency=currency))
            for currency, at in self._columns.prices.items()
        }
        return variant

    def _parsed(self, line: int, title: str, cell: str, parse: Parse) -> Any:
        try:
            return parse(cell)
        except cells.BadCell as error:
            self._product.note(RowFault(line, title, error.code, error.message))
            return None

    def _plain(self, row: Record) -> list[str]:
        if _MAY_ACT.isdisjoint({cell[:1] for cell in row.cells}):
            return row.cells
        plain: list[str] = []
        for place, cell in enumerate(row.cells):
            try:
                plain.append(cells.unguarded(cell))
            except cells.BadCell as error:
                title = self._columns.titles[place]
                self._product.note(RowFault(row.line, title, error.code, error.message))
                plain.append(cell)
        return plain


def _place(pointer: str, whole: Mapping[str, Any], lines: Sequence[int]) -> tuple[int, str]:
    """The line and the column of what is wrong with the whole product."""
    line, title = lines[0], pointer
    match pointer.split("/"):
        case ["variants", number, "options", name, *_]:
            line, title = lines[int(number)], f"{OPTION}{name}"
        case ["variants", number, "prices", price, *_]:
            given = whole["variants"][int(number)]["prices"][int(price)]
            line, title = lines[int(number)], f"{PRICE}{given['currency']}"
        case ["variants", number, name, *_]:
            line, title = lines[int(number)], name
        case ["attributes", name, *_]:
            title = f"{ATTRIBUTE}{name}"
        case ["code", *_]:
            title = "product"
        case [name, *_]:
            title = name
    return line, title
