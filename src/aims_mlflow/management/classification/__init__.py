"""The risk class of an AI system in the words of the EU AI Act, from answers to a questionnaire. Pure; no legal advice.

Every answer set gives a class, the same one each time. What is unsure or unanswered never makes it lighter: where it
could still be prohibited or high-risk it is ``unclassified``, and the open questions are named.
"""

from aims_mlflow.management.classification.answers import Answer, answers_from, checked, next_question
from aims_mlflow.management.classification.classify import classify
from aims_mlflow.management.classification.outcome import (
    Classification,
    DueDuty,
    Matters,
    OpenQuestion,
    Reason,
    is_lighter,
)

__all__ = [
    "Answer",
    "Classification",
    "DueDuty",
    "Matters",
    "OpenQuestion",
    "Reason",
    "answers_from",
    "checked",
    "classify",
    "is_lighter",
    "next_question",
]
