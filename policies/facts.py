"""What rules may ask about. One declaration serves CEL's types, the documentation and storage.

A fact is a field of one of the small dataclasses below; its CEL name is the group and the field
joined by a dot (`action.amount`). Amounts are minor units of `action.currency`; what ends in
`_base`, and every sum over several requests, is minor units of the base currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cache
from typing import Any, TypeAlias, cast, get_args, get_origin, get_type_hints

FactValue: TypeAlias = "bool | int | float | str | tuple[str, ...]"


def fact(meaning: str, default: FactValue) -> Any:
    """Declare a fact with the sentence that explains it to whoever writes rules."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFacts:
    type: str = fact("Key of the action type, such as refund.issue.", "")
    verb: str = fact("read, draft, send, update, delete, pay, grant or execute.", "")
    system: str = fact("The target system.", "")
    reversibility: str = fact(
        "read-only, reversible, externally reversible or irreversible.", "irreversible"
    )
    amount: int = fact("Amount in minor units; 0 when the action moves no money.", 0)
    currency: str = fact("ISO 4217 code; empty when the action moves no money.", "")
    amount_base: int = fact("The amount in minor units of the base currency.", 0)
    rate_known: bool = fact("There is an exchange rate for the currency, not too old.", True)
    target: str = fact("The object acted on.", "")
    counterparty: str = fact("Who receives it: payee, recipient, user.", "")
    data_classes: tuple[str, ...] = fact("Classes of data the params carry.", ())
    is_undo: bool = fact("It undoes an earlier action.", False)
    supervised: bool = fact("A person starts it and watches.", False)
    execution: str = fact(
        "Who carries it out: connector; mcp, a tool of another MCP server; or agent for what the "
        "agent does itself on a grant, which counts one tier higher.",
        "connector",
    )
    sample: int = fact("0 to 99, drawn per target and day: below 10 is a tenth of all.", 99)
    triggers: tuple[str, ...] = fact(
        "Triggers that fired for its agent, type or connection and that nobody has ended: it never "
        "runs by itself.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequesterFacts:
    """On whose behalf it was proposed. Somebody unknown, or nobody, has no authority to lend."""

    name: str = fact("On whose behalf it was proposed, as the agent named them.", "")
    known: bool = fact("They have an account here.", False)
    over_ceiling: bool = fact(
        "The amount is above what they could approve themselves. With nobody known named, above "
        "the agent's own ceiling (one without a ceiling has no authority of its own), or above "
        "what whoever it named before in the session could.",
        False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    name: str = fact("The agent's name.", "")
    team: str = fact("The agent's team.", "")
    owner: str = fact("User name of the agent's owner.", "")
    level: int = fact("0 on probation, 1 ordinary, 2 proven, 3 trusted.", 1)
    age_days: int = fact("Days since the agent was registered.", 0)
    ceiling: int = fact("The agent's own ceiling in minor units; 0 means none is set.", 0)
    over_ceiling: bool = fact("The amount is above the agent's ceiling.", False)
    over_budget: bool = fact("Above one of the agent's budgets for 24 hours.", False)
    overrides_30d: int = fact("Its proposals people rejected or edited in 30 days.", 0)
    confidence: float = fact("The model's own confidence, 0 to 1; -1 when it stated none.", -1.0)
    signed: bool = fact("It signed the message that proposed this (RFC 9421).", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What the agent says produced the proposal: its word, never to be trusted."""

    id: str = fact("The model it names; empty when it names none.", "")
    prompt_version: str = fact("The version of its prompt; empty when it names none.", "")
    differs: bool = fact("It names another model than the agent was registered with.", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFacts:
    id: str = fact("The customer as the system of record names them; empty: unknown.", "")
    known: bool = fact("The target system knows the customer.", False)
    segment: str = fact("Customer segment as the system of record has it.", "")
    refunds_90d: int = fact("Refunds to this customer in 90 days, by the system of record.", 0)
    complaints_90d: int = fact("Complaints of this customer in 90 days.", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFacts:
    kinds: tuple[str, ...] = fact("Kinds of evidence the system has read.", ())
    from_people: tuple[str, ...] = fact("Kinds a colleague has supplied.", ())
    supplied: tuple[str, ...] = fact(
        "Kinds the agent has supplied: fresh, with something to read, nothing flagged in it.", ()
    )
    missing_purchase_order: bool = fact("A payment whose invoice names no purchase order.", False)
    missing: tuple[str, ...] = fact("Kinds the policy in force asks for that are not there.", ())
    stale: tuple[str, ...] = fact("Kinds of the agent's sources older than 24 hours.", ())
    conflicting: bool = fact("Sources of the agent contradict each other or the system.", False)
    lowest_authority: str = fact(
        "The least trusted of the agent's sources: official, internal, external, unknown; empty: "
        "it named no source.",
        "",
    )
    preview_available: bool = fact("The target could be read before deciding.", True)
    flags: tuple[str, ...] = fact(
        "What the detectors found in agent text: injection, bidi, invisible, look-alike, "
        "contradiction, long, markup, link.",
        (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityFacts:
    """What was proposed before, whatever became of it except what ended without effect.

    Windows are whole hours: "24 hours" never means less. Every count and sum includes this one.
    """

    target_count_24h: int = fact("Requests of this type on the same target in 24 hours.", 1)
    target_sum_24h: int = fact("Their amounts, in the base currency.", 0)
    target_count_30d: int = fact("The same in 30 days.", 1)
    target_sum_30d: int = fact("Their amounts, in the base currency.", 0)
    customer_count_24h: int = fact(
        "Requests of this type for the same customer or counterparty in 24 hours, whatever the "
        "target, agent, key or currency.",
        1,
    )
    customer_sum_24h: int = fact("Their amounts, in the base currency.", 0)
    customer_count_30d: int = fact("The same in 30 days.", 1)
    customer_sum_30d: int = fact("Their amounts, in the base currency.", 0)
    agent_count_24h: int = fact("Requests of the same agent in 24 hours.", 1)
    agent_sum_24h: int = fact("Their amounts, in the base currency: its spend today.", 0)
    agent_allowed_24h: int = fact(
        "Of that, what policy allowed without a person, this one included.", 0
    )
    agent_count_30d: int = fact("Requests of the same agent in 30 days.", 1)
    agent_sum_30d: int = fact("Their amounts, in the base currency.", 0)
    owner_count_24h: int = fact("Requests of all agents of the same owner in 24 hours.", 1)
    owner_sum_24h: int = fact("Their amounts, in the base currency.", 0)
    owner_allowed_24h: int = fact(
        "Of that, what policy allowed without a person, this one included.", 0
    )
    owner_count_30d: int = fact("Requests of all agents of the same owner in 30 days.", 1)
    owner_sum_30d: int = fact("Their amounts, in the base currency.", 0)
    duplicates: int = fact("Open or done requests with the same business key in 24 hours.", 0)
    rejected_24h: int = fact("Times a person rejected exactly this action in 24 hours.", 0)
    first_for_counterparty: bool = fact("No earlier request to this counterparty succeeded.", True)


SOURCE_CLASSES = ("own", "authenticated", "public", "unknown")
"""Where what an agent read came from, from the most trusted; what it does not say is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What the same agent did in the same session; a session ends for nobody who leaves it out.

    Counts and sums include this request and leave out what ended without effect. Sources are the
    agent's word: rules that ask about them may raise a tier, ask people or deny, never allow.
    """

    named: bool = fact("It belongs to a session.", False)
    count: int = fact("Requests of the session.", 1)
    sum_base: int = fact("Their amounts, in the base currency.", 0)
    highest_tier: int = fact("The highest tier of the session's other requests; 0: none.", 0)
    systems: tuple[str, ...] = fact("The systems the session's requests act on.", ())
    goes_beyond: bool = fact(
        "Others came before it in the session, and none that was approved or allowed acts on this "
        "system. Reading, drafting and undoing go beyond nothing.",
        False,
    )
    sources: tuple[str, ...] = fact(
        "Classes of all the agent has read in the session, only ever added to: own, "
        "authenticated, public, unknown.",
        ("unknown",),
    )
    worst_source: str = fact("The least trusted of them, in that order.", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """The plan an action is a step of: several actions judged together and done in order."""

    steps: int = fact("Steps of its plan; 0: it is in none.", 0)
    step: int = fact("Which of them it is, from 1.", 0)
    sum_base: int = fact("The amounts of all steps, in the base currency.", 0)
    systems: tuple[str, ...] = fact("The systems the steps act on.", ())
    irreversible: int = fact("Steps nothing here can undo.", 0)
    highest_tier: int = fact("The highest tier of all steps; it governs each of them.", 0)
    verdict: str = fact("The strictest verdict on any step; it governs each of them.", "allow")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFacts:
    today: str = fact("The date where the policy's business hours are, such as 2026-11-20.", "")
    month_ago: str = fact("The date 30 days before that.", "")
    weekday: str = fact("The day of the week there: mon, tue, wed, thu, fri, sat or sun.", "mon")
    hour: int = fact("The full hour there, 0 to 23.", 12)
    business_hours: bool = fact("Within the policy's business hours.", True)
    open_windows: tuple[str, ...] = fact("Names of the change windows open now.", ())
    freezes: tuple[str, ...] = fact("Names of the freezes that cover this action type now.", ())


CASE = ("params", "before", "after", "target")
"""What a rule that names its action types (`on`) may look into as well: `params.fields.stage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The case itself: JSON objects, whose fields differ from one action type to another.

    None is not known; so is a field that is not there. Whoever asks for it all the same gets an
    error, and people decide: rules ask `has(params.note)` first.
    """

    params: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    target: Mapping[str, Any] | None = None
    """The facts that the operation itself declares."""

    def known(self) -> dict[str, Mapping[str, Any]]:
        """What is known of it, by name."""
        return {name: part for name in CASE if (part := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a rule may ask about one request."""

    action: ActionFacts = field(default_factory=ActionFacts)
    requester: RequesterFacts = field(default_factory=RequesterFacts)
    agent: AgentFacts = field(default_factory=AgentFacts)
    model: ModelFacts = field(default_factory=ModelFacts)
    customer: CustomerFacts = field(default_factory=CustomerFacts)
    evidence: EvidenceFacts = field(default_factory=EvidenceFacts)
    velocity: VelocityFacts = field(default_factory=VelocityFacts)
    session: SessionFacts = field(default_factory=SessionFacts)
    plan: PlanFacts = field(default_factory=PlanFacts)
    time: TimeFacts = field(default_factory=TimeFacts)
    case: Case = field(default_factory=Case)

    def flat(self) -> dict[str, Any]:
        """The facts by CEL name, as CEL and canonical JSON take them."""
        result: dict[str, Any] = dict(self.case.known())
        for name in declared():
            group, _, item = name.partition(".")
            value = getattr(getattr(self, group), item)
            result[name] = list(value) if isinstance(value, tuple) else value
        return result

    @classmethod
    def from_flat(cls, values: Mapping[str, object]) -> Facts:
        """The facts of `flat()`, read back; facts not named keep their defaults.

        Raises FactError for a name that is not declared or a value of another type.
        """
        known = declared()
        groups: dict[str, dict[str, object]] = {item.name: {} for item in fields(cls)}
        for name, value in values.items():
            if name in CASE:
                groups["case"][name] = _part(name, value)
                continue
            if name not in known:
                raise FactError(name, f"'{name}' is not a fact.")
            group, _, item_name = name.partition(".")
            groups[group][item_name] = known[name].accept(value)
        kinds = get_type_hints(cls)
        return cls(**{name: kinds[name](**given) for name, given in groups.items()})


def _part(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FactError(name, f"{name} is an object with fields, not {value!r}.")
    return value


def weekday_of(today: object, otherwise: str) -> str:
    """The weekday of a stored `time.today`; `otherwise` where that is no date."""
    try:
        return WEEKDAYS[date.fromisoformat(str(today)).weekday()]
    except ValueError:
        return otherwise


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class FactError(ValueError):
    """A fact that is not declared, or a value that is not of the fact's type."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Declaration:
    """One fact as rules see it."""

    name: str  # "action.amount"
    kind: type  # bool, int, float, str, or tuple for a list of strings
    meaning: str
    default: FactValue

    def accept(self, value: object) -> FactValue:
        """The value in the fact's own type; raises FactError for what is not of that type."""
        if self.kind is tuple:
            if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
                return tuple(value)
        elif self.kind is float:
            # A whole number is a fine confidence; True and NaN are not.
            if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
                return float(value) + 0.0  # -0.0 is 0.0: what is equal answers alike
        elif self.kind is int:
            # CEL counts in 64 bits.
            if type(value) is int and -(2**63) <= value < 2**63:
                return value
        elif type(value) is self.kind:
            return value  # type: ignore[return-value]
        raise FactError(self.name, f"{self.name} is {self.type_name}, not {value!r}.")

    @property
    def type_name(self) -> str:
        return {
            bool: "true or false",
            int: "a whole number",
            float: "a decimal number",
            str: "text",
            tuple: "a list of texts",
        }[self.kind]


@cache
def declared() -> dict[str, Declaration]:
    """Every fact by its CEL name, in order of declaration."""
    result: dict[str, Declaration] = {}
    for group, kind in get_type_hints(Facts).items():
        if kind is Case:
            continue
        hints = get_type_hints(kind)
        for item in fields(kind):
            hint = hints[item.name]
            name = f"{group}.{item.name}"
            result[name] = Declaration(
                name,
                tuple if get_origin(hint) is tuple and str in get_args(hint) else hint,
                item.metadata["meaning"],
                cast("FactValue", item.default),
            )
    return result
