"""The words the seeded catalog is made of: per category its code, price and weight ranges, brands, things and looks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """From, to."""

    low: int
    high: int


@dataclass(frozen=True)
class Thing:
    """A kind of product, what it does for its buyer, cents and grams of an ordinary one."""

    name: str
    benefit: str
    price: Range
    weight: Range


@dataclass(frozen=True)
class Category:
    """One shelf of the shop."""

    code: str
    name: str
    brands: tuple[str, ...]
    series: tuple[str, ...]
    things: tuple[Thing, ...]
    looks: tuple[str, ...]


def _thing(name: str, benefit: str, euros: tuple[int, int], grams: tuple[int, int]) -> Thing:
    return Thing(name, benefit, Range(euros[0] * 100, euros[1] * 100), Range(*grams))


_COLOURS = ("Black", "White", "Graphite", "Forest Green", "Navy", "Sand")

CATEGORIES = (
    Category(
        "AUD",
        "Audio",
        ("Nordklang", "Aurelia", "Tonwerk", "Halcyon", "Brightwave"),
        ("One", "Studio", "Go", "Pro", "Air", "Lite"),
        (
            _thing("Wireless Headphones", "keep the train outside and the music in", (39, 329), (180, 320)),
            _thing("Bluetooth Speaker", "fills a kitchen and survives the garden", (29, 249), (350, 1900)),
            _thing("In-Ear Earphones", "stay put on a run and last the whole day", (15, 199), (30, 70)),
            _thing("Turntable", "plays the records you never gave away", (149, 549), (4200, 7800)),
            _thing("Soundbar", "makes every voice in a film easy to follow", (99, 599), (1800, 4200)),
        ),
        _COLOURS,
    ),
    Category(
        "COM",
        "Computers",
        ("Kestrel", "Lumen", "Arcadia", "Voltage", "Northbyte"),
        ("X", "Slim", "Plus", "Max", "Mini", "Edge"),
        (
            _thing("Mechanical Keyboard", "types crisply without waking the house", (49, 189), (620, 1150)),
            _thing("Wireless Mouse", "fits the hand and glides on anything", (15, 99), (70, 140)),
            _thing("27-inch Monitor", "shows text as sharp as print", (179, 699), (4200, 7600)),
            _thing("USB-C Dock", "turns one cable into a whole desk", (59, 249), (220, 540)),
            _thing("Portable SSD", "moves a film in seconds", (59, 299), (45, 110)),
            _thing("Laptop Stand", "brings the screen up to your eyes", (19, 89), (500, 1600)),
        ),
        ("Black", "Silver", "White", "Space Grey"),
    ),
    Category(
        "KIT",
        "Kitchen",
        ("Hearthstone", "Copperfield", "Saltbush", "Mölle", "Provençal"),
        ("Classic", "Daily", "Chef", "Heritage", "Compact"),
        (
            _thing("Cast Iron Skillet", "sears, bakes and outlives its owner", (29, 119), (1800, 3400)),
            _thing("Chef's Knife", "holds its edge through a month of onions", (25, 189), (160, 310)),
            _thing("Pour-Over Coffee Maker", "makes a clean, quiet cup", (19, 79), (420, 980)),
            _thing("Electric Kettle", "boils exactly what you need", (29, 129), (850, 1500)),
            _thing("Stand Mixer", "kneads a heavy dough without walking", (149, 549), (5200, 10500)),
            _thing("Enamel Saucepan", "heats evenly and washes easily", (25, 99), (900, 1900)),
        ),
        ("Black", "Cream", "Sage", "Brick Red", "Steel", "Midnight Blue"),
    ),
    Category(
        "HOM",
        "Home",
        ("Lindqvist", "Oakhaven", "Fjord & Field", "Casa Alba", "Stillwater"),
        ("Calm", "Nest", "Loft", "Terra", "Dawn"),
        (
            _thing("Linen Duvet Cover", "breathes in July and warms in January", (69, 199), (1100, 2100)),
            _thing("Wool Blanket", "makes any chair the best in the room", (49, 179), (900, 1800)),
            _thing("Table Lamp", "throws a warm, even pool of light", (29, 189), (700, 2600)),
            _thing("Ceramic Vase", "looks right with three stems or thirty", (15, 89), (500, 2200)),
            _thing("Storage Basket", "hides what the shelf cannot", (12, 59), (300, 1200)),
            _thing("Scented Candle", "smells of a clean house in the woods", (9, 45), (250, 700)),
        ),
        ("Natural", "Charcoal", "Terracotta", "Off-White", "Moss", "Dusty Rose"),
    ),
    Category(
        "OUT",
        "Outdoor",
        ("Ridgeline", "Tundra", "Karst", "Alpenglow", "Wayfarer"),
        ("Trail", "Summit", "Drift", "Basecamp", "Ultra"),
        (
            _thing("Hiking Backpack", "carries a weekend without a sore shoulder", (59, 229), (780, 1900)),
            _thing("Two-Person Tent", "goes up in the dark and stays up in the wind", (99, 449), (1500, 3200)),
            _thing("Sleeping Bag", "keeps you warm to minus five", (69, 329), (750, 1700)),
            _thing("Insulated Bottle", "keeps tea hot until the summit", (15, 49), (280, 520)),
            _thing("Head Torch", "lights the path and not your friends' eyes", (19, 99), (60, 140)),
            _thing("Trekking Poles", "save the knees on the way down", (29, 139), (380, 620)),
        ),
        ("Slate", "Moss", "Rust", "Ocean", "Sun Yellow"),
    ),
    Category(
        "SPO",
        "Sports",
        ("Velocity", "Ironleaf", "Pace & Co", "Stride", "Medley"),
        ("Core", "Flex", "Sprint", "Team", "Elite"),
        (
            _thing("Yoga Mat", "grips when you do not", (15, 89), (900, 2600)),
            _thing("Running Belt", "holds phone and keys without bouncing", (12, 39), (60, 140)),
            _thing("Adjustable Dumbbell", "replaces a rack in one corner", (79, 349), (10500, 24500)),
            _thing("Resistance Band Set", "is a gym that fits in a drawer", (10, 45), (200, 700)),
            _thing("Football", "keeps its shape on gravel and grass", (15, 99), (400, 450)),
            _thing("Swim Goggles", "seal well and do not fog", (9, 39), (50, 90)),
        ),
        ("Black", "Teal", "Coral", "Lime", "Royal Blue"),
    ),
    Category(
        "CLO",
        "Clothing",
        ("Harbour Mill", "Weald", "Solstice", "Marlow", "Ostara"),
        ("Everyday", "Field", "Original", "Soft", "Winter"),
        (
            _thing("Merino Jumper", "warms without weight and airs itself", (59, 149), (260, 480)),
            _thing("Organic Cotton T-Shirt", "keeps its shape wash after wash", (15, 39), (140, 230)),
            _thing("Rain Jacket", "lets sweat out and weather not in", (69, 279), (320, 780)),
            _thing("Selvedge Jeans", "fade the way you live", (69, 189), (620, 900)),
            _thing("Wool Socks, 3 Pairs", "never slide down into the boot", (15, 39), (150, 280)),
            _thing("Knitted Beanie", "covers the ears and suits everybody", (15, 45), (60, 130)),
        ),
        tuple(
            f"{colour}, {size}" for size in ("S", "M", "L", "XL") for colour in ("Black", "Navy", "Oatmeal", "Olive")
        ),
    ),
    Category(
        "TOY",
        "Toys",
        ("Pinwheel", "Little Otter", "Timberland Toys", "Marble & Moon", "Kiko"),
        ("First", "Big", "Pocket", "Adventure", "Classic"),
        (
            _thing("Wooden Train Set", "grows with every birthday", (25, 129), (900, 3400)),
            _thing("Building Blocks", "become a castle, then a rocket", (19, 89), (800, 2800)),
            _thing("Puzzle, 1000 Pieces", "fills a rainy Sunday", (9, 29), (600, 950)),
            _thing("Plush Animal", "is ready to be dragged everywhere", (12, 49), (150, 700)),
            _thing("Board Game", "is explained in five minutes and played all night", (19, 69), (700, 2100)),
        ),
        ("Forest", "Ocean", "Space", "Farm", "Safari", "Arctic"),
    ),
    Category(
        "BEA",
        "Beauty",
        ("Verbena", "Maison Luz", "Kalm", "Birk", "Rosewater Lane"),
        ("Pure", "Rich", "Fresh", "Night", "Daily"),
        (
            _thing("Face Cream", "calms dry skin and sinks in at once", (9, 69), (60, 140)),
            _thing("Hand Soap", "cleans well and smells of a herb garden", (5, 19), (260, 560)),
            _thing("Shampoo Bar", "lasts as long as two bottles", (6, 15), (60, 110)),
            _thing("Body Oil", "leaves skin soft, not slippery", (12, 49), (120, 310)),
            _thing("Bamboo Hairbrush", "untangles without tears", (9, 29), (70, 160)),
        ),
        ("Lavender", "Citrus", "Unscented", "Rosemary", "Sandalwood", "Chamomile"),
    ),
    Category(
        "OFF",
        "Office",
        ("Papier & Co", "Ledger", "Quillon", "Deskwell", "Stationers Row"),
        ("No. 1", "Grid", "Studio", "Slim", "Executive"),
        (
            _thing("Notebook, A5 Dotted", "lies flat and takes fountain pens", (6, 29), (200, 420)),
            _thing("Fountain Pen", "starts at the first stroke", (19, 149), (20, 60)),
            _thing("Desk Organiser", "finds a place for everything small", (15, 79), (400, 1900)),
            _thing("Ergonomic Office Chair", "supports the back through a long day", (149, 599), (13500, 22500)),
            _thing("Weekly Planner", "shows the week on one honest page", (9, 29), (180, 380)),
            _thing("Desk Lamp", "lights the page and not the screen", (29, 139), (700, 2200)),
        ),
        _COLOURS,
    ),
    Category(
        "GAR",
        "Garden",
        ("Greenway", "Spade & Sparrow", "Hollyhock", "Tilth", "Orchard End"),
        ("Cottage", "Pro", "Classic", "Terrace", "Seasons"),
        (
            _thing("Pruning Shears", "cut clean so that the rose heals", (12, 69), (180, 320)),
            _thing("Watering Can", "pours like rain", (15, 59), (500, 1400)),
            _thing("Raised Bed Kit", "is built in an hour and feeds a family", (49, 199), (6500, 15500)),
            _thing("Herb Seed Set", "puts basil on the sill by June", (5, 19), (40, 120)),
            _thing("Garden Fork", "turns heavy soil without bending", (25, 89), (1500, 2300)),
            _thing("Bird Feeder", "brings the garden to the window", (12, 49), (400, 1300)),
        ),
        ("Green", "Copper", "Oak", "Galvanised", "Black"),
    ),
    Category(
        "SMA",
        "Smart Home",
        ("Homely", "Lumen", "Beacon", "Threshold", "Quietude"),
        ("Mini", "Plus", "Hub", "Gen 2", "Connect"),
        (
            _thing("Smart Bulb", "dims with the evening by itself", (9, 49), (60, 120)),
            _thing("Thermostat", "learns when you are home and saves the rest", (79, 249), (180, 420)),
            _thing("Video Doorbell", "shows who rang before you stand up", (59, 249), (200, 480)),
            _thing("Smart Plug, 2-Pack", "tells what each appliance costs", (15, 49), (140, 260)),
            _thing("Air Quality Sensor", "says when to open the window", (49, 199), (120, 340)),
            _thing("Robot Vacuum", "does the floor while you are out", (199, 799), (2900, 4600)),
        ),
        ("White", "Black", "Anthracite", "Oak"),
    ),
)
