"""The expectation that Data Docs show in place of every rule. Importing this module imports Great Expectations (seconds).

Great Expectations renders a result by making its expectation again, which it can do only of types and arguments it knows;
a rule that is in no file any more has neither. This one takes any: the rule's text is its description.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.expectations.expectation import BatchExpectation


class PdicShownRule(BatchExpectation):
    """A rule as text, under the column it is about. It is rendered, never evaluated."""

    column: str = "Table-Level Expectations"
    meta_properties_to_render: dict[str, str] | None = None

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.TABLE

    def _validate(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError("a shown rule is not evaluated")
