"""What OpenAPI says of files of products: their two forms, column by column, and the events of an import."""

from typing import Any

_CSV = """\
product,name,brand,category,sku,weight_grams,option:colour,price:EUR,images,attr:material
MUG-0001,Stoneware mug,northfold,cups,MUG-0001-BLUE,380,blue,1290,https://images.example.com/mug.jpg,stoneware
MUG-0001,,,,MUG-0001-RED,380,red,1290 990@2026-12-01T00:00:00Z/2026-12-24T00:00:00Z,,
"""
_NDJSON = """\
{"code": "MUG-0001", "name": "Stoneware mug", "brand": "northfold", "category": "cups", "options": ["colour"], \
"variants": [{"sku": "MUG-0001-BLUE", "options": {"colour": "blue"}, "weight_grams": 380, \
"prices": [{"amount": 1290, "currency": "EUR"}]}]}
"""
FORMS = """\
An existing product is changed: fields that the file does not contain stay as they are, but variants that it does not
contain become inactive.

**NDJSON**: each line is a whole product, as `POST /v1/products` takes it. **CSV** (RFC 4180, commas, first line names
the columns): each row is a variant, and the rows of a product follow each other.

| column | of | |
| --- | --- | --- |
| `product`, `sku` | | required: the codes of the product and of the variant |
| `name`, `brand`, `category` | product | required for a new product; codes of brand and category |
| `description` | product | plain text |
| `tax_class`, `status`, `popularity` | product | default `standard`, `active`, `0` |
| `options` | product | JSON list: the order of its options; else that of the columns |
| `images` | product | addresses with spaces between, or a JSON list of `{url, alt, sku}` |
| `attr:<name>` | product | text, number, `true`, `false`, or JSON list or string |
| `option:<name>` | variant | its value of that option |
| `price:<CUR>` | variant | minor units; a price for a time is `amount@from/to`, spaces between several |
| `weight_grams`, `length_mm`, `width_mm`, `height_mm`, `barcode`, `active` | variant | |

Product columns belong on the first row of a product; in further rows they are empty or the same. An empty cell clears
`description`, `images`, `attr:`, `price:`, dimensions and `barcode`; elsewhere it changes nothing. Text that begins
with `=`, `+`, `-` or `@` needs an apostrophe before it, as exports write it.
"""

FILES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": FORMS,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _NDJSON},
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
        },
    }
}

_EVENT = """\
event: progress
data: {"id": "0198c0de-0000-7000-8000-000000000001", "state": "running", "rows": 5000, "failed": 2, "created": 1900}
id: 5000-1250000-running
"""
PROGRESS: dict[int | str, dict[str, Any]] = {
    200: {"description": "`progress` and at the end `report`", "content": {"text/event-stream": {"example": _EVENT}}}
}
