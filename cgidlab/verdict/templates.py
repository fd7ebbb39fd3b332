"""How the verdict's lines are said in English. A language of its own is another mapping with the same keys."""

TOPICS = {
    "required": "Required",
    "found": "Found",
    "reload": "Reload",
    "answer": "Answer",
    "overflow": "Overflow",
    "throughput_rps": "Throughput",
    "latency_p99_ms": "Tail",
    "response": "Response",
    "errors": "Errors",
    "limit": "Limit",
    "do": "Do",
    "trust": "Trust",
}

EN = {
    "clause": "{text}",
    "named": "{name}:",
    "overflow_yes": "YES with {level}{at}: {facts}.",
    "overflow_moment": "FOR MOMENTS with {level}{at}: {facts}.",
    "overflow_not_at": "No {at}.",
    "overflow_also": "Also with {level}.",
    "overflow_no_at_reference": "NO with {level}.",
    "overflow_elsewhere": "YES with {level}: {facts}.",
    "overflow_no": "NO, in no cell.",
    "overflow_no_depth": "NO, in no cell: it held at most {depth} of {limit}.",
    "overflow_torn": "NOT KNOWN: witnesses contradict each other at {where} ({sides}).",
    "overflow_unknown": "NOT KNOWN: {why}.",
    "given": "As offered: an open loop that served what it was asked says nothing of it.",
    "too_few_blocks": "Not known: a claim needs 6 complete blocks.",
    "one_value": "{value}. Nothing to compare it with: {factor} has one value.",
    "one_value_unknown": "Nothing to compare: {factor} has one value.",
    "change": "{change} with {level}{at}{near}.",
    "change_in_unit": "{before} -> {after} {unit} with {level}{at}, {change}{near}.",
    "more_effects": "Different as well: {some} of {all} comparisons, {worse} of them for the worse.",
    "equal_everywhere": "Changes by less than {share} everywhere.",
    "equal_together": (
        "Changes by less than {share} over all levels of {factors} together. One by one in {some} of {all}: "
        "elsewhere a change of up to {width} is not ruled out."
    ),
    "equal_in_together": (
        "Less than {share} in {some} of {all} comparisons, "
        "in {together} of them only over all levels of {factors} together."
    ),
    "equal_in": "Less than {share} in {some} of {all} comparisons.",
    "not_decided": "Not decided in {some} of {all}: a change of up to {width} is not ruled out.",
    "not_decided_one": "Not decided: a change of up to {width} is not ruled out.",
    "not_decided_few": "Not decided in {some} of {all}.",
    "loop": "Said of {loop} loop.",
    "loop_together": "Said of a block's windows together, in {loop} loop.",
    "came": "Requests came {how}.",
    "errors_none": "None.",
    "errors_some": "{share} of the requests at {where}{kind}.",
    "errors_unknown": "Not known: no trial is valid.",
    "retries_none": "No worker retried.",
    "retries_none_asleep": "No worker retried: on Linux it sleeps instead.",
    "retries_some": "Workers retried {times}: nobody listened.",
    "retries_unknown": "Whether workers retried is not known: no log could hold a retry line.",
    "found_most": "How far {factor} can rise within the goal.",
    "found_least": "How far {factor} can fall within the goal.",
    "found_limit": "{place}{span} (95 %{doubt}; {facts}).",
    "required_met": "MET: {what} ({why}).",
    "required_all_met": "MET: all {number} requirements.",
    "required_missed": "NOT MET: {what} at {where}: {why}.",
    "required_undecided": "NOT DECIDED, which is no pass: {what} at {where}: {why}.",
    "required_counts": "Of {all} in all: {missed} not met, {undecided} not decided, {met} met.",
    "limit_hint": "A hint, not shown: {facts}.",
    "limit_shown": "Shown by holding back at {where} (throughput lost by share held back): {parts}.",
    "limit_first": "{name} changes throughput by {change}.",
    "limit_not_shown": "Not shown by holding things back: {why}.",
    "limit_unknown": "Not known: nothing that was observed is at its limit.",
    "mostly_disturbed": "MOSTLY DISTURBED, {some} of {all}: not to be relied on.",
    "noise_unknown": "What else ran on the host is not known.",
    "noise_unknown_some": "What else ran on the host is not known of {some}.",
    "wandered": "Host speed wandered by {range}, which pairing takes out.",
    "restless_too": "Equal windows next to each other differ by {spread}, which it does not.",
    "restless": "Equal windows next to each other differ by {spread}, which pairing does not take out.",
    "trials": "{number}.",
    "trials_disturbed": "{some} of {all} disturbed and run again.",
    "trials_failed": "{some} of {all} not valid{why}.",
    "kept_up_to": "{response} stays {below} {bound} up to {at} ({value}).",
    "kept_down_to": "{response} stays {below} {bound} down to {at} ({value}).",
    "kept_everywhere": "{response} stays {below} {bound} at every level, up to {at} ({value}).",
    "passed_everywhere": "{response} is {beyond} {bound} at every level, with {at} too ({value}).",
    "passed_at": "With {at} it is {beyond} ({value}).",
    "kept_at": "{response} stays {below} {bound} with {at}, and is {beyond} with {beyonds}.",
    "bound_open": "Not decided with {at}{value}.",
    "bound_unknown": "Not known: no level has {blocks} complete blocks.",
    "on_this_host": "Said of this host in these hours.",
    "matters": "{factor} matters: {changes}.",
    "matters_not": "{factor} does not matter here: no level changes {shares}.",
    "matters_open": "Whether {factor} matters is not decided.",
    "the_others": "Not {shares}.",
    "still_open": "Not decided: {responses}.",
    "served_up_to": "All that was offered was served up to {at}.",
    "served_short": "{share} of it was served at {where}.",
    "reload_lost": "Requests lost at each {kind}{at}: {costs}.",
}

# Parts of sentences.
WHY = ": {reason}{number}"
BELOW, ABOVE = "below", "above"
UP_TO = "less than {share} up to {last}, {change} from {first} on"
DOWN_TO = "less than {share} down to {last}, {change} from {first} on"
AT_MOST = "{change} with {level}{at}"
BY_SHARE = "{response} by {share}"
BY_SHARE_TOGETHER = "{response} by {share} over all levels of {factors} together"
OR = "or"
MORE, LESS = "more", "less"
NEAR = ", real and near what matters"
FULL = "full {share} of the time"
ASLEEP = "up to {workers} asleep"
LONGEST = "{time} at worst"
SOME_TRIALS = "in {some} of {all} trials"
SEEN = "seen by its witnesses"
OF_503 = ", {number} of them a 503"
WITH = " with {level}"
LOST = "{n} ({low} to {high})"
LOST_ROUGHLY = "{n}, known from {blocks} alone"
LOST_NONE = "none in {reloads}, and in fewer than {share} of such trials any (95 %)"
LOST_UNKNOWN = "not counted"
RELOAD_KINDS = {
    "graceful": "graceful reload",
    "restart": "restart",
    "reload_conf": "reload of another configuration",
}
RELOAD_PRICE = "; about {n} requests are lost at each {kind} with {level}, {m} with {reference}"
NO_VALID_TRIAL = "no trial is valid"
NO_WITNESS = "no witness of the queue ran"
NOT_WATCHED = "no valid trial was watched"
COUNTED = {
    "clients": "clients",
    "rate": "requests a second",
    "workers": "workers",
    "burst_requests": "requests at once",
}
"""Factors whose levels count something: "200 clients"."""
FACTORS = {
    "rate": "the rate",
    "clients": "the number of clients",
    "mpm": "the MPM",
    "httpd": "the version of httpd",
    "handler": "the handler",
}
"""Factors that have a name in running text; others go by their own."""
