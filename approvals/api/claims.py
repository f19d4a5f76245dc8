"""What the README says Countersign is, sentence by sentence: the code, the proof, and the limits.

Served at /api/v1/claims/. `tests/architecture/test_claims.py` holds every sentence of the README's
"What it is" against an entry here, and every place named here against what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from approvals.api.views import AgentView


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence. Code is a path, or `path:name`; a test is `path::name`."""

    sentence: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    not_claimed: tuple[str, ...]

    @property
    def plain(self) -> str:
        """The sentence without Markdown."""
        return self.sentence.replace("*", "").replace("`", "")


CLAIMS = (
    Claim(
        "The back office where people approve what AI agents want to do.",
        (
            "approvals/admin/inboxes.py",
            "approvals/admin/review_page.py",
            "approvals/services/decide.py:approve",
        ),
        (
            "tests/journeys/test_days.py::"
            "test_a_refund_is_proposed_approved_carried_out_verified_and_proved",
            "tests/agents/test_examples.py::"
            "test_people_decide_while_the_agent_is_dead_and_each_run_ends_as_they_decided",
        ),
        (
            "That an agent can do nothing else. One that holds a system's credential acts without "
            "asking; countersign scan names such calls, and says what it cannot see.",
            "That a person who approves has understood. They are shown what would happen and what "
            "a mistake would cost; reading it is theirs.",
        ),
    ),
    Claim(
        "An agent *proposes* a bounded action over a REST API or MCP: a refund, a payment, an "
        "access right, a customer mail.",
        (
            "approvals/api/views.py:ActionsView",
            "approvals/mcp/views.py:McpView",
            "connectors/params.py:validate_params",
        ),
        (
            "tests/approvals/test_intake.py::"
            "test_params_the_type_does_not_accept_are_named_and_nothing_is_stored",
            "tests/api/test_proposing.py::test_an_action_type_the_agent_was_not_given_is_refused",
            "tests/mcp/test_calling.py::test_what_waits_for_people_is_answered_at_once_as_not_done",
        ),
        (
            "That what an agent says is true. Its words and its evidence are shown as its own, and "
            "decide nothing by themselves.",
        ),
    ),
    Claim(
        "Deterministic code classifies its risk, reads the target, evaluates policy and routes it "
        "to people with the authority to decide.",
        (
            "approvals/domain/intake.py",
            "policies/evaluate.py:evaluate",
            "policies/authority.py",
            "approvals/domain/routing.py",
        ),
        (
            "tests/approvals/test_intake.py::"
            "test_amount_and_target_come_from_params_whatever_the_text_says",
            "tests/policies/test_evaluate.py::"
            "test_one_more_matching_rule_never_makes_the_answer_milder",
            "tests/approvals/test_routing.py::"
            "test_it_climbs_to_whoever_has_a_limit_that_covers_the_amount",
        ),
        (
            "That a policy is right. Two people publish each version, it is replayed against past "
            "requests first, and the floor below it is others'; what it says is theirs.",
            "That the target tells the truth. What it answers is what is evaluated, and it is read "
            "again before anything is done.",
        ),
    ),
    Claim(
        "They approve, edit, reject, ask or escalate in the admin, within their limits and never "
        "on anything they had a hand in.",
        (
            "approvals/admin/review_actions.py",
            "approvals/services/decide.py",
            "approvals/services/edit.py",
            "policies/authority_rules.py",
        ),
        (
            "tests/approvals/test_deciding.py::"
            "test_the_one_yes_needed_unlocks_exactly_what_was_shown",
            "tests/approvals/test_edits.py::"
            "test_the_editor_does_not_approve_the_edit_and_a_colleague_may",
            "tests/approvals/test_separation.py::"
            "test_they_neither_approve_nor_reject_under_any_account",
            "tests/policies/test_authority_of_accounts.py::test_a_superuser_has_no_way_around",
        ),
        (
            "That two people who conspire are stopped. Where policy asks for two, two are needed; "
            "the trail keeps who they were.",
            "That somebody who uses another's open session and password is told from them.",
            "Break-glass lets one person approve alone, whatever their limit, though never what "
            "they had a hand in; others review it afterwards.",
        ),
    ),
    Claim(
        "A worker then carries out exactly what was approved, at most once, reads the effect back, "
        "and can have it undone.",
        (
            "approvals/services/execute.py:execute",
            "approvals/domain/attempts.py",
            "approvals/services/recover.py",
            "approvals/services/verify.py",
            "approvals/services/undo.py",
            "connectors/catalogue.py:AtMostOnce",
        ),
        (
            "tests/races/test_executing.py::test_many_executors_make_one_attempt",
            "tests/faults/test_workers_killed.py::"
            "test_a_call_still_on_its_way_when_its_worker_dies_has_one_effect",
            "tests/faults/test_workers_killed.py::"
            "test_a_mail_nobody_can_find_after_its_worker_died_is_left_to_a_person",
            "tests/approvals/test_execution.py::test_bytes_that_were_changed_are_refused_by_name",
            "tests/connectors/test_contract.py::"
            "test_verification_notices_a_target_changed_behind_our_back",
            "tests/approvals/test_undo.py::"
            "test_an_undo_is_approved_by_itself_and_restores_what_was",
        ),
        (
            "That it happens. At most once is the promise: when an answer is lost and the system "
            "cannot be asked, the outcome is unknown, nothing is sent again, and a person finds "
            "out.",
            "More than the target keeps. Each action type names its proof; one that relies on the "
            "target's memory of keys holds for as long as the target remembers.",
            "That everything can be undone. What is irreversible says so before it is approved, "
            "and an undo is a request of its own.",
        ),
    ),
    Claim(
        "Everything is in an append-only, HMAC-chained trail that `manage.py verify_audit` checks.",
        (
            "audit/chain.py",
            "audit/protection.py",
            "audit/verify.py:verify",
            "audit/management/commands/verify_audit.py",
        ),
        (
            "tests/audit/test_append_only.py::test_the_database_refuses_to_change_an_event",
            "tests/audit/test_tampering.py::test_any_change_of_any_column_of_any_event_is_found",
            "tests/audit/test_verifying.py::test_the_command_fails_with_the_first_bad_record",
        ),
        (
            "That it cannot be forged by somebody who owns the database and has AUDIT_KEY. Keep "
            "them apart; manage.py harden_database makes the roles for it.",
            "That a database put back whole with its newest-event file is noticed.",
            "Everything means what changes something: proposals, decisions, executions, policy, "
            "people. Who read a page is not kept.",
        ),
    ),
    Claim(
        "The model may propose; deterministic systems decide what is allowed; people approve the "
        "*action*.",
        (
            "policies/evaluate.py",
            "approvals/selectors/review_snapshot.py:ReviewedSnapshot",
            "approvals/domain/drift.py",
        ),
        (
            "tests/policies/test_evaluate.py::"
            "test_from_tier_four_nothing_is_ever_allowed_without_people",
            "tests/approvals/test_edits.py::test_approvals_given_before_an_edit_are_void",
            "tests/approvals/test_drift.py::test_it_goes_back_with_a_new_version_and_a_reason",
        ),
        (
            "That people see everything: what policy allows by itself runs without them, and an "
            "action is judged by what it does, not by how the model came to it.",
        ),
    ),
)


class ClaimsView(AgentView):
    """The page; like the API's documentation it takes no key."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "approvals/what_is_claimed.html", {"claims": CLAIMS})
