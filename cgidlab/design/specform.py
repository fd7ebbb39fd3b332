"""The form of an experiment file: which keys it may have. It alone knows what pydantic says of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cgidlab.design import catalogue as cat
from cgidlab.design import hints
from cgidlab.design.arithmetic import BEGINS
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.strict_yaml import Document, KeyPath
from cgidlab.errors import SpecError
from cgidlab.model import LimitTrials, Option

# What lies beside the experiments below results/: `store` and the verbs of these names make it.
RESERVED_NAMES = ("calibration", "calibration-limits", "latest", "observe", "observe-all")
LOAD_KEYS = ("loop", "driver", "clients", "rate", "requests", "arrivals", "burst_requests", "rate_from", "stages")
TRIAL_KEYS = ("warmup_s", "window_s")
MAX_BLOCKS = 1000
MAX_PASSES = 100
# A third of a core that somebody else uses moves throughput on a small machine by more than
# the smallest effect that matters; what the runner itself needs between trials is a tenth of that.
DEFAULT_MAX_OUTSIDER_CPU = 0.3
DEFAULT_MAX_STEAL = 0.05
DEFAULT_MAX_SLOWDOWN = 0.3  # four times what the probe varied by beside other work
DEFAULT_EXCEED = 0.5
DEFAULT_PRECISION = 0.05

Raw = bool | int | float | str
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class LevelForm(_Form):
    """A level written with a label of its own."""

    label: str = Field(min_length=1, max_length=60)
    value: Raw


class RangeForm(_Form):
    """Levels from one number to another, by a step or, as x2, by a ratio."""

    begin: int | float = Field(alias="from")
    to: int | float
    by: int | float | str


class LoadForm(_Form):
    """The load, as it is written under `load:`."""

    loop: Raw | None = None
    driver: Raw | None = None
    clients: Raw | None = None
    rate: Raw | None = None
    requests: Raw | None = None
    arrivals: Raw | None = None
    burst_requests: Raw | None = None
    rate_from: Raw | None = None
    stages: Raw | None = None


class UntilForm(_Form):
    """How well comparisons are to be known: a share of throughput, or one for each response that is named."""

    half_width: float | str | dict[str, float | str]


class RepetitionsForm(_Form):
    """A range of blocks to run, until every comparison is decided or known well enough."""

    min: int = Field(ge=1, le=MAX_BLOCKS)
    max: int = Field(ge=1, le=MAX_BLOCKS)
    until: Literal["decided"] | UntilForm = "decided"


class SearchForm(_Form):
    """A limit to be found in place of one factor's levels."""

    factor: str
    begin: int | float = Field(alias="from")
    to: int | float
    most: dict[str, Raw] | None = None
    least: dict[str, Raw] | None = None
    exceed: float | str = DEFAULT_EXCEED
    precision: float | str = DEFAULT_PRECISION
    step: int = Field(default=1, ge=1)
    short_s: int | float | None = None
    blocks: int = Field(default=60, ge=6, le=MAX_BLOCKS)


class VerdictForm(_Form):
    """What the verdict will rest on."""

    factor: str | None = None
    reference: Raw | None = None
    smallest_effects: dict[str, float | str] = Field(default_factory=dict)
    bounds: dict[str, float] | None = None


class NoiseForm(_Form):
    """When a trial counts as disturbed."""

    max_outsider_cpu: float = Field(default=DEFAULT_MAX_OUTSIDER_CPU, gt=0)
    max_steal: float | str = DEFAULT_MAX_STEAL
    max_slowdown: float | str = DEFAULT_MAX_SLOWDOWN
    reruns: int = Field(default=1, ge=0, le=10)


class HooksForm(_Form):
    """Programs of the user's that are run on the server's host in watched trials."""

    before_trial: str | list[str] | None = None
    during_window: str | list[str] | None = None
    after_trial: str | list[str] | None = None


class FileForm(_Form):
    """A whole experiment file."""

    schema_version: Literal[1]
    name: _Name
    question: str = Field(min_length=1, max_length=500)
    target: str = Field(default="local", min_length=1, max_length=500)
    factors: dict[str, list[Raw | LevelForm] | RangeForm] = Field(default_factory=dict)
    search: SearchForm | None = None
    settings: dict[str, Raw] = Field(default_factory=dict)
    load: LoadForm = Field(default_factory=LoadForm)
    warmup_s: Raw | None = None
    window_s: Raw | None = None
    exclude: list[dict[str, Raw | list[Raw]] | str] = Field(default_factory=list)
    repetitions: int | RepetitionsForm = 6
    passes: int = Field(default=1, ge=1, le=MAX_PASSES)
    watch_every: int | None = Field(default=None, ge=1, le=MAX_PASSES)
    seed: int = Field(default=1, ge=0, le=2**63 - 1)
    instruments: list[str] | None = None
    noise: NoiseForm | Literal["ignore"] = Field(default_factory=NoiseForm)
    limits: LimitTrials | None = Field(
        default=None,
        strict=False,
        description="Where it is tried what limits throughput, by holding things back in a trial beside the run: once "
        "(the reference level with the most clients), in all cells, or off. The default is once where a closed loop "
        "has enough blocks for a claim, more than one client and no fault, else off.",
    )
    verdict: VerdictForm = Field(default_factory=VerdictForm)
    require: dict[str, Raw | dict[str, Raw | list[Raw]]] = Field(default_factory=dict)
    hooks: HooksForm = Field(default_factory=HooksForm)


_SECTIONS: dict[str, type[_Form]] = {
    "load": LoadForm,
    "verdict": VerdictForm,
    "repetitions": RepetitionsForm,
    "until": UntilForm,
    "noise": NoiseForm,
    "factors": LevelForm,
    "search": SearchForm,
    "range": RangeForm,
    "hooks": HooksForm,
}


def json_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return a JSON Schema of the experiment file, with the options of the roles spelt out."""
    schema = FileForm.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "cgidlab experiment"
    values = {name: _option_schema(option) for name, option in catalogue.options.items()}
    level = {"$ref": "#/$defs/LevelForm"}
    a_range = {"$ref": "#/$defs/RangeForm"}
    settable = {name: _derivable(value) for name, value in values.items()}
    schema["properties"]["settings"] |= {"properties": settable, "additionalProperties": False}
    schema["properties"]["factors"] |= {
        "properties": {
            name: {
                "anyOf": [{"type": "array", "minItems": 1, "items": {"anyOf": [value, level]}}, a_range],
                "description": value["description"],
            }
            for name, value in values.items()
        },
        "additionalProperties": False,
    }
    schema["$defs"]["LoadForm"]["properties"] = {name: settable[name] for name in LOAD_KEYS}
    for name in TRIAL_KEYS:
        schema["properties"][name] = settable[name]
    schema["properties"]["instruments"] = {
        "type": "array",
        "items": {"enum": list(cat.instruments(catalogue))},
        "description": "What observes a trial; the default is every instrument that is on by default.",
    }
    return schema


def _option_schema(option: Option) -> dict[str, Any]:
    kinds = {"str": "string", "path": "string", "int": "integer", "float": "number", "bool": "boolean"}
    schema: dict[str, Any] = {"type": kinds[option.type], "description": option.description, "default": option.default}
    if option.name in cat.BESIDE_CHOICES:
        told = {"description": schema.pop("description"), "default": schema.pop("default")}
        beside = {**schema, "pattern": f"^{cat.BESIDE_CHOICES[option.name]}."}
        return {"anyOf": [{"enum": list(option.choices)}, beside], **told}
    return schema | ({"enum": list(option.choices)} if option.choices else {})


def _derivable(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a setting: a value, or where that is a number a formula."""
    if value.get("type") not in {"integer", "number"}:
        return value
    told = {key: value[key] for key in ("description", "default")}
    formula = {"type": "string", "pattern": f"^{BEGINS}", "description": "Arithmetic on factors."}
    return {"anyOf": [{"type": value["type"]}, formula], **told}


def check_form(document: Document, catalogue: Catalogue) -> FileForm:
    """Return the document as a form, or raise `SpecError` for its first wrong or missing key."""
    try:
        form = FileForm.model_validate(document.value)
    except ValidationError as err:
        raise _translated(document, err, catalogue) from err
    if form.name in RESERVED_NAMES:
        raise SpecError(
            f"`name` is {form.name}, which is a directory of cgidlab's own below results/",
            where=document.where(("name",)),
            fix=f"take another name, such as my-{form.name}",
        )
    if isinstance(form.repetitions, int) and not 1 <= form.repetitions <= MAX_BLOCKS:
        raise SpecError(f"`repetitions` is outside 1 to {MAX_BLOCKS}", where=document.where(("repetitions",)))
    if isinstance(form.repetitions, RepetitionsForm) and form.repetitions.max < form.repetitions.min:
        raise SpecError("`max` is below `min`", where=document.where(("repetitions", "max")), fix="raise max")
    if not form.factors and form.search is None:
        where = document.where(("factors",))
        raise SpecError("there is no factor", where=where, fix="add `factors:` with levels, or `search:`")
    return form


def _translated(document: Document, err: ValidationError, catalogue: Catalogue) -> SpecError:
    """Return pydantic's first complaint in our words, at the line it is about."""
    # A value of a union is reported once per member: unknown keys are the clearest, and then what lies
    # deepest below the first key that is wrong, since there the value was taken for what it is.
    errors = sorted(err.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    if errors[0]["type"] != "extra_forbidden":
        same_key = [e for e in errors if e["loc"][:1] == errors[0]["loc"][:1]]
        errors = sorted(same_key, key=lambda e: -len(e["loc"]))
    first = errors[0]
    path: KeyPath = tuple(part for part in first["loc"] if not (isinstance(part, str) and _is_type_name(part)))
    where = document.where(path)
    if first["type"] == "extra_forbidden":
        section = _section(path)
        return _unknown_key(section, str(path[-1]), where, catalogue)
    if first["type"] == "missing":
        return SpecError(f"the key `{path[-1]}` is missing", where=where, fix=f"add `{path[-1]}:`")
    if path[:1] == ("name",):
        return SpecError(
            "`name` is not fit for a directory", where=where, fix="use a-z, 0-9 and -, at most 60 characters"
        )
    given = first["input"]
    if path[:1] == ("factors",) and isinstance(given, str) and given.startswith(BEGINS):
        what = f"`{path[-1]}` is derived from factors, and is none itself"
        return SpecError(what, where=where, fix=f'write it below `settings:`: {path[-1]}: "{given}"')
    shown = "" if isinstance(given, (dict, list)) else f", not {given!r}"
    return SpecError(f"`{path[-1] if path else 'file'}`: {first['msg'].lower()}{shown}", where=where)


def _section(path: KeyPath) -> str:
    """Return which form an unknown key was written in."""
    if path[:2] == ("repetitions", "until"):
        return "until"
    written_as_range = path[0] == "factors" and len(path) == len(("factors", "clients", "from"))
    return "range" if written_as_range else str(path[0])


def _unknown_key(section: str, name: str, where: str, catalogue: Catalogue) -> SpecError:
    form = _SECTIONS.get(section)
    if form is not None:
        also = {o.name: o.also for o in catalogue.options.values()} | {"reference": ("baseline",)}
        keys = [field.alias or key for key, field in form.model_fields.items()]
        return hints.unknown("unknown key", name, keys, where, also=also)
    meant = catalogue.named(name)
    sections = ((s, f) for s, f in _SECTIONS.items() if s != "range" and name in f.model_fields)
    elsewhere = next((f"write it below `{s}:`" for s, _ in sections), "")
    if meant and meant not in FileForm.model_fields:
        elsewhere = f"`{meant}` is an option: write it below `settings:`, or with its levels below `factors:`"
    also = {} if elsewhere else hints.FILE_KEYS | {key: catalogue.options[key].also for key in TRIAL_KEYS}
    return hints.unknown("unknown key", name, FileForm.model_fields, where, also=also, elsewhere=elsewhere)


_TYPE_NAMES = frozenset(
    {"bool", "int", "float", "str", "LevelForm", "RangeForm", "SearchForm", "RepetitionsForm", "NoiseForm", "UntilForm"}
)  # as pydantic puts the members of a union into a path


def _is_type_name(part: str) -> bool:
    return part in _TYPE_NAMES or part.startswith(("list[", "dict[", "function-"))
