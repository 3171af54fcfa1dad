"""Answers weighed: no, open or yes, for each question and for what follows from several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from aims_mlflow.catalog.questionnaire import Part, Question, Questionnaire

DEFINITION = "ai_system"
IN_UNION = "in_union"
EXCLUDED = "excluded_purpose"
COVERED = "annex_i_covered"
THIRD_PARTY = "annex_i_third_party"
PROFILING = "art6_3_profiling"
NO_INFLUENCE = "art6_3_no_influence"
CONDITIONS = ("art6_3_a", "art6_3_b", "art6_3_c", "art6_3_d")
DOCUMENTED = "art6_4_documented"
MODEL = "gpai_model"
SYSTEMIC = "gpai_systemic"
PROVIDER = "provider"
BECOMES_PROVIDER = ("art25_a", "art25_b", "art25_c", "art25_3")
MANUFACTURER = "art25_3"
OUTSIDE_UNION = "outside_union"
ROLES = (PROVIDER, "deployer", "importer", "distributor")


class Leaning(IntEnum):
    """A truth value. ``or`` is the greater, ``and`` the smaller of two."""

    NO = 0
    OPEN = 1
    YES = 2


_LEANING = {"no": Leaning.NO, "unsure": Leaning.OPEN, "yes": Leaning.YES}


@dataclass(frozen=True)
class Weighed:
    """What a set of answers comes to.

    Args:
        questionnaire: The questions.
        answers: Question id to ``yes``, ``no`` or ``unsure``; what is not in it is open.
    """

    questionnaire: Questionnaire
    answers: Mapping[str, str]

    def of(self, question_id: str) -> Leaning:
        """An answer; of a question that is not answered, the no to the one it stands under."""
        answer = self.answers.get(question_id)
        if answer is not None:
            return _LEANING[answer]
        under = self.questionnaire.by_id[question_id].under
        if under is not None and self.answers.get(under) == "no":
            return Leaning.NO
        return Leaning.OPEN

    def any_of(self, ids: Iterable[str]) -> Leaning:
        """Whether one of several is yes."""
        return max((self.of(one) for one in ids), default=Leaning.NO)

    def part(self, part: Part) -> Leaning:
        """Whether one question of a part is answered yes."""
        return self.any_of(question.id for question in self.questionnaire.by_part[part])

    @cached_property
    def prohibited(self) -> Leaning:
        """Art. 5."""
        return self.part("prohibited")

    @cached_property
    def annex_i(self) -> Leaning:
        """Art. 6(1): a product or safety component, and third-party assessment."""
        return min(self.of(COVERED), self.of(THIRD_PARTY))

    @cached_property
    def listed(self) -> Leaning:
        """A use of Annex III, whether or not Art. 6(3) takes it out."""
        return self.any_of(use.id for use in self.questionnaire.uses)

    @cached_property
    def derogated(self) -> bool:
        """Whether Art. 6(3) takes a listed use out: everything it asks for is answered so, and written down."""
        return (
            self.of(PROFILING) is Leaning.NO
            and self.of(NO_INFLUENCE) is Leaning.YES
            and self.any_of(CONDITIONS) is Leaning.YES
            and self.of(DOCUMENTED) is Leaning.YES
        )

    @cached_property
    def annex_iii(self) -> Leaning:
        """Art. 6(2): a use of Annex III that Art. 6(3) does not take out. An exception that is not shown is none."""
        return Leaning.NO if self.derogated else self.listed

    @cached_property
    def high(self) -> Leaning:
        """Art. 6."""
        return max(self.annex_i, self.annex_iii)

    @cached_property
    def limited(self) -> Leaning:
        """Art. 50."""
        return self.part("transparency")

    @cached_property
    def is_no_ai(self) -> bool:
        """Whether the questionnaire ends with Art. 3(1), and no other answer speaks of a risk the Act knows."""
        return self.of(DEFINITION) is Leaning.NO and max(self.prohibited, self.high, self.limited) < Leaning.YES

    @cached_property
    def is_out_of_reach(self) -> bool:
        """Whether the Act does not reach it, by what was answered; what is open does not count."""
        return self.of(IN_UNION) is Leaning.NO or self.of(EXCLUDED) is Leaning.YES

    def role(self, role: str) -> Leaning:
        """Whether the organization has a role; by Art. 25 it may become the provider."""
        if role != PROVIDER:
            return self.of(role)
        becomes = [one for one in BECOMES_PROVIDER if one in self.answers or self._asks_for_role(one)]
        return max(self.of(role), self.any_of(becomes))

    def is_asked(self, question: Question) -> bool:
        """Whether the answers given so far leave a question anything to change."""
        part = question.part
        if part == "definition":
            return True
        if self.is_no_ai or self._is_answered_above(question):
            return False
        if self.prohibited is Leaning.YES:
            return part in ("reach", "prohibited")
        match part:
            case "annex_i":
                return question.id == COVERED or self.of(COVERED) > Leaning.NO
            case "derogation":
                return self._asks_for_derogation(question.id)
            case "role":
                return self._asks_for_role(question.id)
            case "detail":
                return self.high > Leaning.NO or (question.id == OUTSIDE_UNION and self.of(MODEL) > Leaning.NO)
            case _:
                return True

    def _is_answered_above(self, question: Question) -> bool:
        """Whether the no to the question it stands under answers it; one with an answer of its own keeps that."""
        return question.under is not None and question.id not in self.answers and self.of(question.under) is Leaning.NO

    def _asks_for_derogation(self, question_id: str) -> bool:
        if self.listed is Leaning.NO or self.annex_i is Leaning.YES:
            return False
        if question_id == PROFILING:
            return True
        if self.of(PROFILING) is Leaning.YES:
            return False
        if question_id == NO_INFLUENCE:
            return True
        if self.of(NO_INFLUENCE) is Leaning.NO:
            return False
        if question_id == DOCUMENTED:
            return self.any_of(CONDITIONS) > Leaning.NO
        return self.any_of(one for one in CONDITIONS if one != question_id) < Leaning.YES

    def _asks_for_role(self, question_id: str) -> bool:
        if question_id not in BECOMES_PROVIDER:
            return True
        if self.of(PROVIDER) is Leaning.YES or self.high is Leaning.NO:
            return False
        return question_id != MANUFACTURER or self.annex_i > Leaning.NO
