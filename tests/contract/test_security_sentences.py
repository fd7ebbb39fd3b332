"""Each sentence of SECURITY.md is held by a test, or says why none can hold it: a promise that nobody tries is none."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The beginning of a sentence, and the tests that hold it: file and function.
HELD: dict[str, tuple[str, ...]] = {
    "A block makes a control group below the": (
        "unit/test_cgidhost_group:the_own_group_is_found_below_what_is_mounted",
        "unit/test_cgidhost_group:what_nobody_reaps_is_counted_and_the_group_goes_with_its_block",
    ),
    "The packages of `requirements*.lock`": (
        "contract/test_layout:both_locks_name_the_same_versions_and_a_hash_for_each",
        "integration/test_set_up:the_users_pip_settings_change_neither_what_is_installed_nor_where",
    ),
    "`make audit`, and with it": (
        "unit/test_audit:what_is_known_fails_and_names_package_and_cure",
        "unit/test_audit:a_registry_without_data_is_a_reason_to_skip",
    ),
    "The distribution's signed package archive": (
        "integration/test_provision:a_release_that_cannot_be_verified_is_an_error_and_nothing_of_it_is_kept",
        "unit/test_build_modules:only_a_valid_signature_names_its_signer",
    ),
    "One that an experiment file names is data": ("unit/test_foreign_runs:an_inventory_of_an_experiment_file_is_data",),
    "SSH host keys are checked": ("e2e/test_ssh_hosts:a_changed_host_key_ends_the_run_before_it_begins",),
    "They are read as YAML without tags": (
        "unit/test_strict_yaml:what_is_no_plain_mapping_is_refused",
        "unit/test_strict_yaml:a_value_that_yaml_would_guess_is_refused_with_its_line",
        "unit/test_spec:a_wrong_file_is_refused_at_its_line",
        "integration/test_inert:text_is_no_template_whatever_it_says_a_template_looks_like",
        "e2e/test_faults:hostile_text_is_inert_everywhere",
    ),
    "`extra_directives` is httpd configuration": ("e2e/test_faults:hostile_text_is_inert_everywhere",),
    'A formula (`"= clients"`': ("unit/test_linking:a_setting_follows_from_factors_cell_by_cell",),
    "Python's grammar is read, nothing of it is run": (
        "unit/test_linking:a_formula_is_arithmetic_on_factors_and_nothing_else",
        "unit/test_linking:a_condition_that_is_none_is_refused_where_it_stands",
    ),
    "`plan` and the first line of a run": ("unit/test_cli:plan_names_the_source_of_a_stranger_that_would_be_built",),
    "They are copied to the hosts that the experiment names": (
        "e2e/test_own_script:it_has_the_servers_rights_and_nobody_but_the_owner_of_the_cache_can_change_it",
    ),
    "What is no program by its first bytes is not sent": (
        "unit/test_own_files:a_script_that_cannot_run_is_refused_at_its_line",
    ),
    "Of a list of requests paths and queries alone": (
        "unit/test_request_list:of_a_log_paths_and_queries_are_taken_in_its_order_and_what_is_left_out_is_counted",
        "unit/test_request_list:what_a_first_line_cannot_hold_is_encoded_and_hosts_are_dropped",
        "e2e/test_own_script:of_a_log_no_user_no_agent_and_no_host_is_kept",
    ),
    "`--resume` takes both from the experiment file": (
        "unit/test_own_files:the_script_that_a_directory_names_is_not_taken_on_its_own_word",
    ),
    "They are named by `plan`, and by": (
        "unit/test_own_files:hooks_are_named_before_anything_runs_and_sent_to_watched_trials_as_commands",
    ),
    "No shell reads a command": (
        "unit/test_own_files:a_wrong_hook_is_refused_at_its_line",
        "unit/test_cgidhost_hooks:each_runs_at_its_time_with_what_it_is_told_and_leaves_its_files",
    ),
    "They end with their trial": (
        "unit/test_cgidhost_hooks:what_a_hook_started_in_the_background_ends_with_it",
        "e2e/test_cgidhost:what_left_its_trial_on_the_host_by_every_means_ends_with_it",
        "unit/test_cgidhost_hooks:whatever_one_does_is_told_and_no_more",
    ),
    "`--resume` takes hooks from the experiment file": (
        "unit/test_own_files:the_hooks_that_a_directory_names_are_not_taken_on_its_own_word",
    ),
    "What they leave comes home as any other file": (
        "unit/test_cgidhost_hooks:more_than_a_trial_may_bring_home_is_removed_and_told",
        "unit/test_cgidhost_hooks:a_file_has_an_end",
    ),
    "`configure`, `make`, patches": (
        "integration/test_confined:configure_make_and_the_built_httpd_itself_run_without_rights",
        "unit/test_deep_trees:no_filter_of_the_users_runs_on_a_source_from_git",
    ),
    "They run as nobody where we are root": (
        "integration/test_confined:a_build_is_a_user_without_rights_and_has_no_way_to_more",
        "integration/test_confined:a_build_has_no_network",
        "integration/test_confined:what_a_build_starts_ends_with_its_step",
    ),
    "They see the system's programs read-only": (
        "integration/test_confined:a_build_sees_nothing_of_the_users",
        "integration/test_confined:a_build_writes_to_its_own_directory_and_nowhere_else",
        "integration/test_confined:others_who_are_nobody_do_not_get_at_a_build_that_goes_on",
    ),
    "What is left there must be plain files": (
        "integration/test_confined:another_users_file_in_a_build_is_refused",
        "integration/test_confined:what_a_build_leaves_is_roots_and_has_no_rights_of_its_own",
    ),
    "Anything else is refused with its name": (
        "integration/test_confined:what_is_no_plain_file_of_a_build_is_refused",
        "integration/test_confined:a_source_whose_module_is_a_link_to_a_file_of_roots_gets_none_of_it",
        "unit/test_deep_trees:what_a_build_leaves_is_not_used_when_it_is_too_deep",
    ),
    "Where a host allows no namespaces": (
        "integration/test_confined:without_namespaces_a_strangers_source_is_refused_by_name",
        "unit/test_build_modules:where_nothing_can_be_confined_only_a_verified_source_is_built",
    ),
    "`distro`, `upstream:` and tarballs": (
        "integration/test_confined:without_namespaces_a_verified_source_is_built_without_rights_and_that_is_told",
    ),
    "And the trial starts what was built": (
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
        "e2e/test_cgidhost:trials_run_without_root_where_the_kernel_lets_a_user_make_namespaces",
    ),
    "**Shared places.** Before anything is run": (
        "integration/test_confined:another_users_file_in_the_cache_ends_the_run_with_its_name",
        "unit/test_trust:what_is_not_ours_alone_is_named",
        "unit/test_trust:a_directory_above_in_which_others_can_replace_the_cache_is_named",
        "unit/test_trust:a_link_above_that_others_can_lead_elsewhere_is_named",
    ),
    "Directories of trials are made where only root writes": (
        "unit/test_cgidhost_own:root_makes_directories_of_sockets_where_only_root_writes",
        "unit/test_cgidhost_own:root_makes_no_directory_where_others_may_write",
    ),
    "`/run`), under names that cannot be guessed": (
        "unit/test_cgidhost_own:the_name_of_the_next_trials_directory_cannot_be_told_from_the_last_ones",
        "unit/test_cgidhost_own:a_directory_that_is_there_already_is_not_taken",
    ),
    "So is a cache or work directory": (
        "unit/test_cgidhost_own:a_work_directory_that_others_may_write_to_is_not_touched",
        "unit/test_cgidhost_own:a_work_directory_that_is_a_link_is_not_touched",
    ),
    "Without root sockets lie in `/tmp`": (
        "e2e/test_cgidhost:trials_run_without_root_where_the_kernel_lets_a_user_make_namespaces",
    ),
    "**Journals of a host**": (
        "unit/test_cgidhost_own:a_journal_that_names_another_directory_does_not_remove_it",
        "unit/test_cgidhost_own:a_journal_that_is_a_link_is_not_read",
    ),
    "What is removed lies in the work directory": (
        "unit/test_cgidhost_own:a_link_that_a_journal_names_is_not_followed",
        "unit/test_cgidhost_own:a_directory_that_somebody_else_made_under_a_trials_name_stays",
        "unit/test_cgidhost_own:a_process_of_another_block_is_not_ended",
        "unit/test_cgidhost_own:what_links_lead_to_is_not_removed_with_a_directory",
    ),
    "Anything else stays, is named": (
        "unit/test_cgidhost_own:what_no_trial_notes_is_named_and_not_done",
        "e2e/test_recover:a_host_that_lost_runner_and_helper_is_recovered_and_a_second_time_nothing_happens",
    ),
    "**What hosts answer**": (
        "integration/test_answers:an_answer_of_3_gb_ends_after_some_megabytes_of_it",
        "integration/test_answers:an_answer_that_never_comes_ends_in_time_with_all_who_would_give_it",
        "integration/test_answers:a_file_that_arrives_without_end_is_ended",
    ),
    "Each field is checked, and an error says which host": (
        "integration/test_answers:an_answer_that_is_none_is_refused_with_the_name_of_its_host",
        "unit/test_deep_trees:a_host_whose_answer_is_nested_without_end_is_a_host_with_a_problem",
    ),
    "Names that are no text, which any user": (
        "unit/test_cgidhost_recover:what_anybody_on_a_host_calls_things_leaves_a_snapshot_that_can_be_read",
        "unit/test_exporter:metrics_of_names_that_are_no_text_can_be_written",
    ),
    "What Ansible's own modules return": (
        "e2e/test_hung:a_module_that_never_returns_ends_with_its_playbook",
        "unit/test_cgidhost_patience:ansibles_own_modules_that_can_hang_on_a_host_have_an_end_there",
    ),
    "**What hosts send home**": (
        "unit/test_harvest:a_hostile_archive_leaves_nothing",
        "unit/test_tables:a_name_that_a_strangers_run_gives_to_a_factor_or_a_host_is_no_formula",
        "unit/test_harvest:an_archive_that_unpacks_too_large_is_refused",
        "unit/test_harvest:an_archive_that_no_host_packs_is_to_blame_and_leaves_nothing",
        "unit/test_harvest:what_headers_say_of_many_files_is_not_kept_in_memory",
        "unit/test_hostile_logs:a_line_of_gigabytes_is_one_line_that_cannot_be_read",
        "unit/test_hostile_logs:what_a_host_says_moves_no_cursor_and_runs_nowhere",
        "unit/test_terminal:a_sockets_name_does_not_steer_the_terminal_of_who_watches",
        "unit/test_terminal:what_is_printed_on_standard_error_is_printable_or_a_constant",
        "unit/test_report_page:hostile_text_stays_text_wherever_it_comes_from",
    ),
    "What only the control machine writes": ("unit/test_harvest:what_this_machine_writes_is_not_taken_from_a_host",),
    "**Run directories** may come from anybody": (
        "unit/test_foreign_runs:the_target_that_a_directory_names_is_not_started",
        "unit/test_foreign_runs:what_a_directory_says_of_hosts_is_gone_when_they_have_answered",
        "unit/test_foreign_runs:recover_starts_no_inventory_that_a_journal_alone_names",
        "unit/test_foreign_runs:a_block_that_lies_in_no_work_directory_is_refused",
    ),
    "Checksums in it are no signature": ("unit/test_foreign_runs:a_plan_that_no_file_can_describe_does_not_go_on",),
    "Documents are checked whole": (
        "unit/test_rundirs:values_that_nobody_writes_are_left_out_by_name",
        "unit/test_rundirs:what_is_no_plain_document_costs_what_it_held_and_is_named",
    ),
    "Only regular files are opened": (
        "contract/test_run_paths:no_other_module_opens_what_may_lie_below_a_run",
        "unit/test_rundirs:a_raw_file_that_is_none_is_damage_of_its_trial",
        "unit/test_harvest:what_is_no_file_is_no_archive_and_nobody_waits_for_it",
    ),
    "The columns of `load/requests.parquet`": ("unit/test_rundirs:columns_that_unpack_to_gigabytes_are_not_unpacked",),
    "What is damaged costs what it held": (
        "unit/test_rundirs:without_a_plan_the_rest_is_reported_from_the_trials",
        "unit/test_rundirs:an_outcome_that_is_gone_is_said",
    ),
    "`report --format md` and `json` write nothing": (
        "unit/test_rundirs:md_and_json_write_nothing_and_output_writes_elsewhere",
        "unit/test_rundirs:a_directory_that_may_only_be_read_is_reported",
        "unit/test_rundirs:nothing_is_written_beside_the_trials_either",
    ),
    "`--output DIR` writes there": (
        "unit/test_rundirs:md_and_json_write_nothing_and_output_writes_elsewhere",
        "unit/test_rundirs:a_directory_that_may_only_be_read_is_reported",
    ),
    "`report` alone writes into the directory": (
        "unit/test_rundirs:trials_that_are_a_link_are_not_followed_and_nothing_is_written_there",
        "unit/test_foreign_runs:no_report_is_written_where_another_user_can_put_a_link_meanwhile",
    ),
    "So does `history`, beside": (
        "unit/test_foreign_runs:no_history_is_written_where_another_user_can_put_a_link_meanwhile",
    ),
    "`--resume` takes the hosts": (
        "unit/test_foreign_runs:a_target_beside_the_experiment_files_own_is_not_started",
        "unit/test_foreign_runs:the_projects_own_target_needs_no_word",
    ),
    "What its plan says is checked as an experiment file is": (
        "unit/test_foreign_runs:a_plan_that_no_file_can_describe_does_not_go_on",
    ),
    "It refuses a directory with a link in it": (
        "unit/test_foreign_runs:a_run_with_a_link_in_it_does_not_go_on",
        "unit/test_foreign_runs:a_run_with_another_users_file_in_it_does_not_go_on",
    ),
    "`recover` uses an inventory that a journal names": (
        "unit/test_foreign_runs:recover_starts_no_inventory_that_a_journal_alone_names",
    ),
    "It believes no journal of another user's": (
        "unit/test_foreign_runs:recover_believes_no_journal_of_another_users",
    ),
    "**The server under test and its load** are reachable": (
        "unit/test_generators:a_server_listens_on_its_address_for_its_generators_alone_and_on_loopback_without_them",
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
    ),
    "What stands behind mod_proxy": (
        "e2e/test_handlers:a_trial_of_each_is_complete_and_proved_to_be_of_it",
        "e2e/test_handlers:a_socket_behind_mod_proxy_is_nobody_elses",
    ),
    "fcgiwrap, php-fpm, gunicorn and uWSGI are the distribution's": (
        "e2e/test_handlers:a_trial_of_each_is_complete_and_proved_to_be_of_it",
    ),
    "The helper starts each beside the httpd": ("e2e/test_handlers:all_say_hello_and_none_finds_what_is_not_there",),
    "They read what lies in `system/`": (
        "unit/test_cgidhost_orders:no_configuration_of_the_host_is_read_by_what_stands_behind_mod_proxy",
        "unit/test_cgidhost_orders:a_file_of_a_system_stays_in_its_directory",
    ),
    "The module mod_fcgid is the distribution's too": (
        "unit/test_packaged_modules:a_package_of_enterprise_linux_is_signed_or_not_unpacked",
        "e2e/test_handlers:a_trial_of_each_is_complete_and_proved_to_be_of_it",
        "e2e/test_handlers:what_mod_fcgid_starts_has_sockets_that_are_nobody_elses",
    ),
    "Their socket lies beside mod_cgid's": ("e2e/test_handlers:a_socket_behind_mod_proxy_is_nobody_elses",),
    "A reload is a signal to the trial's own httpd": (
        "e2e/test_cgidhost:httpd_is_reloaded_as_often_as_was_ordered_and_instruments_find_what_took_the_place",
    ),
    "For `reload_conf` httpd.conf is written anew": (
        "unit/test_cgidhost_reloads:a_configuration_that_httpd_does_not_take_is_no_reload",
    ),
    "What httpd writes of it into its log": (
        "unit/test_cgidhost_reloads:a_log_that_is_no_plain_file_is_not_read_for_what_it_says_of_a_reload",
    ),
    "Nothing that was stopped in a trial stays stopped": (
        "e2e/test_cgidhost:what_holds_things_back_ends_with_a_killed_block_process",
        "e2e/test_cgidhost:a_trial_whose_interventions_are_killed_fails_and_goes_no_further",
    ),
    "Where a helper is killed with `isolation: host`": (
        "e2e/test_handlers:recover_ends_what_a_killed_block_left_of_it",
    ),
    "These end it by the mark in its environment": (
        "e2e/test_handlers:recover_ends_what_a_killed_block_left_of_it",
        "unit/test_cgidhost_own:python_programs_are_told_to_write_no_title_over_the_mark",
        "unit/test_cgidhost_own:processes_whose_title_has_written_over_their_environment_are_ended_by_that",
    ),
    "It listens on loopback unless another address": (
        "servers/test_exporter_role:it_installs_watches_is_idempotent_and_goes",
    ),
    "Whoever gets there reads which sockets": (
        "unit/test_exporter:metrics_of_names_that_are_no_text_can_be_written",
        "unit/test_exporter:a_program_given_as_words_is_not_told",
    ),
    "At most eight connections are open": (
        "unit/test_exporter:whoever_keeps_connections_open_keeps_nobody_from_the_metrics",
        "unit/test_exporter:who_says_nothing_is_not_waited_for",
        "unit/test_exporter:no_more_of_a_request_is_kept_than_prometheus_says",
    ),
    "A text file is written whole": ("unit/test_exporter:a_text_file_is_written_through_no_link",),
    "Of the configuration that it names plain files": (
        "unit/test_observe_strangers:no_more_than_plain_files_are_read_of_what_says_that_it_is_a_server",
        "unit/test_observe_strangers:a_configuration_that_would_fill_the_memory_is_not_known",
    ),
    "A program that it names and a log are opened": (
        "unit/test_observe_strangers:a_program_that_says_it_is_a_pipe_is_not_waited_for",
        "unit/test_observe_strangers:what_took_a_logs_name_meanwhile_is_not_read_unless_it_is_its_owners_plain_file",
        "unit/test_observe_strangers:a_log_that_is_a_pipe_is_not_waited_for",
        "unit/test_observe_strangers:a_link_leads_to_a_log_of_its_owners_alone",
    ),
    "Of its memory no more is read than a scoreboard": (
        "unit/test_observe_strangers:memory_that_looks_like_a_scoreboard_and_is_none_ends_nothing",
        "unit/test_observe_strangers:memory_that_never_comes_is_given_up_and_keeps_nobody_from_the_others",
    ),
    "A status page is asked for once": (
        "unit/test_observe_strangers:a_status_page_that_never_ends_or_is_none_is_not_waited_for",
    ),
    "What cannot be read is not known, and": (
        "unit/test_observe_strangers:memory_that_looks_like_a_scoreboard_and_is_none_ends_nothing",
        "unit/test_observe_strangers:more_threads_than_files_may_be_open_end_nothing",
        "unit/test_observe_strangers:memory_is_read_as_it_is_and_what_cannot_be_read_is_left_out",
    ),
    "A name stays on its line": (
        "unit/test_alarms:a_sockets_name_cannot_write_lines_of_its_own_for_nagios",
        "unit/test_terminal:a_programs_name_adds_no_line_to_what_was_observed",
        "unit/test_terminal:a_name_in_an_error_begins_no_line",
        "unit/test_terminal:who_has_a_target_adds_no_line_to_what_is_said",
    ),
    "The read-back checks that of every trial": ("e2e/test_cgidhost:every_option_that_says_how_it_is_read_back_was",),
    "It may make files in two directories": (
        "unit/test_cgidhost_own:what_a_server_says_last_is_not_read_through_a_link_or_from_a_pipe",
        "unit/test_cgidhost_own:a_programs_output_is_not_written_through_a_link",
        "unit/test_cgidhost_left:a_socket_is_hidden_where_it_lies_and_nowhere_else",
        "unit/test_cgidhost_left:directories_deeper_than_a_walk_can_go_are_packed_around_and_removed",
        "unit/test_cgidhost_left:a_second_name_of_a_file_is_neither_packed_nor_read",
        "unit/test_cgidhost_left:more_than_is_taken_of_a_trial_is_not_packed",
    ),
    "System packages are installed by": ("contract/test_roles:packages_are_installed_in_one_place",),
    "A service that comes with one of them": (
        "servers/test_packages:a_package_starts_no_service_now_nor_with_the_host",
    ),
    "The web server of the distribution is not installed": (
        "contract/test_roles:no_role_installs_a_package_that_starts_a_web_server",
    ),
    "Kernel settings of a trial live in its namespaces": (
        "e2e/test_cgidhost:the_kernels_settings_are_the_trials_own",
        "e2e/test_cgidhost:a_block_leaves_the_host_as_it_was_and_sees_a_neighbour_that_lives_for_moments",
        "e2e/test_smoke:the_host_is_as_it_was",
    ),
    "No password is stored": (
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
    ),
    "It is written to no file, not even": (
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
    ),
    "Passwords of an inventory, a vault": (
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
    ),
    "A source such as `git:https": ("unit/test_secrets:a_source_with_credentials_is_refused_without_saying_them",),
    "`bisect` reads a repository's commits": (
        "unit/test_bisecting:ends_that_are_none_are_refused",
        "unit/test_bisecting:nothing_that_a_repositorys_own_configuration_names_is_started",
    ),
    "What git says of a commit is shown": (
        "unit/test_bisecting:the_line_is_that_of_first_parents_the_oldest_first",
        "unit/test_bisecting:what_git_says_of_commits_is_bounded",
    ),
    "Snapshots of hosts hold no command lines": (
        "unit/test_cgidhost_recover:a_snapshot_says_what_is_of_a_block_and_holds_nobodys_words",
    ),
    "`tests/e2e/test_security.py` plants": ("e2e/test_security:the_search_finds_a_secret_where_there_is_one",),
    "A block's control group needs no journal": (
        "unit/test_cgidhost_group:a_group_in_which_somebody_lives_stays",
        "unit/test_cgidhost_group:a_group_of_other_blocks_is_nobodys_to_remove",
    ),
    "Files of a run are for its owner": (
        "unit/test_files:nobody_else_can_read_a_runs_files",
        "e2e/test_security:a_planted_secret_is_in_no_file_and_no_process_list_and_no_server_is_root",
    ),
}
# What is said to people and promises nothing of the program, or is what remains, or opens a list.
SAID = (
    "cgidlab starts a web server",
    "It belongs on machines",
    "The control machine, its user",
    "Inventories that you name",
    "Ansible starts one that is a program",
    "The hosts of the inventory, to the extent",
    "**Experiment files** are data",
    "One exception is meant",
    "Read an experiment file from a stranger",
    '`httpd: "git:..."` and `path:` name code',
    "`script: path:` and `hooks` name programs (below)",
    "**Own scripts** (`script: path:...`) are programs",
    "They can read what that user can read there",
    "Only the trial's own address can be reached from them",
    "A query may hold a secret of its own",
    "**Hooks** are programs too",
    "An experiment file with hooks is to be trusted",
    "**Sources of httpd** and what they build",
    "What remains: git fetches as us",
    "A build can use CPU",
    "It sees what every user of the host",
    "A hole in the kernel",
    "Over its socket fcgiwrap is told",
    "With `isolation: host` whoever is nobody",
    "Scripts of mod_cgid bear no mark",
    "**Exporter** (`observe",
    "**Watched servers** (`observe`)",
    "Any user of a host can start what looks like httpd",
    "What remains: each answer costs CPU",
    "The one that `sudo` asks for",  # it is handed to Ansible's own program, on a terminal
    "Ansible and what it starts on the control machine get",
    "An experiment file is kept with its run",
    "Builds, what they leave and the cache are tried by",
    "Results hold the names",
    "Look at `provenance.json`",
    "Use the private vulnerability report",
    "The newest release is the one",
)


def sentences() -> tuple[str, ...]:
    """Return the sentences of SECURITY.md, without headings."""
    text = re.sub(r"^#.*$", "\n\n", (ROOT / "SECURITY.md").read_text(), flags=re.MULTILINE)
    found = []
    for part in re.split(r"\n\s*\n|\n\s*- ", text):
        words = " ".join(part.split()).removeprefix("- ")
        found += [s for s in re.split(r"(?<=[.:])\s+(?=[A-Z`*])", words) if s]
    return tuple(found)


@cache
def _tests(path: Path) -> frozenset[str]:
    return frozenset(n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef))


@pytest.mark.parametrize("sentence", sentences(), ids=lambda s: s[:40])
def test_a_sentence_is_held_by_a_test_or_promises_nothing(sentence: str) -> None:
    held = [begin for begin in (*HELD, *SAID) if sentence.startswith(begin)]

    assert len(held) == 1, f"name the test that holds it, in this file: {sentence}"


@pytest.mark.parametrize("begin", [*HELD, *SAID])
def test_nothing_is_held_that_is_not_said(begin: str) -> None:
    assert any(sentence.startswith(begin) for sentence in sentences())


@pytest.mark.parametrize("name", sorted({name for names in HELD.values() for name in names}))
def test_what_holds_a_sentence_is_there(name: str) -> None:
    module, _, function = name.partition(":")

    assert f"test_{function}" in _tests(ROOT / "tests" / f"{module}.py")
