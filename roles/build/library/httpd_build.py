#!/usr/bin/python
"""Build httpd from source into the cache: the only module that runs its configure and make."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: httpd_build
short_description: Build private httpds into a cache
description:
  - Builds each source once for a set of flags, modules and compiler, below C(CACHE/httpd/KEY), and keeps of the source
    only what variants of mod_cgid need.
  - A build is complete only when its C(build.json) is there, which is written last; anything else is thrown away.
  - What a source needs (PCRE 1 or 2, MPMs as modules or one built in) is read from its configure.
  - All that is a source's own is run as a user without rights, in namespaces without a network, where it can write to
    its own directories alone. Where the host allows no namespaces, a source that nobody signed or gave a checksum for
    is refused, and C(unconfined) of the others says why.
  - Several are built side by side, as many as there are cores. One that cannot be built does not stop the others; then
    the module fails and names all such.
options:
  sources:
    description: What httpd_source returned.
    type: list
    elements: dict
    required: true
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  modules:
    description: Modules to build as shared objects.
    type: list
    elements: str
    required: true
  mpms:
    description: MPMs to build as shared objects.
    type: list
    elements: str
    required: true
  cflags:
    description: Flags of the compiler.
    type: str
    default: -O2
  compiler:
    description: The C compiler.
    type: str
    default: gcc
  tarballs:
    description: Tarballs of apr, apr-util and pcre (C(path), C(sha256)), for what this host does not have as packages.
    type: list
    elements: dict
    default: []
  tarballs_dir:
    description: Where they are on this host, as C(SHA256[:16]/NAME).
    type: path
    default: ''
attributes:
  check_mode:
    support: full
    description: Reports what would be built, and builds nothing.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Build httpd
  httpd_build:
    sources: "{{ __build_sources.sources }}"
    cache_dir: /var/cache/cgidlab
    modules: [unixd, cgid]
    mpms: [event]
"""

RETURN = r"""
builds:
  description: By the name a source was asked for, what is in its C(build.json) and which versions were skipped.
  type: dict
  returned: always
"""

import concurrent.futures
import os
import re
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    MARKER,
    LabError,
    building,
    compiler_version,
    fail_with,
    finished,
    from_os_error,
    key_of,
    make_directory,
    output_of,
    remove_tree,
    run_step,
    set_sane_umask,
    write_json,
)
from ansible.module_utils.lab_confined import Confinement, why_not
from ansible.module_utils.lab_libraries import choose, configure_of, has_shared_mpms, on_host, provide
from ansible.module_utils.lab_source_local import RELEASE, unpack, version_in_release
from ansible.module_utils.lab_trust import settle

# Debian's patch for reproducible builds wants this macro from outside; other sources do not look at it.
_CPPFLAGS = '-DBUILD_DATETIME=\\"cgidlab\\"'
# httpd 2.2 has no modules of these names, and its one MPM is part of the program.
_SINCE_24 = ("unixd", "authz_core")
_MPM_22 = "worker"
# Sources whose makers nothing vouches for. Those of others are verified: by a signature, or the checksum of --sources.
_STRANGERS = ("git", "path")


def configure_arguments(compiler, cflags, modules, mpms, *, shared_mpms=True):
    """Return configure's arguments without the prefix and the libraries."""
    if shared_mpms:
        which = ["--enable-mods-shared=" + " ".join(modules), "--enable-mpms-shared=" + " ".join(mpms)]
    else:
        kept = ["authz_host", *(name for name in modules if name not in _SINCE_24)]
        which = ["--enable-so", "--enable-mods-shared=" + " ".join(kept), "--with-mpm=" + _MPM_22]
    return [
        "CC=" + compiler,
        # Without this httpd would take the flags APR was configured with, which may be none, that is -O0.
        "CFLAGS=" + cflags,
        "CPPFLAGS=" + _CPPFLAGS,
        "--enable-modules=none",
        *which,
    ]


def version_in(text):
    """Return the version of `httpd -v`; LabError when its output has none."""
    found = re.search(r"^Server version: \S+?/(\S+)", text, re.MULTILINE)
    if found is None:
        raise LabError("the httpd that was built does not say its version: %r" % text[:200])
    return found.group(1)


def cores():
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


# The sources of mod_cgid and the headers they include, in the places the includes expect. By the build's own user, and
# no link is followed: what the source calls mod_cgid.c may be anything.
_KEEP = """set -e
mkdir "$2/generators" "$2/filters"
find "$1/modules/generators" -maxdepth 1 -type f -name '*.[ch]' -exec cp -p -t "$2/generators" {} +
find "$1/modules/filters" -maxdepth 1 -type f -name '*.h' -exec cp -p -t "$2/filters" {} +
"""


def build(job, jobs, lock):
    """Build one source into its empty directory, marker last, and return what the marker says.

    All that is the source's runs in a confinement; what it leaves becomes ours at the end, when nothing of it runs.
    """
    source, directory = job["source"], job["directory"]
    within = Confinement(directory, job["why_not"])
    work, prefix, modules = (within.give(name) for name in ("work", "prefix", "modules"))
    tree = os.path.join(work, "httpd")
    unpack(source, tree, directory, lock, within)
    libraries = provide(job["libraries"], tree, directory, jobs, job["compiler"], job["cflags"], lock, within)
    arguments = ["--prefix=" + prefix, *job["arguments"], *libraries]
    run_step("configure", ["./configure", *arguments], tree, directory, lock, within)
    run_step("make", ["make", "-j%d" % jobs], tree, directory, lock, within)
    run_step("install", ["make", "install"], tree, directory, lock, within)
    run_step("keep", ["sh", "-c", _KEEP, "sh", tree, modules], work, directory, lock, within)
    binary = os.path.join(prefix, "bin", "httpd")
    description = {
        "prefix": prefix,
        "binary": binary,
        "version": version_in(output_of([binary, "-v"], within)),
        "source": source["source"],
        "source_sha256": source["sha256"],
        "source_version": version_in_release(output_of(["cat", os.path.join(tree, RELEASE)], within), tree),
        "build_key": job["key"],
        "compiler": job["compiler_version"],
        "configure": arguments,
        "modules_dir": os.path.join(prefix, "modules"),
        "generators_dir": os.path.join(modules, "generators"),
        "apr_flags": apr_flags(prefix, within) if "apr" in job["libraries"]["own"] else apr_flags(),
        "unconfined": job["why_not"],
    }
    remove_tree(work)
    for name in ("prefix", "modules", *(["libraries"] if "pcre" in job["libraries"]["own"] else [])):
        settle(os.path.join(directory, name), within.uid)
    for name in ("manual", "icons", "man", "htdocs", "error", "cgi-bin"):
        remove_tree(os.path.join(prefix, name))
    within.done()
    write_json(os.path.join(directory, MARKER), description)
    return description


def apr_flags(prefix=None, within=None):
    """Return the compiler's flags for a module of this httpd: those of its own APR, or of the machine's (None)."""
    apr, apu = (
        ("apr-1-config", "apu-1-config")
        if prefix is None
        else (os.path.join(prefix, "bin", name) for name in ("apr-1-config", "apu-1-config"))
    )
    flags = output_of([apr, "--cppflags", "--cflags", "--includes"], within).split()
    return flags + output_of([apu, "--includes"], within).split()


def refusal(source, why_not):
    """Return the error that a source is not built with, None where it may be: a stranger's needs a confinement."""
    if not why_not or source["spec"].partition(":")[0] not in _STRANGERS:
        return None
    return LabError(
        "its source is no verified release, and nothing confines its build here (%s)" % why_not,
        where=source["spec"],
        fix="build it on a host that allows namespaces, or take httpd: upstream:VERSION or distro",
    )


def confinable(cache_dir):
    """Return why no build can be confined on this host, empty where it can."""
    make_directory(os.path.join(cache_dir, "httpd"))
    directory = tempfile.mkdtemp(prefix="probe-", dir=os.path.join(cache_dir, "httpd"))
    try:
        return why_not(directory)
    finally:
        remove_tree(directory)


def plan(source, params, compiler):
    """Return what is to be built for a source and where; LabError when something it needs is to be had nowhere."""
    configure = configure_of(source)
    libraries = choose(source, configure, on_host(params["tarballs"], params["tarballs_dir"]))
    shared = has_shared_mpms(configure)
    arguments = configure_arguments(
        params["compiler"], params["cflags"], params["modules"], params["mpms"], shared_mpms=shared
    )
    key = key_of(
        {
            "source_sha256": source.get("sha256"),
            "configure": [*arguments, *("--with-%s=%s" % pair for pair in sorted(libraries["tools"].items()))],
            "compiler": compiler,
            "libraries": libraries["versions"],
            # A build knows its own path, so a cache that was moved is no build of its new place.
            "cache_dir": params["cache_dir"],
        }
    )
    return {
        "source": source,
        "libraries": libraries,
        "arguments": arguments,
        "compiler": params["compiler"],
        "compiler_version": compiler,
        "cflags": params["cflags"],
        "key": key,
        "directory": os.path.join(params["cache_dir"], "httpd", key[:16]),
    }


def kept(source):
    """Return the directory of a build that is taken from the cache as it is; LabError when it is gone."""
    if finished(source["path"]) is None:
        raise LabError(
            "this build is no longer in the cache",
            where=source["path"],
            fix="name the source that it was made from",
        )
    return {"directory": source["path"]}


def ensure(job, jobs):
    """Return (description of a build, whether it was made now)."""
    with building(job["directory"]) as (lock, other):
        if other is not None:
            return other, False
        return build(job, jobs, lock), True


def ensure_all(sources, params, check_mode):
    """Return (builds by the name a source was asked for, whether one was made now, failures by that name).

    Sources that are alike are built once: the second one waits for the first and finds it done.
    """
    compiler = compiler_version(params["compiler"])
    builds, changed, failures, missing = {}, False, {}, []
    for source in sources:
        spec = source["spec"]
        if source["unpack"] == "later":  # check mode, of a source that is not here yet
            builds[spec], changed = {"source": source["source"], "skipped": source["skipped"]}, True
            continue
        try:
            job = kept(source) if source["unpack"] == "built" else plan(source, params, compiler)
        except (LabError, OSError) as error:
            failures[spec] = error
            continue
        done = finished(job["directory"])
        if done is None and check_mode:
            prefix = os.path.join(job["directory"], "prefix")
            done, changed = {"prefix": prefix, "source": source["source"], "build_key": job["key"]}, True
        if done is None:
            missing.append(job)
        else:
            builds[spec] = dict(done, skipped=source["skipped"])
    cannot = confinable(params["cache_dir"]) if missing else ""
    for job in missing:
        job["why_not"] = cannot
        refused = refusal(job["source"], cannot)
        if refused:
            failures[job["source"]["spec"]] = refused
    missing = [job for job in missing if job["source"]["spec"] not in failures]
    at_once = max(1, min(len(missing), cores()))
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        started = [(job["source"], pool.submit(ensure, job, max(1, cores() // at_once))) for job in missing]
        for source, future in started:
            try:
                description, built = future.result()
            except (LabError, OSError) as error:
                failures[source["spec"]] = error
                continue
            builds[source["spec"]] = dict(description, skipped=source["skipped"])
            changed = changed or built
    return builds, changed, failures


def together(failures, builds, sources):
    """Return the one error that tells of all builds that failed; each names its source."""
    names = {source["spec"]: source["source"] for source in sources}
    errors = {
        spec: error if isinstance(error, LabError) else from_os_error(error, "building httpd (%s)" % names[spec])
        for spec, error in failures.items()
    }
    parts = ["httpd %s (%s): %s" % (spec, names[spec], error.what) for spec, error in errors.items()]
    first = next(iter(errors.values()))
    fix = first.fix
    if builds:
        fix += "; the other versions are built: --only httpd=%s runs those" % ",".join(sorted(builds))
    return LabError("\n".join(parts), where=", ".join(error.where for error in errors.values() if error.where), fix=fix)


def main():
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "list", "elements": "dict", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "modules": {"type": "list", "elements": "str", "required": True},
            "mpms": {"type": "list", "elements": "str", "required": True},
            "cflags": {"type": "str", "default": "-O2"},
            "compiler": {"type": "str", "default": "gcc"},
            "tarballs": {"type": "list", "elements": "dict", "default": []},
            "tarballs_dir": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    sources = module.params["sources"]
    try:
        builds, changed, failures = ensure_all(sources, module.params, module.check_mode)
        if failures:
            raise together(failures, builds, sources)
    except (LabError, OSError) as error:
        fail_with(module, error, "building httpd")
    module.exit_json(changed=changed, builds=builds)


if __name__ == "__main__":
    main()
