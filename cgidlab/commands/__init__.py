"""One module a verb, each with `register()` and `run()`.

Importing a verb costs next to nothing: what it needs is imported when it runs,
so that `--help` answers at once.
"""

from cgidlab.commands import (
    bisect,
    calibrate,
    compare,
    completion,
    doctor,
    history,
    init,
    new,
    observe,
    parse_log,
    plan,
    recover,
    report,
    run,
    schema,
    settable,
    sources,
    status,
    validate,
)

VERBS = (
    run.register,
    validate.register,
    plan.register,
    new.register,
    init.register,
    settable.register,
    schema.register,
    status.register,
    report.register,
    compare.register,
    calibrate.register,
    recover.register,
    observe.register,
    doctor.register,
    sources.register,
    history.register,
    bisect.register,
    parse_log.register,
    completion.register,
)
