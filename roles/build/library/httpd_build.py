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

import os
import re
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    LabError,
    building,
    compiler_version,
    fail_with,
    finished,
    key_of,
    output_of,
    run_step,
    set_sane_umask,
    write_json,
)
from ansible.module_utils.lab_source_local import unpack, version_of_tree

# Debian's patch for reproducible builds wants this macro from outside; other sources do not look at it.
_CPPFLAGS = '-DBUILD_DATETIME=\\"cgidlab\\"'
_TOOLS = {"apr": "apr-1-config", "apu": "apu-1-config", "pcre": "pcre2-config"}


def configure_arguments(compiler, cflags, modules, mpms, tools):
    """Return configure's arguments without the prefix; `tools` are the paths of the libraries' -config programs."""
    return [
        "CC=" + compiler,
        # Without this httpd would take the flags APR was configured with, which may be none, that is -O0.
        "CFLAGS=" + cflags,
        "CPPFLAGS=" + _CPPFLAGS,
        "--enable-modules=none",
        "--enable-mods-shared=" + " ".join(modules),
        "--enable-mpms-shared=" + " ".join(mpms),
        *("--with-%s=%s" % pair for pair in sorted(tools.items())),
    ]


def version_in(text):
    """Return the version of `httpd -v`; LabError when its output has none."""
    found = re.search(r"^Server version: \S+?/(\S+)", text, re.MULTILINE)
    if found is None:
        raise LabError("the httpd that was built does not say its version: %r" % text[:200])
    return found.group(1)


def jobs():
    """Return how many compilers run at once: one a core this process may use."""
    return len(os.sched_getaffinity(0))


def libraries():
    """Return (paths, versions) of the -config programs of the libraries httpd is built on."""
    paths, versions = {}, {}
    for name, program in _TOOLS.items():
        path = shutil.which(program)
        if path is None:
            raise LabError(
                "%s is not installed, so httpd cannot be built" % program,
                fix="let the play install the package that has it (become)",
            )
        paths[name], versions[name] = path, output_of([path, "--version"])
    return paths, versions


def keep_generators(tree, directory):
    """Keep the sources of mod_cgid and the headers they include, in the places the includes expect."""
    for part, endings in (("generators", (".c", ".h")), ("filters", (".h",))):
        target = os.path.join(directory, "modules", part)
        os.makedirs(target)
        for name in os.listdir(os.path.join(tree, "modules", part)):
            if name.endswith(endings):
                shutil.copy2(os.path.join(tree, "modules", part, name), target)


def build(source, arguments, compiler, key, directory, lock):
    """Build one source into an empty directory, marker last, and return what the marker says."""
    prefix, tree = os.path.join(directory, "prefix"), os.path.join(directory, "src")
    unpack(source, tree, directory, lock)
    run_step("configure", ["./configure", "--prefix=" + prefix, *arguments], tree, directory, lock)
    run_step("make", ["make", "-j%d" % jobs()], tree, directory, lock)
    run_step("install", ["make", "install"], tree, directory, lock)
    keep_generators(tree, directory)
    for name in ("manual", "icons", "man", "htdocs", "error", "cgi-bin"):
        shutil.rmtree(os.path.join(prefix, name), ignore_errors=True)
    binary = os.path.join(prefix, "bin", "httpd")
    description = {
        "prefix": prefix,
        "binary": binary,
        "version": version_in(output_of([binary, "-v"])),
        "source": source["source"],
        "source_sha256": source["sha256"],
        "source_version": version_of_tree(tree),
        "build_key": key,
        "compiler": compiler,
        "configure": ["--prefix=" + prefix, *arguments],
        "modules_dir": os.path.join(prefix, "modules"),
        "generators_dir": os.path.join(directory, "modules", "generators"),
    }
    shutil.rmtree(tree)
    write_json(os.path.join(directory, "build.json"), description)
    return description


def ensure(source, params, check_mode):
    """Return (description of a build, whether it was made now)."""
    compiler = compiler_version(params["compiler"])
    tools, versions = libraries()
    arguments = configure_arguments(params["compiler"], params["cflags"], params["modules"], params["mpms"], tools)
    key = key_of(
        {
            "source_sha256": source.get("sha256"),
            "configure": arguments,
            "compiler": compiler,
            "libraries": versions,
            # A build knows its own path, so a cache that was moved is no build of its new place.
            "cache_dir": params["cache_dir"],
        }
    )
    directory = os.path.join(params["cache_dir"], "httpd", key[:16])
    done = finished(directory)
    if done is not None:
        return done, False
    if check_mode:
        return {"prefix": os.path.join(directory, "prefix"), "source": source["source"], "build_key": key}, True
    with building(directory) as (lock, other):
        if other is not None:
            return other, False
        return build(source, arguments, compiler, key, directory, lock), True


def main():
    module = AnsibleModule(
        argument_spec={
            "sources": {"type": "list", "elements": "dict", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "modules": {"type": "list", "elements": "str", "required": True},
            "mpms": {"type": "list", "elements": "str", "required": True},
            "cflags": {"type": "str", "default": "-O2"},
            "compiler": {"type": "str", "default": "gcc"},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    builds, changed = {}, False
    for source in module.params["sources"]:
        try:
            description, built = ensure(source, module.params, module.check_mode)
        except (LabError, OSError) as error:
            fail_with(module, error, "building httpd (%s)" % source["source"])
        builds[source["spec"]] = dict(description, skipped=source["skipped"])
        changed = changed or built
    module.exit_json(changed=changed, builds=builds)


if __name__ == "__main__":
    main()
