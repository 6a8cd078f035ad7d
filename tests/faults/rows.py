"""What can go wrong between agentkit and the world, what it does then, and the tests that show it.

Six groups: N the network, H statuses and headers, B bodies, S streams, T calls that the model writes, X tools. The
page docs/faults.md is made of this table; tests/faults/test_rows.py checks that every test named here exists.
"""

from __future__ import annotations

from typing import NamedTuple

C, W, R = "tests/test_client.py::", "tests/test_wire.py::", "tests/test_retry.py::"
ST, J, G = "tests/test_status.py::", "tests/test_json.py::", "tests/test_gate.py::"
SSE, F, RE = "tests/test_sse.py::", "tests/test_fold.py::", "tests/test_response.py::"
RUN, E, A = "tests/test_run.py::", "tests/test_execute.py::", "tests/test_arguments.py::"
TR, TO, OU = "tests/test_transcript.py::", "tests/test_tools.py::", "tests/test_output.py::"
NET, ANS, RUNS = "tests/faults/test_network.py::", "tests/faults/test_answers.py::", "tests/faults/test_runs.py::"
OUT, GOLD = "tests/faults/test_outage.py::", "tests/faults/test_golden.py::"
BROKEN, WHOLE, TABLE = W + "test_broken_answers", W + "test_answers_of_many_shapes", R + "test_the_table"
ONCE_MORE = ANS + "test_what_breaks_the_protocol_is_asked_for_once_more"
UNREADABLE = ANS + "test_json_that_isnt_any_is_a_typed_error"
WAYS, FOLDS = F + "test_every_way_of_sending_gives_the_same_response", F + "test_what_events_fold_into"
CONTRADICTS = F + "test_a_stream_that_contradicts_itself_is_broken"
SPLIT = SSE + "test_events_are_the_same_however_they_are_split"
CUT_ANYWHERE = GOLD + "test_a_stream_broken_at_any_byte_is_begun_again_or_whole"
MISTAKES, FAILS = E + "TestMistakesOfTheModel::", E + "TestFailuresOfTools::"
WRONG = MISTAKES + "test_wrong_arguments_are_told_and_nothing_runs"
REFUSED_ARGUMENTS = A + "test_refused_in_words_for_the_model"
HOSTILE = A + "test_hostile_text_is_refused_quickly_and_hardly_quoted"


class Row(NamedTuple):
    """One thing that goes wrong."""

    fault: str
    does: str
    """What agentkit does."""
    tests: tuple[str, ...]


def row(fault: str, does: str, *tests: str) -> Row:
    return Row(fault, does, tests)


ROWS: dict[str, Row] = {
    # the network
    "N01": row("connection refused", "tries again, first after up to 0.5 s", W + "test_nobody_listens", TABLE),
    "N02": row(
        "the host has no address", "tries once more, then names the host", W + "test_a_name_that_does_not_resolve"
    ),
    "N03": row(
        "the address changes",
        "looks it up for each connection",
        NET + "test_a_name_is_looked_up_anew_for_each_connection",
    ),
    "N04": row(
        "no answer to a connection",
        "gives up at `Timeouts.connect`, tries again",
        NET + "test_a_host_that_takes_no_connections_is_given_up_at_the_connect_deadline",
        TABLE,
    ),
    "N05": row(
        "certificate expired, self-signed, of another host",
        "fails at once, names host and reason",
        W + "test_a_certificate_that_is_not_trusted",
        NET + "test_an_expired_certificate_is_told_and_not_tried_again",
        TABLE,
    ),
    "N06": row(
        "TLS handshake stalls or fails",
        "`Timeouts.connect` holds for it",
        W + "test_connecting_takes_too_long",
        W + "test_a_handshake_that_fails",
    ),
    "N07": row(
        "reset before the status line",
        "tries again; the attempt is told in `RetryWaiting` and `error.attempts`",
        BROKEN,
        NET + "test_a_reset_before_the_answer_is_told_and_tried_again",
    ),
    "N08": row(
        "a kept connection was closed",
        "sends again at once, which counts as no attempt",
        W + "test_a_stale_connection_costs_no_attempt",
        W + "test_a_500_and_a_reset_of_the_kept_connection",
    ),
    "N09": row("reset in the headers", "tries again", BROKEN),
    "N10": row("reset in the body", "discards it, tries again", BROKEN),
    "N11": row("body shorter than announced", "tries again", BROKEN),
    "N12": row(
        "body longer than announced",
        "takes what was announced, closes the connection",
        W + "test_surplus_bytes_are_not_the_next_answer",
    ),
    "N13": row("bad chunk size, no last chunk", "tries again", BROKEN),
    "N14": row(
        "silence before the headers",
        "of a stream: `Timeouts.first_byte`, tries again; of a plain answer: `Timeouts.total`, final",
        W + "test_deadlines",
    ),
    "N15": row(
        "a byte now and then, for ever",
        "`Timeouts.total`, or `Timeouts.event` of a stream",
        W + "test_a_drip_does_not_hold_off_the_total_deadline",
        W + "test_pings_are_no_events",
        W + "test_a_dripped_answer",
    ),
    "N16": row("the upload stalls", "`Timeouts.write`, tries again", W + "test_an_upload_that_stalls"),
    "N17": row(
        "413 or 400 before the upload ends",
        "reads it and stops sending; final",
        NET + "test_a_refused_upload_is_told_by_its_answer",
        NET + "test_a_large_upload_is_read_whole_whatever_the_server_says_meanwhile",
        BROKEN,
    ),
    "N18": row("1xx before the answer", "passes over it", WHOLE),
    "N19": row("HTTP/2 errors", "HTTP/2 isn't offered", NET + "test_http_2_is_not_offered"),
    "N20": row(
        "a dead or refusing proxy in the environment",
        "names the proxy; `trust_env=False` and `NO_PROXY` leave it out",
        W + "test_a_dead_proxy_is_named",
        W + "test_no_proxy",
        W + "test_a_proxy_that_refuses",
        W + "test_a_proxy_that_cannot_be_used",
    ),
    "N21": row(
        "more requests than places",
        "they queue; `Timeouts.pool` bounds the wait",
        NET + "test_a_thousand_requests_share_a_hundred_places",
        G + "test_patience_ends",
        W + "test_many_connections_at_once",
    ),
    "N22": row("the process forks", "the child begins with new connections", C + "test_a_fork_with_a_request_in_both"),
    "N23": row(
        "the clock jumps",
        "deadlines follow the monotonic clock",
        NET + "test_a_jump_of_the_wall_clock_moves_no_deadline",
    ),
    "N24": row("a second event loop", "gets connections of its own", C + "test_two_loops_one_client"),
    # statuses and headers
    "H01": row(
        "429 with `Retry-After: 7`",
        "waits 7 s, and up to a tenth more",
        TABLE,
        R + "test_a_hint_is_never_undercut",
        C + "test_every_attempt_is_the_same_request",
    ),
    "H02": row(
        "`Retry-After` as a date",
        "counts from the answer's own `Date`",
        ANS + "test_a_date_to_wait_for_counts_from_the_servers_own_clock",
        ST + "test_how_long_a_server_asks_to_wait",
    ),
    "H03": row(
        "`retry-after-ms` and `Retry-After`",
        "milliseconds go first",
        C + "test_waits_are_events_and_the_long_ones_warnings",
        ST + "test_how_long_a_server_asks_to_wait",
    ),
    "H04": row(
        "a hint that makes no sense",
        "backs off as without one; the first valid of several counts",
        ST + "test_what_makes_no_sense_is_no_hint",
        ST + "test_how_long_a_server_asks_to_wait",
    ),
    "H05": row(
        "a hint longer than `max_hint_s`",
        "raises `RateLimited` with `retry_after_s` at once",
        ANS + "test_an_hour_is_not_waited_for",
        W + "test_the_hint_of_a_rate_limit_reaches_the_error",
        TABLE,
    ),
    "H06": row(
        "429 `insufficient_quota`",
        "final at OpenAI and Azure; at SambaNova a rate limit",
        R + "test_a_spent_quota_depends_on_the_server",
        R + "test_an_account_out_of_credit_is_no_overload",
    ),
    "H07": row(
        "429 for everything",
        "the retry budget empties, and failures are told at once",
        OUT + "test_a_spent_budget_bounds_what_reaches_the_server",
        OUT + "test_after_the_outage_everything_works_again",
        OUT + "test_without_a_budget_it_would_be_four_times_as_much",
        C + "test_a_client_without_budget_left_fails_at_once",
    ),
    "H08": row("408, 409, 425", "tries again", TABLE),
    "H09": row("500, 502-504, 520-524, 529", "tries again", TABLE),
    "H10": row("501, 505", "final", TABLE),
    "H11": row("`x-should-retry: false`", "final", TABLE, ST + "test_the_server_can_say_whether_to_retry"),
    "H12": row(
        "`x-should-retry: true`",
        "tries again, as often as the policy allows",
        TABLE,
        ST + "test_the_server_can_say_whether_to_retry",
    ),
    "H13": row(
        "400: bad request, or context too long",
        "`BadRequest` with `.param`, or `ContextOverflow`; final",
        TABLE,
        ST + "test_status_and_code_make_the_class",
        ST + "test_an_error_body_is_read",
    ),
    "H14": row(
        "401, 403",
        "`AuthenticationError`; where `api_key` is a function, it is asked once more after a 401",
        TABLE,
        C + "test_a_key_from_a_function_is_fetched_anew_when_refused",
        C + "test_a_refused_key_is_fetched_anew_only_once",
    ),
    "H15": row(
        "404", "`NotFound`, naming model and address; final", TABLE, ST + "test_the_message_says_who_answered_what"
    ),
    "H16": row("422", "`BadRequest`; final", TABLE, ST + "test_status_and_code_make_the_class"),
    "H17": row(
        "an error as a page of HTML",
        "status, kind and the first 2,000 characters",
        ST + "test_html_is_named_as_such",
        ST + "test_what_has_no_shape_is_its_own_message",
    ),
    "H18": row(
        "an error body of any other shape",
        "a typed error all the same",
        ST + "test_an_error_body_is_read",
        ST + "test_what_has_no_shape_is_its_own_message",
        ST + "test_reading_an_error_never_fails",
    ),
    "H19": row(
        "an error body that unpacks to gigabytes", "reads 64 KB of it", W + "test_a_gzip_bomb_is_stopped_unpacked"
    ),
    "H20": row(
        "200 with an error in it",
        "the error's code decides",
        BROKEN,
        ST + "test_a_status_passed_on_inside_a_200_counts",
    ),
    "H21": row("200 with HTML", "`ProtocolError`, after one more try", ONCE_MORE),
    "H22": row(
        "a plain answer to a stream", "is shown as a stream", C + "test_a_plain_answer_to_a_stream_is_shown_as_one"
    ),
    "H23": row("a stream that nobody asked for", "is read to its end", WHOLE),
    "H24": row("204, 205, nothing", "`ProtocolError`, after one more try", ONCE_MORE, BROKEN),
    "H25": row(
        "a redirect", "isn't followed: `ProtocolError` that names the host", W + "test_redirects_are_not_followed"
    ),
    "H26": row(
        "a redirect to another host", "isn't followed: nothing is sent there", W + "test_redirects_are_not_followed"
    ),
    "H27": row(
        "a redirect in a circle, or to nonsense",
        "isn't followed",
        ANS + "test_a_redirect_to_itself_is_followed_no_more_than_any_other",
        W + "test_a_redirect_to_nonsense",
    ),
    "H28": row(
        "a megabyte of headers, ten thousand of them",
        "`ProtocolError`",
        BROKEN,
        ANS + "test_ten_thousand_headers_are_too_many",
    ),
    "H29": row(
        "odd bytes in headers",
        "escaped in messages",
        WHOLE,
        ANS + "test_a_servers_line_ends_stay_out_of_the_log",
        ST + "test_a_server_cannot_write_into_a_log",
    ),
    "H30": row("`Set-Cookie`", "ignored", W + "test_cookies_are_not_kept"),
    "H31": row(
        "no `x-request-id`", "`request_id` is None; ours is in the request", C + "test_a_missing_request_id_is_none"
    ),
    "H32": row(
        "a line end in a key or header",
        "`UsageError` when the client is made",
        C + "test_keys_that_would_break_a_header",
        C + "test_senseless_options_are_refused",
    ),
    # bodies
    "B01": row(
        "a body that unpacks to gigabytes",
        "`ProtocolError` at 64 MB, unpacked piece by piece",
        W + "test_a_gzip_bomb_is_stopped_unpacked",
        W + "test_a_gzip_bomb_is_unpacked_in_small_pieces",
    ),
    "B02": row(
        "an encoding that wasn't asked for", "`ProtocolError`", BROKEN, ANS + "test_what_encodings_are_asked_for"
    ),
    "B03": row("gzip cut short or damaged", "tries again", BROKEN),
    "B04": row("invalid UTF-8", "`ProtocolError`, after one more try; in a stream, begins again", UNREADABLE, BROKEN),
    "B05": row("a byte order mark", "passes over it", WHOLE, SPLIT),
    "B06": row(
        "JSON that isn't any",
        "`ProtocolError` with the place, after one more try",
        ONCE_MORE,
        UNREADABLE,
        ANS + "test_the_place_of_a_mistake_in_the_json_is_named",
    ),
    "B07": row("NaN, Infinity, 1e999", "`ProtocolError`", UNREADABLE, J + "test_what_is_not_json_is_refused"),
    "B08": row(
        "the same key twice",
        "the last one counts, plain and streamed",
        ANS + "test_of_equal_keys_the_last_counts_in_both_modes",
        J + "test_the_last_of_equal_keys_wins",
    ),
    "B09": row("JSON nested without end", "`ProtocolError`", UNREADABLE, J + "test_what_is_not_json_is_refused"),
    "B10": row("a number of 5,000 digits", "`ProtocolError`", UNREADABLE, J + "test_what_is_not_json_is_refused"),
    "B11": row(
        "half a surrogate pair",
        "goes there and back and into files, as an escape",
        ANS + "test_odd_text_goes_there_and_back_and_into_a_file",
        J + "test_values_go_both_ways",
    ),
    "B12": row(
        "NUL in a text",
        "goes there and back and into files",
        ANS + "test_odd_text_goes_there_and_back_and_into_a_file",
        J + "test_values_go_both_ways",
    ),
    "B13": row(
        "unknown fields, items, values",
        "kept, sent back as they came; unknown items are warned about once a run",
        ANS + "test_what_is_unknown_is_kept_sent_back_and_warned_about_once",
        TR + "test_an_item_received_is_sent_back_and_saved_as_received",
    ),
    "B14": row(
        "`output` missing, null, no list",
        "`ProtocolError`, after one more try",
        ONCE_MORE,
        RE + "test_what_is_no_response_breaks_the_protocol",
    ),
    "B15": row(
        "a usage that can't be read",
        "None, never 0",
        ANS + "test_a_usage_that_cannot_be_read_is_unknown_and_not_zero",
        RE + "test_a_count_that_is_none_reads_as_none",
        RE + "test_a_usage_that_says_nothing_is_counted_as_unreported",
    ),
    "B16": row(
        "status failed",
        "by its code: tries again, or `ResponseFailed`",
        C + "test_a_failed_response_is_retried_and_comes_back_in_the_end",
        C + "test_a_failed_response_with_a_final_code_comes_back_at_once",
        RUN + "TestEndings::test_a_failed_response_says_why",
    ),
    "B17": row(
        "status incomplete, a call half written",
        "`Incomplete`; the call isn't run, and doesn't go back",
        ANS + "test_a_call_that_was_cut_off_is_not_run_in_either_mode",
        RUN + "TestEndings::test_a_response_cut_short_keeps_what_came_and_runs_nothing",
        TR + "TestHalfWritten::test_a_call_cut_off_stays_on_its_entry_and_goes_nowhere",
    ),
    "B18": row("status in_progress", "`ProtocolError`, after one more try", ONCE_MORE, BROKEN),
    "B19": row(
        "another model answers",
        "`response.model` says which",
        ANS + "test_the_model_that_answered_is_recorded_beside_the_one_asked_for",
    ),
    "B20": row(
        "a response id that came before",
        "means nothing: entries and keys are our own",
        ANS + "test_a_response_id_that_comes_again_overwrites_nothing",
    ),
    # streams
    "S01": row("an event split anywhere", "the same event", CUT_ANYWHERE, SPLIT),
    "S02": row("a character split", "the same character", CUT_ANYWHERE, SPLIT),
    "S03": row("U+2028 and its like in the data", "ends no line", SPLIT, CUT_ANYWHERE),
    "S04": row(
        "CR, LF, CRLF, split between them", "one line end", SPLIT, SSE + "test_an_event_comes_out_with_its_blank_line"
    ),
    "S05": row("byte order mark, comments, `id:`, `retry:`, no space", "as the rules of event streams say", SPLIT),
    "S06": row("several data lines", "joined", SPLIT),
    "S07": row("no `event:` line, or another one than the data's type", "the data's type counts", WAYS),
    "S08": row(
        "`[DONE]`",
        "ignored; the terminal event decides",
        WAYS,
        C + "test_a_stream_without_its_terminal_event_is_no_answer",
        F + "test_a_stream_cut_short_has_no_response",
    ),
    "S09": row(
        "the stream ends before its terminal event",
        "discards it, begins again",
        CUT_ANYWHERE,
        C + "test_a_stream_without_its_terminal_event_is_no_answer",
    ),
    "S10": row(
        "reset within an event",
        "discards it, begins again; a tool runs once",
        CUT_ANYWHERE,
        GOLD + "test_tools_run_once_wherever_the_stream_breaks",
        C + "test_a_broken_stream_is_discarded_and_begun_again",
    ),
    "S11": row(
        "silence, or pings only",
        "`Timeouts.idle`, `Timeouts.event`; begins again",
        CUT_ANYWHERE,
        W + "test_deadlines",
        W + "test_pings_are_no_events",
    ),
    "S12": row(
        "an event of 16 MB, or of more",
        "taken in linear time; `ProtocolError`",
        SSE + "test_a_line_of_16_mb_in_small_pieces_takes_linear_time",
        SSE + "test_a_larger_event_is_refused",
    ),
    "S13": row(
        "a million deltas, a slow reader",
        "linear time, the memory of the text, nothing piles up",
        F + "test_100_000_deltas_take_linear_time_and_the_memory_of_their_text",
        RUNS + "test_a_slow_reader_holds_the_server_up_and_nothing_piles_up",
    ),
    "S14": row(
        "a delta that is no JSON",
        "discards the attempt, begins again",
        CONTRADICTS,
        C + "test_a_stream_without_its_terminal_event_is_no_answer",
    ),
    "S15": row("an event twice", "counts once", WAYS),
    "S16": row("a number twice, with another content", "discards the attempt, begins again", CONTRADICTS),
    "S17": row("numbers out of order", "discards the attempt, begins again", CONTRADICTS),
    "S18": row(
        "a number missing",
        "the final response holds, with a warning; without its items, begins again",
        WAYS,
        CONTRADICTS,
    ),
    "S19": row("no numbers, or all 0", "no check", WAYS),
    "S20": row(
        "deltas and final response differ",
        "the final response holds, with a warning",
        F + "test_a_final_response_that_differs_holds_and_is_noted",
    ),
    "S21": row("a final response without items", "the items come out of the events", WAYS, FOLDS),
    "S22": row(
        "a finished call, then `response.failed`",
        "the call isn't run",
        ANS + "test_a_call_of_a_failed_response_is_not_run",
        F + "test_the_worse_of_event_and_response_is_the_status",
    ),
    "S23": row("arguments for a call that was never opened", "discards the attempt, begins again", CONTRADICTS),
    "S24": row(
        "arguments of eight calls mixed",
        "each gets its own",
        F + "test_eight_interleaved_calls_keep_their_arguments_apart",
        CUT_ANYWHERE,
    ),
    "S25": row("events after the terminal one", "ignored", WAYS),
    "S26": row("two terminal events", "the first counts", WAYS, RUNS + "test_the_first_of_two_ends_counts"),
    "S27": row(
        "an `error` event",
        "by its code, as over HTTP",
        C + "test_an_error_event_is_retried_by_its_code",
        F + "test_an_error_event_is_kept_as_an_error_body",
    ),
    "S28": row(
        "a bare JSON error among the events",
        "`ProtocolError` that quotes it",
        C + "test_a_stream_without_its_terminal_event_is_no_answer",
        SSE + "test_lines_that_are_no_fields_are_kept_for_the_message",
    ),
    "S29": row("unknown events", "`UnknownEvent`, and no harm", F + "test_unknown_events_pass_as_they_came"),
    "S30": row(
        "the reader leaves",
        "the response is closed, the tasks are gone",
        RUNS + "test_a_reader_that_leaves_ends_the_response",
        W + "test_a_reader_that_leaves_closes_the_connection",
        W + "test_cancelling_closes_the_connection",
    ),
    "S31": row(
        "the reader is slow",
        "its time isn't the server's silence",
        W + "test_a_slow_reader_is_no_silent_server",
        RUNS + "test_a_slow_reader_holds_the_server_up_and_nothing_piles_up",
    ),
    "S32": row(
        "cancelled before the terminal event",
        "nothing is appended",
        RUNS + "test_a_cancel_between_the_last_delta_and_the_end_leaves_the_conversation_as_it_was",
        RUN + "TestEndingEarly::test_a_cancel_during_a_request_changes_nothing",
    ),
    "S33": row("a stream in gzip", "unpacked as it comes", W + "test_gzip_of_a_stream_is_unpacked_as_it_comes"),
    "S34": row(
        "`response.failed` with a rate limit",
        "waits as after a 429, by the header too",
        ANS + "test_the_first_event_may_say_that_there_were_too_many_requests",
        C + "test_a_complaint_within_an_answer_counts",
    ),
    # calls that the model writes
    "T01": row(
        "arguments that are no JSON, cut, empty, null",
        "the model is told; empty means none where the tool takes none",
        WRONG,
        REFUSED_ARGUMENTS,
        A + "test_accepted",
    ),
    "T02": row("arguments that are no object", "the model is told", WRONG, REFUSED_ARGUMENTS),
    "T03": row(
        '`"5"`, `1.0`, `true` for a whole number',
        "5 and 1 are understood, `true` is refused",
        WRONG,
        MISTAKES + "test_numbers_written_as_text_are_understood",
        REFUSED_ARGUMENTS,
    ),
    "T04": row("an argument missing, or too many", "the model is told which", WRONG, REFUSED_ARGUMENTS),
    "T05": row("NaN, Infinity, 1e999", "the model is told", WRONG, REFUSED_ARGUMENTS),
    "T06": row("the same key twice", "the model is told", WRONG, REFUSED_ARGUMENTS),
    "T07": row("nesting without end, 5,000 digits", "the model is told, within 50 ms", WRONG, HOSTILE),
    "T08": row(
        "arguments of 10 MB", "the model is told: 1 MB is the most", HOSTILE, A + "test_the_size_limit_counts_bytes"
    ),
    "T10": row(
        "an unknown tool, or a name nearly right",
        "the model is told the near names; none is run",
        MISTAKES + "test_an_unknown_name_is_told_the_near_ones_and_none_is_run",
        MISTAKES + "test_a_name_like_no_other_is_told_what_there_is",
    ),
    "T11": row(
        "a tool that this turn doesn't allow",
        "isn't run; the model is told",
        RUNS + "test_a_tool_that_the_turn_does_not_allow_is_not_run",
        RUN + "TestRequests::test_tool_choice_none_keeps_tools_from_running",
    ),
    "T12": row(
        "a call_id twice in a response",
        "both answered, under distinct ids; the very same unsafe call runs once",
        MISTAKES + "test_equal_ids_are_both_answered_under_distinct_ones",
        MISTAKES + "test_the_same_unsafe_call_said_twice_runs_once",
    ),
    "T13": row(
        "a call_id of an earlier turn",
        "run and answered under a new id",
        RUNS + "test_calls_of_two_turns_under_one_id_are_both_run_and_answered",
    ),
    "T14": row(
        "a call_id that is missing, empty, giant, odd",
        "rewritten in requests, kept on the entry",
        RUNS + "test_calls_of_two_turns_under_one_id_are_both_run_and_answered",
        TR + "TestCallIds::test_a_call_without_an_id_gets_one",
    ),
    "T15": row(
        "a thousand calls at once",
        "64 are run, the others answered with an error",
        RUNS + "test_a_thousand_calls_run_the_allowed_ones_and_answer_all",
        MISTAKES + "test_surplus_calls_get_an_error_and_the_rest_run",
    ),
    "T16": row(
        "the same call again and again",
        "a warning after 20; `Limits` stop it",
        MISTAKES + "test_the_same_call_again_and_again_is_warned_about",
        RUNS + "test_the_same_call_for_ever_is_stopped_by_the_limit",
    ),
    "T17": row(
        "a call and a message in one response",
        "the call is run, the message stays in the conversation",
        RUN + "TestAnswers::test_tools_run_before_a_message_in_the_same_response_counts",
        RUNS + "test_a_refusal_beside_a_call_runs_the_call_first",
    ),
    "T18": row(
        "words where a call was demanded",
        "asked for once more, then taken",
        RUN + "TestRequests::test_a_forced_tool_choice_that_is_ignored_is_asked_for_once_more",
    ),
    "T21": row(
        "129 tools, a name twice, a bad name",
        "an error when the agent is made",
        TO + "test_129_tools_are_refused_with_their_number",
        TO + "test_duplicate_names_are_refused_with_both_functions",
        TO + "test_bad_names_are_refused",
    ),
    # tools
    "X01": row(
        "a tool raises",
        "the model is told type and message; the exception is kept whole",
        FAILS + "test_any_other_exception_is_told_by_type_and_message_and_kept_whole",
        FAILS + "test_a_tool_error_is_told_as_it_is",
    ),
    "X02": row(
        "a tool raises SystemExit, CancelledError, KeyboardInterrupt",
        "the first two are its own; the last ends the run",
        FAILS + "test_exits_and_cancels_of_a_tool_are_its_own",
        FAILS + "test_a_keyboard_interrupt_in_a_tool_ends_the_run",
    ),
    "X03": row(
        "an async tool hangs",
        "`timeout_s`: cancelled, and the model is told",
        E + "TestTime::test_an_async_tool_that_hangs_times_out",
    ),
    "X04": row(
        "a sync tool hangs",
        "`timeout_s`: the model is told that it may still be running; its thread is left behind",
        E + "TestTime::test_a_sync_tool_that_hangs_times_out_and_its_late_result_is_dropped",
        E + "TestTime::test_a_hung_sync_tool_does_not_hold_up_the_others",
    ),
    "X05": row(
        "sync code in an async tool",
        "a warning that names it, after 1 s",
        E + "TestTime::test_sync_code_in_an_async_tool_is_warned_about",
    ),
    "X06": row(
        "an output of 100 MB, or without end",
        "64 KB for the model, 16 MB kept",
        OU + "test_100_mb_of_text_keep_16_mb",
        OU + "test_an_endless_generator_ends",
        E + "TestOutputs::test_a_long_output_is_cut_for_the_model_and_kept_whole",
    ),
    "X07": row(
        "an output without a JSON form",
        "the model is told; no memory address is",
        FAILS + "test_an_output_without_a_json_form_is_told",
        OU + "test_value_without_json_form_is_refused",
        OU + "test_output_is_the_same_in_every_process",
    ),
    "X08": row(
        "a tool prints",
        "goes to stdout, never into the conversation; in the terminal program, to stderr",
        RUNS + "test_what_a_tool_prints_goes_where_prints_go_and_nowhere_else",
        "tests/cli/test_run.py::test_prints_and_child_processes_stay_out_of_the_answer",
    ),
    "X09": row(
        "a tool changes its arguments",
        "they are its own copy",
        E + "TestWhatToolsAreGiven::test_arguments_are_fresh_values",
        TR + "TestAppend::test_changing_the_items_changes_nothing",
    ),
    "X10": row(
        "a tool runs the agent that called it",
        "limits hold over all; 16 deep is the most",
        RUN + "TestLimits::test_runs_nested_too_deep_end_them_all",
        RUN + "TestLimits::test_a_nested_run_counts_for_the_one_around_it",
    ),
    "X11": row(
        "cancelled among eight calls",
        "finished outputs are kept, the others answered as cancelled",
        RUN + "TestEndingEarly::test_break_between_tools_answers_every_call",
        RUN + "TestEndingEarly::test_a_cancelled_task_answers_every_call_within_a_second",
    ),
    "X13": row(
        "a tool changes context, directory, environment",
        "contextvars go in and not out; the rest is warned about",
        E + "TestTogether::test_contextvars_go_in_and_do_not_leak_out",
        E + "TestTogether::test_a_changed_directory_or_environment_is_warned_about",
    ),
    "X14": row(
        "a tool is defined anew during a run",
        "the run keeps the one it began with",
        RUNS + "test_a_run_keeps_the_tools_that_it_began_with",
    ),
    "X15": row(
        "a call is run again",
        "under the same idempotency key",
        E + "TestIdempotencyKeys::test_a_call_keeps_its_key_when_the_run_is_resumed",
    ),
}
