"""What can be proposed to the change system."""

from __future__ import annotations

from connectors.catalogue import ActionType, Reversibility, Verb
from connectors.schema import free_text, identifier, params_object
from connectors.wording import quoted, text

_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?"

CONFIG_CHANGE = ActionType(
    key="config.change",
    version=1,
    title="Change a production setting",
    verb=Verb.EXECUTE,
    system="changes",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "service": identifier(_NAME, 'A service such as "checkout".'),
            "key": identifier(_NAME, 'A setting that exists, such as "max_items".'),
            "value": free_text("The new value, as text.", longest=2000, shortest=0),
        }
    ),
    target=lambda params: f"setting {text(params, 'key')} of {text(params, 'service')}",
    effect=lambda params: (
        f"Set {text(params, 'key')} of service {text(params, 'service')} in production "
        f"to {quoted(text(params, 'value'))}."
    ),
    undo="The earlier value can be set again (config.change).",
    protected=frozenset({"service"}),
    undo_type="config.change",
)

ACTION_TYPES = (CONFIG_CHANGE,)
