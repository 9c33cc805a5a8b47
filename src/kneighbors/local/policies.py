"""``iam:SimulatePrincipalPolicy``: on this machine everybody may do everything.

SageMaker's SDK asks for it before it trains or builds a model, and moto does not have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from kneighbors.local.faults import Fault

ACTION = "SimulatePrincipalPolicy"
_ARN = re.compile(r"arn:[\w-]+:iam::\d{12}:(user|group|role)/.+")


def simulate_principal_policy(form: Mapping[str, str]) -> str:
    """Return the answer's XML: every action asked for is allowed.

    Parameters
    ----------
    form : mapping of str to str
        The request, as the query protocol has it.

    Raises
    ------
    Fault
        ``InvalidInput`` for a principal that is no ARN of IAM, or no action.
    """
    principal = form.get("PolicySourceArn", "")
    if not _ARN.fullmatch(principal):
        raise Fault("InvalidInput", f"Invalid ARN: {principal!r} is no user, group or role.")
    actions = list(_members(form, "ActionNames"))
    if not actions:
        raise Fault("InvalidInput", "ActionNames must have at least one member.")
    resources = list(_members(form, "ResourceArns")) or ["*"]
    results = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName>"
        f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
        "<EvalDecision>allowed</EvalDecision><MatchedStatements/><MissingContextValues/></member>"
        for action in actions
        for resource in resources
    )
    return (
        f'<{ACTION}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<{ACTION}Result><IsTruncated>false</IsTruncated>"
        f"<EvaluationResults>{results}</EvaluationResults></{ACTION}Result>"
        f"</{ACTION}Response>"
    )


def _members(form: Mapping[str, str], name: str) -> Iterator[str]:
    number = 1
    while (value := form.get(f"{name}.member.{number}")) is not None:
        yield value
        number += 1
