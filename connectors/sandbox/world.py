"""The fictitious retailer: customers, charges, vendors, accounts, orders, tickets.

Fixed, so that walkthroughs, scripts and tests can name them.
"""

from __future__ import annotations

from dataclasses import dataclass

_NAMES = (
    "Ada Brandt", "Ben Okafor", "Clara Nowak", "David Lindqvist", "Elif Demir", "Farid Haddad",
    "Greta Vogel", "Hana Sato", "Ivan Petrov", "Julia Santos", "Karim Aziz", "Lena Fischer",
    "Marco Ricci", "Nora Jensen", "Oskar Wójcik", "Petra Novák", "Quentin Leroy", "Rosa Jiménez",
    "Samir Patel", "Tove Nilsen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shopper:
    """One customer with one charge, as payments and CRM know them."""

    number: int  # 1001 to 1040

    @property
    def charge(self) -> str:
        return f"ch_{self.number}"

    @property
    def customer(self) -> str:
        return f"cus_{self.number}"

    @property
    def name(self) -> str:
        return _NAMES[(self.number - 1001) % len(_NAMES)]

    @property
    def email(self) -> str:
        return f"customer{self.number}@mail.example"

    @property
    def amount(self) -> int:
        """What was charged, in cents."""
        if self.number == 1001:
            return 200_000
        return 2_900 + ((self.number * 7_919) % 480) * 100 + 99 * (self.number % 2)

    @property
    def segment(self) -> str:
        return ("consumer", "consumer", "loyal", "business")[self.number % 4]

    @property
    def refunds_90d(self) -> int:
        return {1036: 4, 1037: 0, 1038: 6, 1039: 2, 1040: 9}.get(self.number, 0)

    @property
    def complaints_90d(self) -> int:
        return {1036: 0, 1037: 3, 1038: 2, 1039: 1, 1040: 5}.get(self.number, 0)


@dataclass(frozen=True, slots=True)
class VendorRecord:
    id: str
    name: str
    country: str
    payouts_enabled: bool = True
    bank_account: str = "DE89370400440532013000"
    bank_account_since: str = "2023-04-01"


SHOPPERS = tuple(Shopper(number) for number in range(1001, 1041))
"""ch_1001 to ch_1035 have a clean history; ch_1036 to ch_1040 have refunds or complaints."""

VENDORS = (
    VendorRecord("acct_5001", "Nordwind Logistik GmbH", "DE"),
    VendorRecord("acct_5002", "Papierwerk Kollnau", "DE"),
    VendorRecord("acct_5003", "Atelier Lumière SARL", "FR"),
    VendorRecord("acct_5004", "Bright Office Supplies Ltd", "IE"),
    VendorRecord("acct_5005", "Delta Robotics BV", "NL", payouts_enabled=False),
)

PURCHASE_ORDERS = tuple(
    {
        "id": number,
        "vendor": vendor,
        "currency": "EUR",
        "total_minor": total_minor,
        "ordered": 10,
        "received": received,
        "invoiced": 0,
    }
    for number, vendor, total_minor, received in (
        ("PO-7001", "acct_5001", 125_000, 10),
        ("PO-7002", "acct_5002", 12_000, 10),
        ("PO-7003", "acct_5002", 11_000, 10),
        ("PO-7004", "acct_5002", 4_000, 0),  # nothing of it has come yet
        ("PO-7005", "acct_5002", 9_000, 10),
        ("PO-7731", "acct_5001", 64_000, 10),
        ("PO-7790", "acct_5004", 9_000, 10),
    )
)

STAGES = ("lead", "qualified", "proposal", "negotiation", "won", "lost")
ACCOUNTS = tuple(
    {
        "id": f"acct_{2000 + place}",
        "name": shopper.name,
        "email": shopper.email,
        "segment": shopper.segment,
        "stage": STAGES[place % 4],
        "owner": ("mia", "jonas", "leila")[place % 3],
        "phone": f"+49 30 5550 {shopper.number}",
        "notes": "",
        "refunds_90d": shopper.refunds_90d,
        "complaints_90d": shopper.complaints_90d,
    }
    for place, shopper in enumerate(SHOPPERS, start=1)
)
DEALS = tuple(
    {"account": account["id"], "currency": "EUR", "value_minor": 1_250_000 * (1 + place % 9)}
    for place, account in enumerate(ACCOUNTS)
)
"""What each account's open deal is worth: 12,500.00 to 112,500.00 EUR."""
ORDERS = tuple(
    {
        "id": f"ord_{3000 + place}",
        "account": f"acct_{2000 + place}",
        "item": ("desk lamp", "office chair", "standing desk", "monitor arm")[place % 4],
        "quantity": 1 + place % 3,
        "status": ("paid", "packed", "shipped")[place % 3],
        "address": f"Lindenstrasse {place}, 10969 Berlin",
    }
    for place in range(1, 21)
)
TICKETS = tuple(
    {
        "id": f"tick_{4000 + place}",
        "account": f"acct_{2000 + place}",
        "subject": (
            "Lamp arrived broken",
            "Where is my order?",
            "Invoice needs our VAT number",
            "Please change the delivery address",
        )[place % 4],
        "status": "open",
    }
    for place in range(1, 11)
)

USERS = tuple(
    {"id": name, "display_name": display, "active": name != "former.employee"}
    for name, display in (
        ("mia.keller", "Mia Keller"),
        ("jonas.weber", "Jonas Weber"),
        ("leila.amari", "Leila Amari"),
        ("contractor.7", "External contractor 7"),
        ("former.employee", "Former Employee"),
    )
)
GROUPS = (
    {"id": "warehouse-readers", "display_name": "Warehouse: read"},
    {"id": "crm-editors", "display_name": "CRM: edit"},
    {"id": "billing-admins", "display_name": "Billing: administer"},
    {"id": "production-admins", "display_name": "Production: administer"},
)

CONFIGURATION = {
    "checkout": {"max_items": "50", "payment_timeout_seconds": "30", "feature.express": "off"},
    "search": {"index": "products-v7", "results_per_page": "24"},
    "firewall": {"ingress.admin": "10.0.0.0/8", "ingress.public": "443"},
}

SHIPMENTS = tuple(
    {
        "id": f"shp_{6000 + place}",
        "order": f"ord_{3000 + place}",
        "depot": ("BER-1", "HAM-2", "MUC-1")[place % 3],
        "status": "delayed" if place in (2, 5) else "in transit",
        "value": 240_000 if place == 9 else 8_900,  # cents
        "complaints": 2 if place == 8 else 0,
    }
    for place in range(1, 11)
)
SHIPMENT_STATES = (
    "in transit", "delivered", "delayed", "damaged", "payment disputed", "cancelled",
)  # fmt: skip
DEPOTS = ("BER-1", "HAM-2", "MUC-1", "CGN-3")
ROBOTS = (
    {"id": "robot-1", "zone": "A", "status": "idle"},
    {"id": "robot-2", "zone": "B", "status": "idle"},
    {"id": "robot-3", "zone": "C", "status": "maintenance"},
)
