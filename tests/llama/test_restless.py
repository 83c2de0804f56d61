"""What engines must say, once more in caches that change their size at random: by no need, and under every answer."""

import pytest

from tests.llama.test_engine import test_greedy_text_is_the_same_with_and_without_drafting  # noqa: F401
from tests.llama.test_kinds import (  # noqa: F401
    fresh,
    kind,
    models,
    test_a_batch_changes_no_text,
    test_guesses_change_no_text,
)
from tests.llama.test_lora import (  # noqa: F401
    changes,
    files,
    test_requests_with_other_adapters_side_by_side_say_what_they_say_alone,
)
from tests.llama.test_overflow import test_drafts_change_no_token_of_a_rolling_answer  # noqa: F401
from tests.llama.test_soak import test_a_crowd_gets_what_each_would_get_alone  # noqa: F401

pytestmark = pytest.mark.usefixtures("restless")
