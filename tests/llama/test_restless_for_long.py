"""More of `test_restless`."""

import pytest

from tests.llama.test_engine import (  # noqa: F401
    test_a_reused_prefix_gives_the_same_text_as_a_fresh_one,
    test_more_answers_than_the_cache_holds_are_all_given,
    test_the_same_seed_gives_the_same_text_alone_or_in_a_batch,
    test_who_gives_way_to_the_window_or_is_not_read_says_the_same,
)
from tests.llama.test_grammar import test_several_streams_with_seeds_and_drafts_say_what_they_say_alone  # noqa: F401
from tests.llama.test_kinds import (  # noqa: F401
    kind,
    models,
    test_a_window_from_ram_is_continued_but_never_cut,
    test_an_edited_prompt_goes_on_from_where_it_can,
    test_an_idle_window_keeps_its_past_while_others_need_cells,
    test_in_a_long_chat_whose_history_changes_only_the_last_turn_is_read,
    test_the_same_prompt_again_reads_a_handful_of_tokens,
)
from tests.llama.test_kv_layout import (  # noqa: F401
    test_a_running_sequence_shares_its_prefix_with_another_stream,
    test_both_layouts_give_the_same_greedy_text,
    test_sampled_answers_in_streams_are_those_of_one_pool,
)
from tests.llama.test_logprobs import test_they_are_the_same_with_drafts_in_a_batch  # noqa: F401
from tests.llama.test_overflow import (  # noqa: F401
    flat,
    test_a_rolled_answer_leaves_only_its_head,
    test_an_answer_goes_on_beyond_the_context,
    test_those_who_share_its_prompt_do_not_notice,
)
from tests.llama.test_prompt_tiers import (  # noqa: F401
    folder,
    test_a_conversation_from_ram_goes_on_with_the_same_text,
    test_a_restart_reuses_the_prompt_from_disk_with_the_same_text,
)
from tests.llama.test_sampling import (  # noqa: F401
    test_samplers_with_a_state_say_the_same_alone_in_a_batch_and_with_drafts,
)

pytestmark = [pytest.mark.usefixtures("restless"), pytest.mark.real]
