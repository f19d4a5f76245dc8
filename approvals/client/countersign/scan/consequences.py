"""Which calls have consequences, by where the called thing comes from.

A name is dotted, from the import on; `()` stands for what a call gave:
`stripe.StripeClient().v1.refunds.create`.
"""

from __future__ import annotations

import ast


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING = _listed(
    "check count describe download exists fetch find get has head is iter iterate list load "
    "lookup open options peek preview query read retrieve search show validate verify view "
    "watch "
)
"""A method whose name begins so changes nothing, as far as its name says."""

ACTING = _listed(
    "abort accept activate add apply approve archive assign associate attach authorize ban "
    "block bulk cancel capture charge chat clear close comment commit complete confirm copy "
    "create deactivate delete deploy destroy detach disable dispatch drop edit emit enable "
    "exec execute expire finalize force forward grant import insert install invite invoke "
    "issue join kick kill lock mark merge modify move mute open pay pin post publish purchase "
    "purge push put reboot refund register reject release remove rename replace reply reset "
    "resolve restart restore resume revert revoke rollback rotate run save scale schedule "
    "send sendmail set share start stop submit subscribe suspend swap terminate transfer "
    "transition trigger truncate unblock uninstall unlock unpublish update upgrade upload upsert "
    "void withdraw write "
)
"""A method with one of these words in its name acts."""

SYSTEMS = {
    module: does
    for does, modules in (
        ("moves money", "stripe paypalrestsdk braintree adyen Adyen square gocardless_pro"),
        ("moves money", "plaid wise modern_treasury dwollav2"),
        ("sends mail", "smtplib aiosmtplib sendgrid mailjet_rest postmarker mailchimp_marketing"),
        ("sends messages to people", "twilio vonage messagebird"),
        ("posts for others to read", "slack_sdk slack discord telegram tweepy"),
        ("changes accounts or infrastructure", "boto3 aioboto3 azure msgraph googleapiclient"),
        ("changes accounts or infrastructure", "okta auth0 keycloak"),
        ("changes the directory", "ldap3 ldap bonsai"),
        ("changes what runs", "kubernetes docker pulumi paramiko fabric ansible_runner"),
        ("changes code or what is built", "github ghapi gitlab git jenkins"),
        ("changes tickets", "jira atlassian zenpy pagerduty asana trello linear"),
        ("changes customers' records", "simple_salesforce hubspot intercom shopify woocommerce"),
        ("changes the books", "quickbooks xero_python netsuitesdk odoorpc"),
        ("changes data", "pymongo motor redis elasticsearch firebase_admin"),
    )
    for module in modules.split()
}
"""What acting in a library's system means, by the module it is imported from."""

COMMANDS = frozenset(
    {
        *(f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")),
        *("subprocess.getoutput", "subprocess.getstatusoutput", "os.system", "os.popen"),
        *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "pty.spawn"),
        *(
            f"os.{verb}{kind}"
            for verb in ("exec", "spawn")
            for kind in ("v", "ve", "vp", "l", "lp")
        ),
        *("pexpect.spawn", "pexpect.run", "anyio.run_process", "anyio.open_process"),
    }
)
DELETING = frozenset(
    {
        *("os.remove", "os.unlink", "os.rmdir", "os.removedirs", "shutil.rmtree", "shutil.move"),
        *("pathlib.Path().unlink", "pathlib.Path().rmdir"),
    }
)
HTTP = frozenset({"requests", "httpx", "aiohttp", "urllib3", "niquests", "httplib2", "http"})
WRITES = frozenset({"post", "put", "patch", "delete"})
READS = frozenset({"get", "head", "options"})
SQL = frozenset({"execute", "executemany", "executescript", "exec_driver_sql"})
CHANGING_SQL = _listed(
    "insert update delete merge replace upsert drop alter create truncate grant revoke call "
    "exec copy "
)


def words(name: str) -> list[str]:
    """The words of an identifier: `chat_postMessage` is chat, post, message."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").lower().split()


def acts(name: str) -> bool:
    """Whether a method of that name changes something, by its words."""
    said = words(name)
    return bool(said) and said[0] not in READING and not ACTING.isdisjoint(said)


def consequence(name: str, call: ast.Call) -> str:
    """What the call does, or nothing; `name` is what it calls, dotted."""
    root, last = name.partition(".")[0].removesuffix("()"), name.rpartition(".")[2]
    if name in COMMANDS:
        return "runs a command"
    if name in DELETING:
        return "deletes or moves files"
    if name == "urllib.request.urlopen":
        return "writes over HTTP" if _given(call, 1, "data") is not None else ""
    if root in HTTP:
        return "writes over HTTP" if _writes(last, call) else ""
    if root in SYSTEMS and "." in name and acts(last):
        return SYSTEMS[root]
    if "." in name and last in SQL:
        return "changes rows" if first_word_of_sql(call) in CHANGING_SQL else ""
    return ""


def _writes(last: str, call: ast.Call) -> bool:
    if last in WRITES:
        return True
    if last not in {"request", "stream", "urlopen"}:
        return False
    method = _given(call, 0, "method")
    said = method.value if isinstance(method, ast.Constant) else ""
    return not isinstance(said, str) or said.lower() not in READS


def _given(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((given.value for given in call.keywords if given.arg == keyword), None)


def first_word_of_sql(call: ast.Call) -> str | None:
    """The statement's first word in lower case; None when the statement is not written there."""
    statement = statement_of(call)
    if statement is None:
        return None
    found = statement.replace("(", " ").split()
    return found[0].lower() if found else ""


def statement_of(call: ast.Call) -> str | None:
    """The SQL a call is given, as far as it is written out there; None when it is not."""
    said: ast.expr | None = call.args[0] if call.args else None
    if isinstance(said, ast.Call) and said.args:  # text("UPDATE …"), SQL("…")
        said = said.args[0]
    if isinstance(said, ast.JoinedStr) and said.values:
        said = said.values[0]
    if isinstance(said, ast.BinOp):
        said = said.left
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        return said.value
    return None
